"""Read and check wheels and sdists."""
