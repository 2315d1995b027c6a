"""Publishes: builds, compares, uploads, reads back, and makes evidence."""
