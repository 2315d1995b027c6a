"""Talks to the registry: its index, its uploads, and Artifact Registry's API."""
