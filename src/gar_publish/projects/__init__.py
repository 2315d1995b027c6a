"""Find the projects to publish, their order, and what has changed."""
