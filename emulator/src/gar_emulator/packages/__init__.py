"""The Python host, `LOCATION-python.pkg.dev`."""
