"""What holds for every test here: property tests are never timed, and repeatable unless they are to go on for long."""

from hypothesis import HealthCheck, settings

from tests.support.soak import TIMES

settings.register_profile(
    "house", deadline=None, derandomize=TIMES == 1, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("house")
