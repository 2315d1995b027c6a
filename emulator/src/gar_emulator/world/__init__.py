"""The declared world: the contents of a world file."""
