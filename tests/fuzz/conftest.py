"""Hypothesis as it runs everywhere: the same examples each time, few enough for a minute, nothing left on disk.

For a longer hunt: `HYPOTHESIS_MAX_EXAMPLES=20000 pytest tests/fuzz`, with other examples at each run.
"""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("HYPOTHESIS_MAX_EXAMPLES", "0"))

settings.register_profile(
    "gar-publish",
    max_examples=EXAMPLES or 150,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("gar-publish")
