"""The table of gateways in a PostgreSQL keystore: its statements, and its rows as types.

A row stands for one incarnation of a gateway's keeper. It is under no MAC: it is written several times a second, and
who writes the database behind our back could take it out as well. Knows no connection and no clock.
"""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from keystore import lease
from keystore.board import Cut
from keystore.chain import StoreRow
from keystore.errors import KeystoreUnavailable
from keystore.found_rows import STORE, read_store
from keystore.postgres_rows import SCHEMA

CHANNEL: Final = "nqgate"  # on which it is said that something was committed
MAX_CUTS: Final = 32  # changes that cut something and are still told of; who revokes reads his within seconds
MAX_NAMED: Final = 24  # requests with the store that are named; more are counted only
MAX_NAME: Final = 100  # characters of one of them

_LIVE: Final = "NOT fenced AND left_at IS NULL"
_MINE: Final = f"id = $1 AND {_LIVE}"

# $1 = id, $2 = name, $3 = keks, $4 = protocol. It holds nothing yet: applied and cut_seq are 0.
ADD_GATEWAY: Final = f"INSERT INTO {SCHEMA}.gateway (id, name, keks, protocol) VALUES ($1, $2, $3, $4)"  # noqa: S608
# Those that have ended under this name, so that a name has a few at most.
FORGET_GATEWAYS: Final = (
    f"DELETE FROM {SCHEMA}.gateway WHERE id IN (SELECT id FROM {SCHEMA}.gateway"  # noqa: S608
    f" WHERE name = $1 AND NOT ({_LIVE}) FOR UPDATE SKIP LOCKED)"
)
# $2 = the renewals it knows of, $3 = applied. Its row and the store's are of one moment; no row: it lost its place.
RENEW_GATEWAY: Final = (
    f"UPDATE {SCHEMA}.gateway SET renewals = renewals + 1, applied = $3 FROM {SCHEMA}.store s"  # noqa: S608
    f" WHERE {_MINE} AND renewals = $2 AND NOT pg_is_in_recovery() RETURNING {STORE}"
)
# $2 = applied, $3 = cut_seq, $4 = told, $5 = keks
ACKNOWLEDGE: Final = f"UPDATE {SCHEMA}.gateway SET applied = $2, cut_seq = $3, told = $4, keks = $5 WHERE {_MINE}"  # noqa: S608
# $2 = the renewals it was seen with: where they have moved since, somebody has a lease under this row. Where it is
# locked somebody is about to, or was cut off in the middle of that; nobody waits for him.
_UNMOVED: Final = f"id = (SELECT id FROM {SCHEMA}.gateway WHERE {_MINE} AND renewals = $2 FOR UPDATE SKIP LOCKED)"  # noqa: S608
LEAVE_GATEWAY: Final = f"UPDATE {SCHEMA}.gateway SET left_at = $3 WHERE {_UNMOVED}"  # noqa: S608  # $3 = Unix seconds
FENCE_GATEWAY: Final = f"UPDATE {SCHEMA}.gateway SET fenced = true WHERE {_UNMOVED}"  # noqa: S608
RENEWALS: Final = f"SELECT id, renewals FROM {SCHEMA}.gateway WHERE {_LIVE}"  # noqa: S608

SHOWN: Final = ("id", "name", "applied", "cut_seq", "told", "keks", "fenced", "left_at")
_SHOWN: Final = ", ".join(f"g.{name}" for name in SHOWN)
LIVE_GATEWAYS: Final = f"SELECT {_SHOWN} FROM {SCHEMA}.gateway g WHERE {_LIVE} ORDER BY name, id"  # noqa: S608
# $1 = ids, separated by blanks, whose rows come whatever has become of them. $2 = a change: its MAC comes with every
# row, and so does the store row.
GATEWAYS_AFTER: Final = (
    f"SELECT {STORE}, m.mac, {_SHOWN} FROM {SCHEMA}.store s LEFT JOIN {SCHEMA}.change m ON m.seq = $2"  # noqa: S608
    f" LEFT JOIN {SCHEMA}.gateway g ON ({_LIVE}) OR g.id = ANY(string_to_array($1, ' ')::uuid[])"
    " WHERE NOT pg_is_in_recovery()"
)


class Acknowledgement(NamedTuple):
    """What the workers of a gateway say. `taken`: every live one has applied up to here, and ended what that ended.

    `cuts`: what each change ended, of the newest. `in_store`: (change, what) of requests that are not settled.
    """

    taken: int
    cuts: dict[int, Cut]
    in_store: list[tuple[int, str]]


class Gateway(NamedTuple):
    """A gateway as its row shows it. `keks`: the kek_ids that it can use, the newest last."""

    id: UUID
    name: str
    row: lease.Row
    cuts: dict[int, Cut]
    in_store: list[tuple[int, str]]
    keks: tuple[str, ...]


class Snapshot(NamedTuple):
    """Of GATEWAYS_AFTER. `mac`: of the change that was asked for, None where it is gone."""

    store: StoreRow
    mac: bytes | None
    gateways: dict[UUID, Gateway]


def told_json(said: Acknowledgement) -> str:
    """What one column says of it."""
    newest = sorted(said.cuts)[-MAX_CUTS:]
    named = said.in_store[:MAX_NAMED]
    cuts = [[seq, *said.cuts[seq]] for seq in newest]
    return json.dumps({"cuts": cuts, "in_store": [[seq, what[:MAX_NAME]] for seq, what in named]})


def read_gateway(values: Sequence[object]) -> Gateway:
    """Of LIVE_GATEWAYS. KeystoreUnavailable for what no gateway writes."""
    try:
        return _gateway(*values)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise KeystoreUnavailable("a row in the table of gateways says nothing that can be understood") from error


def _gateway(
    gateway_id: object, name: object, applied: object, cut_seq: object, told: object, keks: object, fenced: object,
    left_at: object,
) -> Gateway:  # fmt: skip
    said = json.loads(str(told))
    cuts = {int(seq): Cut(*map(int, counts)) for seq, *counts in said.get("cuts", ())}
    in_store = [(int(seq), str(what)) for seq, what in said.get("in_store", ())]
    row = lease.Row(int(str(applied)), int(str(cut_seq)), fenced=fenced is not False, left=left_at is not None)
    return Gateway(UUID(str(gateway_id)), str(name), row, cuts, in_store, tuple(str(keks).split()))


def read_gateways(result: list[tuple[object, ...]]) -> Snapshot:
    """Of GATEWAYS_AFTER. RecordRefused where the store row is gone, or the server is a standby."""
    store = read_store(result)
    width = len(StoreRow._fields)
    mac = result[0][width]
    found = [read_gateway(row[width + 1 :]) for row in result if row[width + 1] is not None]
    return Snapshot(store, mac if isinstance(mac, bytes) else None, {one.id: one for one in found})
