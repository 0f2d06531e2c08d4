"""How much hypothesis tries: `dev` on a desk, `ci` where $CI is set, another with $HYPOTHESIS_PROFILE."""

import os

from hypothesis import HealthCheck, settings

# Time says nothing on a machine that others use too.
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False)
settings.register_profile("dev", _patient, max_examples=40, stateful_step_count=30)
settings.register_profile("ci", _patient, max_examples=120, stateful_step_count=40, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
