"""Commands that measure gar-publish, or prove what takes longer than a test; the last line is the result.

`python -m bench.kill`, `bench.memory`, `bench.soak` and `bench.matrix` are proofs, `bench.mutants` measures the unit
tests, and `make bench` compares the speed of gar-publish with that of other tools.
"""
