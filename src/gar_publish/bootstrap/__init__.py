"""What to set up once on the Google side, so that jobs of GitHub can publish."""
