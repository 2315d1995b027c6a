"""Install built wheels in clean environments, and import them there, before anything is published."""
