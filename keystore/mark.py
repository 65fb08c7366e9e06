"""What is known of a keystore outside its database, as values: how far it had come, and what was ended last.

Pure. Holds no secret.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from keystore.access_key import RevokeReason
from keystore.admin_tokens import TOKEN_ID
from keystore.chain import START, Change, Kind, Position, StoreRow
from keystore.errors import RecordRefused

FORMAT: Final = 1
MAX_REMEMBERED: Final = 1000  # keys and tokens that were ended last: 220 KB at most, written once for each change
MAX_STATE_FILE: Final = 1 << 20
WENT_BACK: Final = "the keystore went back in time: {}: `nqgate keystore adopt` accepts it"


class Ended(NamedTuple):
    """A key that was revoked or deleted, and by which change. `at`: Unix seconds."""

    access_key_id: str
    at: int
    reason: RevokeReason
    seq: int
    request_id: str


class Mark(NamedTuple):
    """What the file says. `head`: the MAC of change `seq`. `ended`: keys; `tokens`: ids of admin tokens that were
    revoked. Of both the last come last.
    """

    store_id: str
    generation: int
    seq: int
    head: bytes
    ended: tuple[Ended, ...]
    tokens: tuple[str, ...] = ()


def why_back(mark: Mark, store: StoreRow, mac_there: object) -> str:
    """What is wrong with a keystore of which this was known; "" if nothing. `mac_there`: of its change `mark.seq`."""
    if store.store_id != mark.store_id:
        return f"keystore {mark.store_id[:8]} was here, now it is {store.store_id[:8]}"
    if store.generation < mark.generation:
        return f"generation {mark.generation} was known, it is of generation {store.generation}"
    if store.seq < mark.seq:
        return f"change {mark.seq} was known, it ends at {store.seq}"
    if mac_there != mark.head:
        return f"change {mark.seq} was known, another one stands there"
    return ""


class Rising:
    """A mark on its way to the end of the log. `follow` verifies the next changes and says where they end."""

    def __init__(self, follow: Callable[[Position, list[Change]], Position], mark: Mark | None) -> None:
        self.at = START if mark is None else Position(mark.seq, mark.head)
        self._ended = () if mark is None else mark.ended
        self._tokens = () if mark is None else mark.tokens
        self._follow = follow

    def take(self, changes: list[Change]) -> None:
        """Those behind `at`."""
        self.at = self._follow(self.at, changes)
        self._ended = remember(self._ended, changes)
        self._tokens = remember_tokens(self._tokens, changes)

    def risen(self, store: StoreRow) -> Mark:
        """RecordRefused unless the log ends where the store row of the same moment says."""
        if self.at != (store.seq, store.head):
            raise RecordRefused(f"the change log ends at row {self.at.seq}, the store row says {store.seq}")
        return Mark(store.store_id, store.generation, *self.at, self._ended, self._tokens)


# ---- what is remembered ----


def together(own: Mark, known: Mark | None) -> Mark:
    """The mark of a keystore by itself, and what else was known of it before."""
    if known is None:
        return own
    named = {one.access_key_id for one in own.ended}
    others = tuple(one for one in known.ended if one.access_key_id not in named)
    tokens = (*(one for one in known.tokens if one not in own.tokens), *own.tokens)
    return own._replace(ended=(*others, *own.ended)[-MAX_REMEMBERED:], tokens=tokens[-MAX_REMEMBERED:])


def remember(known: Iterable[Ended], changes: Iterable[Change]) -> tuple[Ended, ...]:
    """The last MAX_REMEMBERED keys that were ended. A restore takes its key out; COMPROMISED is final."""
    ended = {one.access_key_id: one for one in known}
    for change in changes:
        access_key_id = change.access_key_id
        if access_key_id is None:
            continue
        if change.kind == Kind.KEY_RESTORE.value:
            ended.pop(access_key_id, None)
            continue
        reason = _ended_for(change, ended.get(access_key_id))
        if reason is not None:
            ended.pop(access_key_id, None)
            ended[access_key_id] = Ended(access_key_id, change.at, reason, change.seq, change.request_id)
    return tuple(ended.values())[-MAX_REMEMBERED:]


def remember_tokens(known: Iterable[str], changes: Iterable[Change]) -> tuple[str, ...]:
    """The last MAX_REMEMBERED admin tokens that were revoked, which is final."""
    tokens = dict.fromkeys(known)
    for change in changes:
        if change.kind == Kind.TOKEN_REVOKE.value and change.token is not None:
            tokens.pop(change.token, None)
            tokens[change.token] = None
    return tuple(tokens)[-MAX_REMEMBERED:]


def _ended_for(change: Change, before: Ended | None) -> RevokeReason | None:
    """Why the change ended its key, None when it did not. A deleted key keeps the reason it was revoked for."""
    told = _told(change)
    if change.kind == Kind.KEY_ROLL.value:
        return RevokeReason.ROTATION if told.get("overlap") == 0 else None
    if change.kind == Kind.KEY_DELETE.value:
        return RevokeReason.OTHER if before is None else before.reason
    if change.kind != Kind.KEY_REVOKE.value:
        return None
    if before is not None and before.reason is RevokeReason.COMPROMISED:
        return before.reason
    return next((reason for reason in RevokeReason if reason.value == told.get("reason")), RevokeReason.OTHER)


def _told(change: Change) -> dict[str, Any]:
    told = json.loads(change.body)
    return told if isinstance(told, dict) else {}


# ---- as text ----


def parse_mark(text: bytes) -> Mark:
    """The inverse of `mark_text`. ValueError for anything else."""
    if len(text) > MAX_STATE_FILE:
        raise ValueError("too long")
    try:
        said = json.loads(text)
        if said.pop("format") != FORMAT:
            raise ValueError("another format")
        ended = tuple(_parse_ended(one) for one in said.pop("ended"))
        tokens = tuple(_parse_token(one) for one in said.pop("tokens", []))
        mark = Mark(head=bytes.fromhex(said.pop("head")), ended=ended, tokens=tokens, **said)
        _check_types(mark)
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError("not of the form of a mark") from error
    return mark


def _parse_ended(said: dict[str, Any]) -> Ended:
    ended = Ended(reason=RevokeReason(said.pop("reason")), **said)
    _check_types(ended)
    return ended


def _parse_token(said: object) -> str:
    if not isinstance(said, str) or not TOKEN_ID.match(said):
        raise TypeError("no id of a token")
    return said


def _check_types(values: Mark | Ended) -> None:
    for value, expected in zip(values, type(values).__annotations__.values(), strict=True):
        if expected in (str, int) and type(value) is not expected:
            raise TypeError(f"{value!r} is no {expected}")


def mark_text(mark: Mark) -> bytes:
    ended = [{**one._asdict(), "reason": one.reason.value} for one in mark.ended]
    said = {"format": FORMAT, **mark._asdict(), "head": mark.head.hex(), "ended": ended}
    if not mark.tokens:  # then the text is that of before there were tokens
        del said["tokens"]
    return json.dumps(said, indent=1).encode() + b"\n"
