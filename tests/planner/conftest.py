"""The number of examples: ``HYPOTHESIS_PROFILE=thorough`` runs more of them."""

import os

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "modest", max_examples=150, deadline=None, derandomize=True, suppress_health_check=SLOW
)
settings.register_profile("thorough", max_examples=5000, deadline=None, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "modest"))
