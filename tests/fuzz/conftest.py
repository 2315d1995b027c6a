"""Configure Hypothesis: the same examples in each run, about a minute in total, and no files.

To search longer: `HYPOTHESIS_MAX_EXAMPLES=20000 pytest tests/fuzz`. The examples then differ in each run.
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
