"""The services that issue tokens."""
