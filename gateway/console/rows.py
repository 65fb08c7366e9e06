"""An access key as the console shows it: what stands in each column, and what is pointed out. Pure.

Text is people's own and stays as it is: it is escaped where it is written into a page.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.console.words import DAY, seconds_of, until

SHOWN_BUCKETS: Final = 2
EXPIRING: Final = 7 * DAY
UNUSED: Final = 90 * DAY


class Chip(NamedTuple):
    """`tone` chooses colour and sign; the words say it all without them."""

    tone: str
    text: str
    title: str = ""


class BucketName(NamedTuple):
    """`lost`: why the key does not reach it any more, "" = it does."""

    name: str
    lost: str


class Row(NamedTuple):
    """`state`: its chip. `remarks`: what somebody should do something about. `may`: the acts that apply."""

    shown: Mapping[str, Any]
    state: Chip
    remarks: tuple[Chip, ...]
    buckets: tuple[BucketName, ...]
    more_buckets: int
    everything: bool
    may: frozenset[str]
    rollable: bool


_LOST: Final = {
    "deleted": "The bucket was deleted.",
    "other": "The name belongs to another bucket than the one that was granted.",
}


def row_of(shown: Mapping[str, Any], now: float, rotate_after: int) -> Row:
    """`now`: Unix seconds. `rotate_after`: days."""
    everything = shown["buckets"] == "*"
    names = [] if everything else shown["buckets"]
    lost = shown["unreachable_buckets"]
    named = tuple(BucketName(name, _LOST.get(lost[name], "Not reached.") if name in lost else "") for name in names)
    may = acts_of(shown)
    return Row(
        shown,
        state_of(shown, now),
        tuple(_remarks(shown, now, rotate_after)),
        named,
        max(0, len(named) - SHOWN_BUCKETS),
        everything,
        may,
        "roll" in may,
    )


def acts_of(shown: Mapping[str, Any]) -> frozenset[str]:
    """What can be done to it; the keystore decides, this only offers nothing in vain."""
    status = shown["status"]
    may = {"edit", "delete"}
    if status != "revoked":
        may.add("revoke")
    elif shown["revoked_reason"] != "compromised":
        may.add("restore")
    if status == "active" and shown["replaced_by"] is None:
        may.add("roll")
    return frozenset(may)


def state_of(shown: Mapping[str, Any], now: float) -> Chip:
    status = shown["status"]
    if status == "revoked":
        return Chip("revoked", "Revoked", f"{shown['revoked_reason']}, by {shown['revoked_by']}")
    if status == "expired":
        return Chip("expired", "Expired")
    if shown["not_before"] and seconds_of(shown["not_before"]) > now:
        return Chip("waiting", f"Valid {until(shown['not_before'], now)}", "Refused until then")
    return Chip("active", "Active")


def _remarks(shown: Mapping[str, Any], now: float, rotate_after: int) -> list[Chip]:
    if shown["status"] != "active":
        return []
    found = []
    if shown["manage_keys"]:
        found.append(Chip("key", "Manages keys", "It may make, list and end keys of its account, over the IAM API"))
    expires = shown["expires_at"]
    if expires and seconds_of(expires) - now <= EXPIRING:
        found.append(Chip("soon", f"Expires {until(expires, now)}"))
    age = int((now - seconds_of(shown["created_at"])) // DAY)
    if age >= rotate_after and shown["replaced_by"] is None:
        found.append(Chip("roll", f"Roll due: {age} days old", f"Keys are rolled every {rotate_after} days"))
    last = shown["last_used"]
    if now - seconds_of(last["at"] if last else shown["created_at"]) >= UNUSED:
        found.append(Chip("unused", "Unused for 90 days", "Revoke it if nobody needs it"))
    return found
