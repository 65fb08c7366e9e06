"""What the words after an option mean: moments, spans, scopes. The same for every command that takes them."""

import re
from datetime import UTC, datetime
from typing import Final

from keystore.errors import InvalidInput
from keystore.scope import AllBuckets, BucketGrant, Rights, Scope, SpecificBuckets, clean_prefix

NEVER: Final = "never"  # of an expiry
_SPAN: Final = re.compile(r"(\d{1,5})([smhdw])\Z", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def read_moment(text: str | None, now: float) -> int | None:
    """`30d` from now, `2027-01-31`, or RFC 3339; Unix seconds. InvalidInput for anything else."""
    if text is None:
        return None
    if span := _SPAN.match(text):
        return int(now) + _span(span)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is not a time; write 30d, 2027-01-31 or 2027-01-31T12:00:00Z") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def read_span(text: str) -> int:
    """`0`, or a number with its unit such as `24h`; seconds. InvalidInput for anything else."""
    if text == "0":
        return 0
    if span := _SPAN.match(text):
        return _span(span)
    raise InvalidInput(f"{text!r} is not a span of time; write 0, 1h, 24h, 3d or 7d")


def _span(span: re.Match[str]) -> int:
    return int(span[1]) * _SECONDS[span[2]]


def read_scope(buckets: list[str], rights: Rights | None, prefix: str | None, *, everything: bool) -> Scope:
    """InvalidInput unless exactly one of All Buckets and a list of names was chosen: a scope is never assumed.

    `rights` and `prefix` are for every bucket named.
    """
    if everything == bool(buckets):
        raise InvalidInput("choose either --all-buckets or one or more --bucket NAME")
    if everything:
        if prefix is not None:
            raise InvalidInput("--prefix is for named buckets; choose them with --bucket NAME")
        return AllBuckets(rights or Rights.FULL)
    within = clean_prefix(prefix) if prefix is not None else ""
    if prefix is not None and not within:
        raise InvalidInput("--prefix is empty; leave it out to grant the whole bucket")
    return SpecificBuckets(tuple(BucketGrant(name, rights or Rights.READ_WRITE, within) for name in buckets))
