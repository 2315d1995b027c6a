"""The command, the server and the ASGI application."""
