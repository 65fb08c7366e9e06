"""Spans of time and moments as people write them: `24h`, `2027-01-31`. Knows no clock."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from keystore.errors import InvalidInput

_SPAN: Final = re.compile(r"(\d{1,5})([smhdw])\Z", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def find_span(text: str) -> int | None:
    """Seconds of a number with its unit; None when it is none."""
    span = _SPAN.match(text)
    return None if span is None else int(span[1]) * _SECONDS[span[2]]


def read_span(text: str) -> int:
    """`0`, or a number with its unit such as `24h`; seconds. InvalidInput for anything else."""
    seconds = 0 if text == "0" else find_span(text)
    if seconds is None:
        raise InvalidInput(f"{text!r} is not a span of time; write 0, 1h, 24h, 3d or 7d")
    return seconds


def read_moment(text: str | None, now: float) -> int | None:
    """`30d` from now, `2027-01-31`, or RFC 3339; Unix seconds. InvalidInput for anything else."""
    if text is None:
        return None
    span = find_span(text)
    if span is not None:
        return int(now) + span
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is not a time; write 30d, 2027-01-31 or 2027-01-31T12:00:00Z") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _setting(value: object) -> int:
    if type(value) is int:  # as it is handed on to workers
        return value
    if not isinstance(value, str):
        raise ValueError("a span of time is text, such as 365d")
    try:
        return read_span(value)
    except InvalidInput as error:
        raise ValueError(str(error)) from error


Span = Annotated[int, BeforeValidator(_setting), Field(gt=0)]  # a setting; seconds
