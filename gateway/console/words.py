"""What the console says of times, people and gateways: short words with the exact ones beside them. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from keystore.confirmation import Confirmation

DAY: Final = 86_400
_STEPS: Final = (
    (60, 1, "second"),
    (3600, 60, "min"),
    (DAY, 3600, "h"),
    (60 * DAY, DAY, "day"),
    (730 * DAY, 30 * DAY, "month"),
)


def seconds_of(moment: str) -> float:
    """Unix seconds of RFC 3339."""
    return datetime.fromisoformat(moment).timestamp()


def exact(moment: str) -> str:
    """`24 Nov 2026, 07:40 UTC`."""
    at = datetime.fromisoformat(moment).astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def span(seconds: float) -> str:
    """`5 min`, `3 days`, rounded down."""
    for below, unit, name in _STEPS:
        if seconds < below:
            return counted(int(seconds // unit), name)
    return counted(int(seconds // (365 * DAY)), "year")


def ago(moment: str, now: float) -> str:
    past = now - seconds_of(moment)
    return "just now" if past < 60 else f"{span(past)} ago"


def until(moment: str, now: float) -> str:
    """`in 23 h`; "now" for what is over."""
    left = seconds_of(moment) - now
    return f"in {span(left)}" if left > 0 else "now"


def counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 or thing in {"min", "h"} else f"{number} {thing}s"


def client_of(user_agent: str) -> str:
    """The program, of all that a user agent says: `aws-cli` of `aws-cli/2.31.1 md/…`."""
    return user_agent.split("/")[0].split(" ")[0][:40] or "an unnamed client"


def evidence(shown: Mapping[str, Any], now: float) -> str:
    """Whether somebody would miss the key."""
    used = shown["last_used"]
    if not used:
        return "Never used, as far as is known."
    where = f" on {used['bucket']}" if used["bucket"] else ""
    return (
        f"Last used {ago(used['at'], now)} from {used['source']} by {client_of(used['user_agent'])} "
        f"({used['operation']}{where})."
    )


def in_words(confirmation: Confirmation) -> str:
    """The end of a sentence that says what was done."""
    told = confirmation
    if not told.gateways:
        return "no gateway is running"
    words = f"confirmed by {told.confirmed} of {counted(told.gateways, 'gateway')} in {told.took_ms} ms"
    if told.out_of_lease:
        words += f", {told.out_of_lease} not reached, refusing since the lease ran out"
    if told.transfers_cut:
        words += f", {counted(told.transfers_cut, 'transfer')} cut"
    if told.in_store_unsettled:
        words += f", {counted(len(told.in_store_unsettled), 'request')} with the store and not answered yet"
    return words


def unproven(confirmation: Confirmation) -> str:
    """What to do where a gateway has not confirmed; "" where all have."""
    if confirmation.elsewhere:
        return "Not proven: a gateway has another keystore file open than this one. Restart it, then do it again."
    if not confirmation.proven:
        return (
            f"Not proven: {confirmation.lapsed} of {counted(confirmation.gateways, 'gateway')} did not confirm in "
            "time; one may be stopped. What it has running may go on. Do it again."
        )
    return ""


_RIGHTS: Final = {
    "read_only": "read and list",
    "write_only": "write, and neither read, list nor delete,",
    "read_write": "read, write and delete",
    "full": "read, write, delete and configure",
}


def reach(scope: Mapping[str, Any]) -> str:
    """What a scope lets do, as the end of a sentence that begins "It can"."""
    if scope["type"] == "all":
        return f"{_RIGHTS[scope['rights']]} in every bucket of the account, those made later too"
    if scope["type"] == "none":
        return "reach no bucket yet"
    alike: dict[tuple[str, str], list[str]] = {}
    for grant in scope["buckets"]:
        alike.setdefault((grant["rights"], grant.get("prefix", "")), []).append(grant["name"])
    parts = []
    for (rights, prefix), names in alike.items():
        within = f", below {prefix}" if prefix else ""
        parts.append(f"{_RIGHTS[rights]} in {listed(names)}{within}")
    return "; ".join(parts[:3]) + ("; and more" if len(parts) > 3 else "")


def listed(names: list[str]) -> str:
    """`a, b and c`; of many the first two."""
    if len(names) > 3:
        return f"{names[0]}, {names[1]} and {len(names) - 2} more buckets"
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


def sentence(text: str) -> str:
    """With a capital and a full stop, as people are told."""
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith((".", "?", "!")) else ".")
