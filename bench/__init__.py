"""Commands that measure gar-publish, or prove what a test is too short for. The last line is the result.

`python -m bench.again`, `bench.kill`, `bench.memory`, `bench.soak`, `bench.matrix`, `bench.previews_kill` and
`bench.previews_install` are proofs, `bench.mutants` measures the unit tests, `bench.previews` measures what previews
cost, and `make bench` compares the speed of gar-publish with that of other tools.
"""
