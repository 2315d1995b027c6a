"""The outcome of a run, and its forms."""
