"""The section of traces: what an address may be, and that it is off by itself."""

import pytest
from pydantic import ValidationError

from gateway.config_telemetry import TelemetrySettings


def test_nothing_is_told_unless_it_is_asked_for() -> None:
    assert TelemetrySettings().otlp_endpoint is None


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:4318", "https://otel.example/otlp/v1/traces", "http://[::1]:4318"]
)
def test_an_address_of_a_collector_is_taken(endpoint: str) -> None:
    assert TelemetrySettings(otlp_endpoint=endpoint).otlp_endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint", ["", "127.0.0.1:4318", "grpc://127.0.0.1:4317", "http://", "http://h/?a=b", "http://h/#a"]
)
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="must be http"):
        TelemetrySettings(otlp_endpoint=endpoint)


def test_a_credential_in_the_address_is_refused_and_not_repeated_in_the_reason() -> None:
    with pytest.raises(ValidationError) as refused:
        TelemetrySettings(otlp_endpoint="http://user:hunter2@h")
    assert "hunter2" not in refused.value.errors()[0]["msg"]


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_a_ratio_is_one(ratio: float) -> None:
    with pytest.raises(ValidationError):
        TelemetrySettings(sample_ratio=ratio)
