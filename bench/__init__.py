"""Proofs that take longer than tests: each is a command, and its last line is the result.

`python -m bench.kill`, `python -m bench.memory`, `python -m bench.soak` and `python -m bench.matrix`; and, beside them,
how fast gar-publish and its peers are: `make bench`.
"""
