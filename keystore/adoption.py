"""Accepting a keystore that went back in time: a backup that was restored, a copy, a fork.

What it has forgotten and the mark remembers is done again first: keys that were ended are revoked. Then its generation
is raised, under its MACs and in its log, and the mark moves to it. Stopped anywhere before that, it is refused still.
What the mark does not know is not brought back: keys made since, scopes narrowed since, buckets given away since.
"""

from typing import Final, NamedTuple

from keystore.access_key import Status
from keystore.errors import MarkUnreadable, NotFound, RecordRefused, WrongKek
from keystore.high_water import HighWater, read_mark
from keystore.mark import Ended, Mark
from keystore.sqlite import SqliteStore

ACTOR: Final = "adopt"  # of the revokes; the adoption itself is somebody's


class Case(NamedTuple):
    """`why`: the keystore is not accepted; "" = it is, there is nothing to do. `mark`: None where it says nothing."""

    why: str
    mark: Mark | None


class Adopted(NamedTuple):
    """`revoked`: the keys that were ended again. `refused`: those whose record does not hold and so opens nothing."""

    generation: int
    revoked: tuple[Ended, ...]
    refused: tuple[str, ...]


def consider(water: HighWater) -> Case:
    """KeystoreUnavailable when the keystore or the mark cannot be read."""
    try:
        mark = read_mark(water.path)
    except MarkUnreadable as error:
        return Case(str(error), None)
    return Case("" if mark is None else water.judge(mark), mark)


async def adopt(store: SqliteStore, water: HighWater, case: Case, actor: str) -> Adopted:
    """RecordRefused, and nothing done, when the keystore's log does not hold."""
    remembered = () if case.mark is None else case.mark.ended
    water.survey(remembered)
    revoked: list[Ended] = []
    refused: list[str] = []
    for one in remembered:
        try:
            access_key = await store.get_key(one.access_key_id)
        except NotFound:
            continue
        except (RecordRefused, WrongKek):
            refused.append(one.access_key_id)
            continue
        if access_key.status is Status.ACTIVE:
            await store.revoke_key(one.access_key_id, one.reason, ACTOR)
            revoked.append(one)
    told: dict[str, object] = {"why": case.why, "revoked_again": len(revoked)}
    generation = await store.adopt(0 if case.mark is None else case.mark.generation, actor, told)
    water.rewrite(remembered)
    return Adopted(generation, tuple(revoked), tuple(refused))
