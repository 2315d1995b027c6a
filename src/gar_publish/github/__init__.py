"""The two actions of GitHub Actions."""
