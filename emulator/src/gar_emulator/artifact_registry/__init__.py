"""The Artifact Registry API."""
