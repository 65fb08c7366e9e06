"""The section of what others are told of requests, beside the log: traces. Reads nothing."""

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from gateway.config_sections import Section


class TelemetrySettings(Section):
    """Traces, for a collector of OpenTelemetry: pip install 'nqgate[otel]'."""

    otlp_endpoint: str | None = Field(
        None,
        description="http:// or https:// address of a collector that takes OTLP over HTTP; /v1/traces is added where "
        "it names no path. Absent: no trace is begun, and a client's goes on to the store as it came. A collector that "
        "wants a token gets it from the environment, OTEL_EXPORTER_OTLP_HEADERS.",
    )
    sample_ratio: float = Field(
        0.1,
        ge=0,
        le=1,
        description="How many of the requests that come without a trace are told. Of those that come with one its own "
        "flag decides, once the signature held.",
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be http[s]://HOST:PORT[/PATH]")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a credential does not belong into an address: set OTEL_EXPORTER_OTLP_HEADERS")
        return value
