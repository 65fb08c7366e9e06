"""Accepting a keystore that went back in time: a backup that was restored, a copy, a fork.

What it has forgotten and the mark remembers is done again first: ended keys and tokens are revoked. Then its generation
is raised, under its MACs and in its log, and the mark moves to it. Stopped anywhere before that, it is refused still.
What the mark does not know is not brought back: keys made since, scopes narrowed since, buckets given away since.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from keystore.access_key import Status
from keystore.errors import MarkUnreadable, NotFound, RecordRefused, WrongKek
from keystore.mark import Ended, Mark
from keystore.mark_file import read_mark
from keystore.store_acts import StoreActs

ACTOR: Final = "adopt"  # of the revokes; the adoption itself is somebody's


class Case(NamedTuple):
    """`why`: the keystore is not accepted; "" = it is, there is nothing to do. `mark`: None where it says nothing."""

    why: str
    mark: Mark | None


class Adopted(NamedTuple):
    """`revoked`: the keys that were ended again; `tokens`: the admin tokens, by id. `refused`: ids of either whose
    record does not hold and so opens nothing."""

    generation: int
    revoked: tuple[Ended, ...]
    refused: tuple[str, ...]
    tokens: tuple[str, ...] = ()


class Water(Protocol):
    """The mark of a keystore, whatever database that is in."""

    @property
    def path(self) -> Path: ...

    async def judge(self, mark: Mark) -> str:
        """`why_back` of the keystore as it is now."""

    async def survey(self, known: Mark | None) -> Mark:
        """The mark that the keystore as it is now would have, its whole log verified, and what else was `known`.

        RecordRefused when the log does not hold.
        """

    async def rewrite(self, known: Mark | None) -> None:
        """The mark is where the keystore is now, whatever was `known` before; what else that remembers is kept."""


async def consider(water: Water) -> Case:
    """KeystoreUnavailable when the keystore or the mark cannot be read."""
    try:
        mark = read_mark(water.path)
    except MarkUnreadable as error:
        return Case(str(error), None)
    return Case("" if mark is None else await water.judge(mark), mark)


async def adopt(store: StoreActs, water: Water, case: Case, actor: str) -> Adopted:
    """RecordRefused, and nothing done, when the keystore's log does not hold."""
    await water.survey(case.mark)
    revoked: list[Ended] = []
    refused: list[str] = []
    for one in () if case.mark is None else case.mark.ended:
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
    tokens, not_read = await _revoke_tokens(store, () if case.mark is None else case.mark.tokens)
    told: dict[str, object] = {"why": case.why, "revoked_again": len(revoked), "tokens_revoked_again": len(tokens)}
    generation = await store.adopt(0 if case.mark is None else case.mark.generation, actor, told)
    await water.rewrite(case.mark)
    return Adopted(generation, tuple(revoked), (*refused, *not_read), tokens)


async def _revoke_tokens(store: StoreActs, token_ids: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that were valid, and those whose record does not hold."""
    revoked: list[str] = []
    refused: list[str] = []
    for token_id in token_ids:
        try:
            token = await store.find_token(token_id)
        except (RecordRefused, WrongKek):
            refused.append(token_id)
            continue
        if token is not None and token.revoked_at is None:
            await store.revoke_token(token_id, ACTOR)
            revoked.append(token_id)
    return tuple(revoked), tuple(refused)
