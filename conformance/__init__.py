"""Measure the emulator and the real Artifact Registry with the same checks: `python -m conformance --help`.

`targets` opens what is measured: a place that can be read or, with an account, a `lab` that a run makes and removes.
Each of `checks` calls it (`calls`, `early`) and observes the value of one switch; `records` keeps and compares what was
observed; `adopt` writes it into the emulator and docs/fidelity.md. `runs` knows which runs were killed.
"""
