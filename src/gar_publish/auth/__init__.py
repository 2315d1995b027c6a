"""Access tokens: where they come from, and how they get onto a request."""
