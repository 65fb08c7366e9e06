import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystore.access_key import AccessKey, Status, granted_now, unreachable_buckets
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.bucket_claims import (
    UNCLAIMED,
    BucketClaim,
    ClaimState,
    Tenure,
    assigned,
    claimed,
    generation_for,
    released,
    tenure,
    undone,
)
from keystore.errors import Conflict, InvalidInput
from keystore.scope import AllBuckets, BucketGrant, SpecificBuckets
from tests.support.soak import TIMES

NAME = "photos"
HELD, RELEASED = ClaimState.HELD, ClaimState.RELEASED


def claim(account: str, generation: int, state: ClaimState = HELD, version: int = 5) -> BucketClaim:
    return BucketClaim(NAME, account, generation, state, 1, "ann", version)


# ---- whose a name is ----


@pytest.mark.parametrize(
    ("found", "whose"),
    [
        (None, ("default", 0)),
        (claim("default", 0), ("default", 0)),
        (claim("default", 0, RELEASED), ("default", 0)),
        (claim("default", 4, RELEASED), ("default", 4)),
        (claim("alpha", 1), ("alpha", 1)),
        (claim("alpha", 1, RELEASED), ("default", 2)),
        (claim("alpha", 6, RELEASED), ("default", 7)),
    ],
)
def test_what_nobody_holds_is_the_default_accounts(found: BucketClaim | None, whose: tuple[str, int]) -> None:
    assert tenure(found) == Tenure(*whose)


@pytest.mark.parametrize("state", ClaimState)
def test_who_held_the_name_last_keeps_its_generation_and_another_begins_the_next(state: ClaimState) -> None:
    held = claim("alpha", 3, state)
    assert [generation_for(held, account) for account in ("alpha", "beta", "default")] == [3, 4, 4]


def test_the_first_claim_of_another_account_begins_generation_one() -> None:
    assert [generation_for(None, account) for account in ("default", "alpha")] == [0, 1]


# ---- the four acts ----


@pytest.mark.parametrize(
    ("before", "account", "generation", "version"),
    [
        (None, "default", 0, 1),
        (None, "alpha", 1, 1),
        (claim("alpha", 3), "alpha", 3, 6),
        (claim("alpha", 3, RELEASED), "alpha", 3, 6),
        (claim("alpha", 3, RELEASED), "beta", 4, 6),
        (claim("alpha", 3, RELEASED), "default", 4, 6),
        (claim("default", 0, RELEASED), "alpha", 1, 6),
    ],
)
def test_a_free_name_and_ones_own_are_claimed(
    before: BucketClaim | None, account: str, generation: int, version: int
) -> None:
    made = BucketClaim(NAME, account, generation, HELD, 9, "bob", version)
    assert claimed(before, NAME, account, 9, "bob") == made
    assert assigned(before, NAME, account, 9, "bob") == made


@pytest.mark.parametrize("holder", ["default", "alpha"])
def test_a_name_that_another_account_holds_is_not_claimed(holder: str) -> None:
    with pytest.raises(Conflict, match=NAME):
        claimed(claim(holder, 0), NAME, "beta", 9, "bob")


def test_the_operator_gives_a_name_to_another_whoever_holds_it() -> None:
    assert assigned(claim("alpha", 3), NAME, "beta", 9, "bob") == BucketClaim(NAME, "beta", 4, HELD, 9, "bob", 6)
    assert assigned(claim("alpha", 3), NAME, "default", 9, "bob").generation == 4


def test_what_was_deleted_is_remembered_with_who_held_it() -> None:
    assert released(claim("alpha", 3), NAME, 9, "bob") == BucketClaim(NAME, "alpha", 3, RELEASED, 9, "bob", 6)
    assert released(None, NAME, 9, "bob") == BucketClaim(NAME, "default", 0, RELEASED, 9, "bob", 1)


BEFORE = [
    None,
    claim("default", 0, RELEASED),
    claim("alpha", 3, RELEASED),
    claim("beta", 3, RELEASED),
    claim("beta", 3),
]


@pytest.mark.parametrize("before", BEFORE)
def test_an_undone_claim_leaves_what_stood_before_in_a_new_version(before: BucketClaim | None) -> None:
    made = claimed(before, NAME, "beta", 9, "bob")
    back = undone(made, before, 10, "eve")
    assert tenure(back) == tenure(before)
    for account in ("default", "alpha", "beta"):
        assert generation_for(back, account) == generation_for(before, account)
    assert (back.version, back.changed_at, back.changed_by) == (made.version + 1, 10, "eve")


def test_a_name_whose_first_claim_was_undone_can_be_claimed_by_anybody() -> None:
    back = undone(claimed(None, NAME, "alpha", 9, "bob"), None, 10, "bob")
    assert tenure(back) == UNCLAIMED
    assert [claimed(back, NAME, account, 11, "eve").generation for account in ("default", "alpha", "beta")] == [0, 1, 1]


