"""Build distributions with the project's own build backend, in a sandbox."""
