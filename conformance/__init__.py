"""Measure the emulator and the real Artifact Registry with the same checks: `python -m conformance --help`."""