@pytest.mark.parametrize(
    "name", ["", "ab", "a_b", "Photos", "photos ", "photos\0", "photos'", "a/b", "a..b", "1.2.3.4"]
)
def test_what_is_no_bucket_name_is_never_claimed(name: str) -> None:
    for take in (claimed, assigned):
        with pytest.raises(InvalidInput):
            take(None, name, "alpha", 9, "bob")
    with pytest.raises(InvalidInput):
        released(None, name, 9, "bob")


@pytest.mark.parametrize(("generation", "version"), [(-1, 1), (0, 0), (0, -1)])
def test_generations_and_versions_never_run_backwards(generation: int, version: int) -> None:
    with pytest.raises(InvalidInput):
        claim("alpha", generation, HELD, version)


# ---- a grant and the life of the name ----

ACCOUNTS = (DEFAULT_ACCOUNT, "alpha", "beta")
TEMPLATE = AccessKey("NQAKone", "alpha", "k", SpecificBuckets((BucketGrant(NAME),)), Status.ACTIVE, 1, "ann")


@dataclass
class Granted:
    """A key and what the history was when it was made."""

    key: AccessKey
    seen: int
    holder: str


@dataclass
class Name:
    """One name under the rules, beside a plain history: who took it one after another. It knows no generation."""

    claim: BucketClaim | None = None
    history: list[str] = field(default_factory=lambda: [DEFAULT_ACCOUNT])
    held: bool = False
    grants: list[Granted] = field(default_factory=list)

    def grant(self, account: str) -> None:
        claims = {} if self.claim is None else {NAME: self.claim}
        key = granted_now(replace(TEMPLATE, account=account), claims)
        self.grants.append(Granted(key, len(self.history), self.history[-1]))

    def take(self, account: str) -> None:
        if self.held and self.history[-1] != account:
            with pytest.raises(Conflict):
                claimed(self.claim, NAME, account, 2, "ann")
            return
        self.claim = claimed(self.claim, NAME, account, 2, "ann")
        self._taken(account)

    def assign(self, account: str) -> None:
        self.claim = assigned(self.claim, NAME, account, 2, "ann")
        self._taken(account)

    def _taken(self, account: str) -> None:
        self.history.append(account)
        self.held = True

    def delete(self, account: str) -> None:
        self.claim = released(self.claim, NAME, 2, "ann")
        self.held = False

    def refused(self, account: str) -> None:
        """A claim that the store refused; a key its account was given meanwhile is as one given before it."""
        if self.held and self.history[-1] != account:
            return
        before = self.claim
        self.claim = claimed(before, NAME, account, 2, "ann")
        self.grant(account)
        self.claim = undone(self.claim, before, 2, "ann")

    def owner(self) -> str:
        return self.history[-1] if self.held else DEFAULT_ACCOUNT

    def reached_by(self, granted: Granted) -> bool:
        """Its account owns the name, and since the key was made nobody else took it. Who held it last at that time may
        have made its deleted bucket again: that begins nothing new.
        """
        since = itertools.dropwhile(lambda account: account == granted.holder, self.history[granted.seen :])
        return self.owner() == granted.key.account and set(since) <= {granted.key.account}


def check(name: Name) -> None:
    claims = {} if name.claim is None else {NAME: name.claim}
    now = tenure(name.claim)
    assert now.account == name.owner()
    for granted in name.grants:
        reaches = bool(granted.key.permissions(NAME, lambda _: now))
        assert reaches is name.reached_by(granted)
        assert reaches or unreachable_buckets(granted.key, claims)
        everywhere = replace(granted.key, scope=AllBuckets())
        assert bool(everywhere.permissions(NAME, lambda _: now)) is (name.owner() == granted.key.account)


Act = Callable[[Name, str], None]
ACTS: list[Act] = [Name.take, Name.assign, Name.delete, Name.refused]
acts = st.sampled_from([Name.grant, Name.grant, Name.delete, *ACTS])


@given(st.lists(st.tuples(acts, st.sampled_from(ACCOUNTS)), max_size=40))
@settings(max_examples=400 * TIMES)
def test_a_grant_reaches_a_name_only_while_nobody_else_took_it(steps: list[tuple[Act, str]]) -> None:
    name = Name()
    for act, account in steps:
        version = 0 if name.claim is None else name.claim.version
        act(name, account)
        assert version <= (0 if name.claim is None else name.claim.version) <= version + 2
        check(name)


def test_every_short_life_of_a_name_keeps_the_rule() -> None:
    for life in itertools.product(itertools.product(ACTS, ACCOUNTS), repeat=3):
        name = Name()
        for act, account in life:
            for grantee in ACCOUNTS:
                name.grant(grantee)
            act(name, account)
        check(name)


def test_a_grant_is_not_alive_again_after_another_account_had_the_name() -> None:
    name = Name()
    name.take("alpha")
    name.grant("alpha")
    name.delete("alpha")
    name.take("beta")
    name.delete("beta")
    name.take("alpha")
    [granted] = name.grants
    assert not granted.key.permissions(NAME, lambda _: tenure(name.claim))


def test_grants_of_the_default_account_outlive_a_claim_that_was_refused() -> None:
    name = Name()
    name.grant("default")
    name.refused("alpha")
    assert name.grants[0].key.permissions(NAME, lambda _: tenure(name.claim))
