"""The one-time setup of Google Cloud with which jobs of GitHub can publish."""
