"""The change log: one row per mutation, contiguous from 1, each under a MAC that covers the one before it.

Pure: the MAC key is handed in. `mac_n = HMAC(K_chain, mac_{n-1} ‖ length-prefixed row_n ‖ SHA-256(record after))`.
The log is the audit log too. A row that was edited, swapped, inserted or taken out breaks the chain there.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, NamedTuple

from keystore.errors import RecordRefused
from keystore.record import length_prefixed

GENESIS: Final = bytes(32)  # stands for the MAC before the first row
NO_RECORD: Final = b""  # in `record_sha256` of a change after which no record is left


class Kind(Enum):
    ACCOUNT_CREATE = "account.create"
    KEY_CREATE = "key.create"
    KEY_REVOKE = "key.revoke"
    KEY_DELETE = "key.delete"
    KEY_RESTORE = "key.restore"
    KEY_ROLL = "key.roll"
    KEY_UPDATE = "key.update"
    ACCOUNT_UPSTREAM = "account.upstream"
    BUCKET_CLAIM = "bucket.claim"
    BUCKET_RELEASE = "bucket.release"
    BUCKET_ASSIGN = "bucket.assign"
    BUCKET_UNDO = "bucket.undo"
    TOKEN_CREATE = "token.create"  # noqa: S105
    TOKEN_REVOKE = "token.revoke"  # noqa: S105
    CONSOLE_SIGN_IN = "console.sign_in"
    KEYSTORE_ADOPT = "keystore.adopt"
    KEK_RESEAL = "kek.reseal"
    KEK_RETIRE = "kek.retire"


# Kinds after which exactly what the change names must be looked up again: the access key, the bucket, the account. A
# kind in none of these sets: everything must.
OF_A_KEY: Final = frozenset(
    {
        Kind.KEY_CREATE.value,
        Kind.KEY_REVOKE.value,
        Kind.KEY_DELETE.value,
        Kind.KEY_RESTORE.value,
        Kind.KEY_ROLL.value,
        Kind.KEY_UPDATE.value,
    }
)
OF_A_BUCKET: Final = frozenset(
    {Kind.BUCKET_CLAIM.value, Kind.BUCKET_RELEASE.value, Kind.BUCKET_ASSIGN.value, Kind.BUCKET_UNDO.value}
)
OF_AN_ACCOUNT: Final = frozenset({Kind.ACCOUNT_CREATE.value, Kind.ACCOUNT_UPSTREAM.value})
OF_SEALS: Final = frozenset({Kind.KEK_RESEAL.value})  # after which every record says what it said: nothing must
OF_A_TOKEN: Final = frozenset({Kind.TOKEN_CREATE.value, Kind.TOKEN_REVOKE.value})  # no S3 request knows tokens: nothing
OF_A_SIGN_IN: Final = frozenset({Kind.CONSOLE_SIGN_IN.value})  # of a person to the console; no record says so: nothing
OF_NO_REQUEST: Final = OF_SEALS | OF_A_TOKEN | OF_A_SIGN_IN


class Change(NamedTuple):
    """A row of the log as stored. `at`: Unix seconds. `body`: JSON, what a person wants to read later; no secret.

    `kind` is text, so that a row of a newer gateway can be read and its chain checked.
    """

    seq: int
    request_id: str
    kind: str
    account: str
    access_key_id: str | None
    actor: str
    at: int
    body: bytes
    record_sha256: bytes
    kek_id: str
    mac: bytes
    bucket: str | None = None
    token: str | None = None  # the id of an admin token


def record_digest(record: bytes | None) -> bytes:
    return NO_RECORD if record is None else hashlib.sha256(record).digest()


def link(mac_key: bytes, store_id: str, previous: bytes, change: Change) -> bytes:
    """The 32-byte MAC that `change` must carry after a row with MAC `previous`; `change.mac` itself is not read."""
    present = b"\x00" if change.access_key_id is None else b"\x01"
    covered = length_prefixed(
        previous, store_id, change.seq, change.request_id, change.kind, change.account, present,
        change.access_key_id or "", change.actor, change.at, change.body, change.record_sha256, change.kek_id,
    )  # fmt: skip
    if change.bucket is not None:  # where there is none, the text is that of before there were buckets
        covered += length_prefixed("bucket", change.bucket)
    if change.token is not None:  # likewise
        covered += length_prefixed("token", change.token)
    return hmac.digest(mac_key, covered, "sha256")


def linked(mac_key: bytes, store_id: str, previous: bytes, change: Change) -> Change:
    return change._replace(mac=link(mac_key, store_id, previous, change))


class StoreRow(NamedTuple):
    """The one row that names the keystore and says where its log ends; under a MAC of its own.

    `lease_ms`: how long a gateway on another machine may trust its last proof. `min_kek`: the oldest KEK whose rows
    are still accepted. `protocol`: the form of rows and MACs; a gateway that knows a lower one refuses the keystore.
    """

    store_id: str
    generation: int
    seq: int
    head: bytes
    lease_ms: int
    min_kek: str
    protocol: int
    kek_id: str
    canary: bytes
    mac: bytes


def store_mac(mac_key: bytes, row: StoreRow) -> bytes:
    """32 bytes over everything in the row but the MAC itself."""
    return hmac.digest(mac_key, length_prefixed("store", *row[:-1]), "sha256")


class Position(NamedTuple):
    """How far the log was read: the last sequence number and the MAC there."""

    seq: int
    head: bytes


START: Final = Position(0, GENESIS)


def follow(
    position: Position, changes: Iterable[Change], store_id: str, mac_key_of: Callable[[str], bytes]
) -> Position:
    """The position after `changes`. RecordRefused at the first gap or broken link. `mac_key_of`: kek_id → K_chain."""
    seq, head = position
    for change in changes:
        seq += 1
        if change.seq != seq:
            raise RecordRefused(f"the change log has no row {seq}: it was taken out")
        if not hmac.compare_digest(link(mac_key_of(change.kek_id), store_id, head, change), change.mac):
            raise RecordRefused(f"the change log is broken at row {seq}: it was not written by this keystore")
        head = change.mac
    return Position(seq, head)
