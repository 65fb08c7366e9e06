import pytest
from pydantic import ValidationError

from gateway.config_limits import LimitsSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("head_timeout", 1.9),  # looked at once a second: it would not be kept
        ("head_bytes", 0),
        ("connections", 0),
        ("upstream_connections", 70_000),
        ("read_buffer", 1024),
        ("requests", 0),
        ("no_such_limit", 1),
    ],
)
def test_a_limit_that_could_not_be_kept_is_no_limit(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        LimitsSettings.model_validate({name: value})


def test_nothing_is_unbounded_but_what_says_so() -> None:
    """0 is "none" only of what is counted for each address and key: the gateway itself is bounded always."""
    accepted = []
    for name in LimitsSettings.model_fields:
        try:
            LimitsSettings.model_validate({name: 0})
        except ValidationError:
            continue
        accepted.append(name)
    assert accepted == [
        "connections_per_address",
        "requests_per_access_key",
        "requests_per_address",
        "refusals_per_address",
        "spool_memory",
        "drain_delay",
    ]
