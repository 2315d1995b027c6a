"""Previews: versions of one commit, which are installed before anything is released."""
