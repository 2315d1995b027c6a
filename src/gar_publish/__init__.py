"""Publish Python packages to Google Artifact Registry in one step, and install them with one line."""

__version__ = "0.1.0"
