"""What stands under which key-encryption key, and who has which of them loaded: as values, and in words.

Knows no database.
"""

from collections.abc import Sequence
from typing import NamedTuple

from keystore.chain import StoreRow
from keystore.errors import Conflict
from keystore.sealing import KekRing


class KekUse(NamedTuple):
    """What stands under one KEK. `seals`: new rows do. `retired`: it reads the log only. Not `loaded`: only rows tell
    of it. `changes` are history: they keep their KEK for ever, and are read with it.
    """

    kek_id: str
    loaded: bool
    newest: bool
    seals: bool
    retired: bool
    access_keys: int
    accounts: int
    buckets: int
    admin_tokens: int
    changes: int

    @property
    def rows(self) -> int:
        """That a rotation would seal anew."""
        return self.access_keys + self.accounts + self.buckets + self.admin_tokens


class Loaded(NamedTuple):
    """A live gateway, by its process on this machine or its name on whichever, and the kek_ids that it can use, the
    newest last; on this machine the newest eight that all of its workers can.
    """

    pid: int | None
    name: str | None
    keks: tuple[str, ...]

    @property
    def shown(self) -> str:
        return str(self.pid) if self.name is None else self.name


class KekStatus(NamedTuple):
    """`keks`: oldest first. `min_kek`: the oldest under which rows are accepted. `finished`: nothing to rotate."""

    min_kek: str
    keks: tuple[KekUse, ...]
    gateways: tuple[Loaded, ...]

    @property
    def newest(self) -> KekUse:
        return next(kek for kek in self.keks if kek.newest)

    @property
    def finished(self) -> bool:
        return self.newest.seals and self.min_kek == self.newest.kek_id

    @property
    def due(self) -> int:
        """Rows to seal anew."""
        return sum(kek.rows for kek in self.keks if not kek.newest)


def kek_uses(ring: KekRing, store: StoreRow, counted: Sequence[Sequence[object]]) -> tuple[KekUse, ...]:
    """Oldest first. `store`: a verified store row. `counted`: table, kek_id, rows."""
    counts = {(table, str(kek_id)): rows for table, kek_id, rows in counted if isinstance(rows, int)}
    usable = ring.since(store.min_kek)
    loaded = [kek.kek_id for kek in (*usable.retired, *usable.keks)]
    strange = sorted({kek_id for _, kek_id in counts} - set(loaded))
    retired = {kek.kek_id for kek in usable.retired}
    return tuple(
        KekUse(
            kek_id=kek_id,
            loaded=kek_id in loaded,
            newest=kek_id == ring.newest.kek_id,
            seals=kek_id == store.kek_id,
            retired=kek_id in retired,
            access_keys=counts.get(("access_key", kek_id), 0),
            accounts=counts.get(("account", kek_id), 0),
            buckets=counts.get(("bucket", kek_id), 0),
            admin_tokens=counts.get(("admin_token", kek_id), 0),
            changes=counts.get(("change", kek_id), 0),
        )
        for kek_id in (*strange, *loaded)
    )


def kek_status_json(status: KekStatus) -> dict[str, object]:
    return {
        "min_kek": status.min_kek,
        "keks": [kek._asdict() for kek in status.keks],
        "gateways": [{**each._asdict(), "keks": list(each.keks)} for each in status.gateways],
    }


def not_loaded(who: str, lacking: Sequence[str], kek_id: str) -> Conflict:
    """`who`: "process" or "gateway". `lacking`: those that could read nothing any more."""
    subject = f"{who} {lacking[0]} has" if len(lacking) == 1 else f"{_plural(who)} {', '.join(lacking)} have"
    return Conflict(
        f"{subject} not loaded key-encryption key {kek_id}, and could read nothing after a rotation: does it read"
        " the same KEK file? Its log says why not, or restart it"
    )


def _plural(who: str) -> str:
    return who + ("es" if who.endswith("s") else "s")
