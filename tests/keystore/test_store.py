"""The contract, asked of every implementation: to add one, add how it is opened to STORES."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from keystore import minting
from keystore.access_key import AccessKey, RevokeReason, Status
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.bucket_claims import BucketClaim, ClaimState, tenure
from keystore.errors import Conflict, InvalidInput, NotFound
from keystore.scope import BucketGrant, Rights, Scope, SpecificBuckets
from keystore.sealing import KekRing, Secret
from keystore.sqlite import open_sqlite_store
from keystore.store import NewKey, Store, draft_key

NOW = 1_700_000_000
PHOTOS = SpecificBuckets((BucketGrant("photos"), BucketGrant("logs", Rights.READ_ONLY)))

Opener = Callable[[], AbstractAsyncContextManager[Store]]


def sqlite(folder: Path, ring: KekRing) -> Opener:
    return lambda: open_sqlite_store(folder / "contract.db", ring, create=True, clock=lambda: NOW + 0.5)


STORES: dict[str, Callable[[Path, KekRing], Opener]] = {"sqlite": sqlite}


@pytest.fixture(params=STORES)
def opener(request: pytest.FixtureRequest, tmp_path: Path, ring: KekRing) -> Opener:
    return STORES[request.param](tmp_path, ring)


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    async with opener() as opened:
        yield opened


def wish(
    label: str = "backup",
    scope: Scope = PHOTOS,
    account: str = DEFAULT_ACCOUNT,
    expires_at: int | None = None,
    not_before: int | None = None,
) -> NewKey:
    return NewKey(account, label, scope, expires_at, not_before)


async def made(store: Store, label: str = "backup", account: str = DEFAULT_ACCOUNT) -> AccessKey:
    access_key, _ = await store.create_key(wish(label, account=account), "ann")
    return access_key


async def test_the_default_account_exists_from_the_start(store: Store) -> None:
    assert [account.name for account in await store.list_accounts()] == ["default"]


async def test_accounts_are_listed_by_name_with_numbers_of_their_own(store: Store) -> None:
    made_account = await store.create_account("beta", "ann")
    await store.create_account("alpha", "ann")
    listed = await store.list_accounts()
    assert [account.name for account in listed] == ["alpha", "beta", "default"]
    assert made_account in listed
    assert len({account.number for account in listed}) == 3


async def test_an_account_name_is_taken_once(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.create_account("default", "ann")


async def test_a_bad_account_name_changes_nothing(store: Store) -> None:
    with pytest.raises(InvalidInput):
        await store.create_account("No Name", "ann")
    assert len(await store.list_accounts()) == 1


async def test_a_new_key_is_active_and_keeps_what_was_wished(store: Store) -> None:
    access_key, secret = await store.create_key(wish("  Büro ", not_before=NOW, expires_at=NOW + 9), "ann")
    assert (access_key.label, access_key.scope, access_key.status) == ("Büro", PHOTOS, Status.ACTIVE)
    assert (access_key.created_at, access_key.created_by) == (NOW, "ann")
    assert (access_key.not_before, access_key.expires_at) == (NOW, NOW + 9)
    assert len(secret.expose()) == 40
    assert await store.get_key(access_key.access_key_id) == access_key


@pytest.mark.parametrize("new", [wish(""), wish("a\u202eb"), wish(expires_at=NOW), wish(expires_at=-1)])
async def test_a_bad_wish_makes_no_key(store: Store, new: NewKey) -> None:
    with pytest.raises(InvalidInput):
        await store.create_key(new, "ann")
    assert await store.list_keys(None) == []


async def test_a_key_of_no_account_is_not_made(store: Store) -> None:
    with pytest.raises(NotFound):
        await made(store, account="nobody")


async def test_two_keys_may_have_one_label(store: Store) -> None:
    assert (await made(store)).access_key_id != (await made(store)).access_key_id


async def test_keys_are_listed_by_account_or_all(store: Store) -> None:
    await store.create_account("team", "ann")
    one, two = await made(store), await made(store, account="team")
    assert await store.list_keys("team") == [two]
    assert await store.list_keys("default") == [one]
    assert {key.access_key_id for key in await store.list_keys(None)} == {one.access_key_id, two.access_key_id}
    assert await store.list_keys("nobody") == []


async def test_a_revoked_key_stays_in_the_list(store: Store) -> None:
    access_key = await made(store)
    ended = await store.revoke_key(access_key.access_key_id, RevokeReason.UNUSED, "bob")
    assert (ended.status, ended.revoked_at, ended.revoked_by) == (Status.REVOKED, NOW, "bob")
    assert await store.list_keys(None) == [ended]
    assert await store.get_key(access_key.access_key_id) == ended


async def test_revoking_again_writes_again(store: Store) -> None:
    access_key = await made(store)
    versions = [
        (await store.revoke_key(access_key.access_key_id, RevokeReason.UNUSED, "bob")).version for _ in range(3)
    ]
    assert versions == [2, 3, 4]


async def test_a_deleted_key_is_gone_from_any_state(store: Store) -> None:
    active, ended = await made(store), await made(store)
    await store.revoke_key(ended.access_key_id, RevokeReason.COMPROMISED, "bob")
    for access_key in (active, ended):
        await store.delete_key(access_key.access_key_id, "bob")
        with pytest.raises(NotFound):
            await store.get_key(access_key.access_key_id)
    assert await store.list_keys(None) == []


@pytest.mark.parametrize("deleted_before", [False, True])
async def test_what_is_not_there_is_not_found(store: Store, *, deleted_before: bool) -> None:
    access_key_id = "NQAKnobody"
    if deleted_before:
        access_key_id = (await made(store)).access_key_id
        await store.delete_key(access_key_id, "bob")
    for act in (
        store.get_key(access_key_id),
        store.revoke_key(access_key_id, RevokeReason.OTHER, "bob"),
        store.delete_key(access_key_id, "bob"),
    ):
        with pytest.raises(NotFound):
            await act


async def test_a_deleted_id_is_never_issued_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["NQAKonce", "NQAKonce", "NQAKonce", "NQAKnext"])
    monkeypatch.setattr(minting, "mint_access_key_id", lambda: next(drawn))
    first = await made(store)
    await store.delete_key(first.access_key_id, "bob")
    second = await made(store)
    assert (first.access_key_id, second.access_key_id) == ("NQAKonce", "NQAKnext")


async def test_a_generator_that_repeats_itself_makes_no_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minting, "mint_access_key_id", lambda: "NQAKonce")
    await made(store)
    with pytest.raises(Conflict):
        await made(store)


async def test_many_mutations_at_once_all_hold(store: Store) -> None:
    keys = await asyncio.gather(*(made(store, f"label {number}") for number in range(12)))
    await asyncio.gather(*(store.revoke_key(key.access_key_id, RevokeReason.OTHER, "bob") for key in keys[:6]))
    listed = await store.list_keys(None)
    assert [key.status for key in listed].count(Status.REVOKED) == 6
    assert len(listed) == 12


async def test_all_of_it_is_there_after_opening_again(opener: Opener) -> None:
    async with opener() as first:
        access_key = await made(first)
        ended = await first.revoke_key(access_key.access_key_id, RevokeReason.ROTATION, "bob")
        accounts = await first.list_accounts()
    async with opener() as second:
        assert await second.list_keys(None) == [ended]
        assert await second.list_accounts() == accounts


def test_a_draft_is_active_and_in_its_first_version() -> None:
    drafted = draft_key(wish(" backup "), "NQAKone", NOW, "ann")
    assert (drafted.label, drafted.status, drafted.version) == ("backup", Status.ACTIVE, 1)


# ---- buckets ----


async def whose(store: Store, name: str) -> tuple[str, int]:
    return tenure((await store.list_claims(None)).get(name))


async def test_a_claimed_name_is_the_accounts_and_says_who_took_it(store: Store) -> None:
    claim, before = await store.claim_bucket("photos", "team", "ann")
    assert claim == BucketClaim("photos", "team", 1, ClaimState.HELD, NOW, "ann", 1)
    assert before is None
    assert await store.list_claims(None) == {"photos": claim}


async def test_a_name_that_another_account_holds_is_a_conflict_and_stays_so(store: Store) -> None:
    claim, _ = await store.claim_bucket("photos", "team", "ann")
    for account in ("default", "other"):
        with pytest.raises(Conflict):
            await store.claim_bucket("photos", account, "eve")
    assert await store.list_claims(None) == {"photos": claim}


async def test_claiming_ones_own_again_is_a_new_version(store: Store) -> None:
    first, _ = await store.claim_bucket("photos", "team", "ann")
    claim, before = await store.claim_bucket("photos", "team", "bob")
    assert (claim.generation, claim.version, before) == (1, 2, first)


async def test_a_released_name_is_the_defaults_until_somebody_claims_it(store: Store) -> None:
    claim, _ = await store.claim_bucket("photos", "team", "ann")
    await store.release_bucket("photos", claim.version, "ann")
    assert await whose(store, "photos") == ("default", 2)
    assert (await store.claim_bucket("photos", "other", "eve")).claim.generation == 2
    with pytest.raises(Conflict):
        await store.claim_bucket("photos", "team", "ann")


async def test_a_bucket_nobody_claimed_is_released_as_the_defaults(store: Store) -> None:
    await store.release_bucket("photos", 0, "ann")
    assert await whose(store, "photos") == ("default", 0)
    assert (await store.claim_bucket("photos", "default", "ann")).claim.generation == 0


async def test_a_release_decided_on_an_older_claim_is_a_conflict(store: Store) -> None:
    old, _ = await store.claim_bucket("photos", "team", "ann")
    claim, _ = await store.claim_bucket("photos", "team", "ann")
    for version in (0, old.version, claim.version + 1):
        with pytest.raises(Conflict):
            await store.release_bucket("photos", version, "ann")
    with pytest.raises(Conflict):
        await store.release_bucket("others", 1, "ann")
    assert await store.list_claims(None) == {"photos": claim}


async def test_an_undone_claim_leaves_what_stood_before(store: Store) -> None:
    first, _ = await store.claim_bucket("photos", "team", "ann")
    await store.release_bucket("photos", first.version, "ann")
    await store.undo_claim(await store.claim_bucket("photos", "other", "bob"), "bob")
    assert await whose(store, "photos") == ("default", 2)
    assert (await store.claim_bucket("photos", "team", "ann")).claim.generation == 1


async def test_the_first_claim_of_a_name_is_undone_as_well(store: Store) -> None:
    granted = await made(store)
    await store.undo_claim(await store.claim_bucket("photos", "team", "ann"), "ann")
    owner = tenure((await store.list_claims(None))["photos"])
    assert granted.permissions("photos", lambda _: owner)
    assert (await store.claim_bucket("photos", "other", "eve")).claim.generation == 1


async def test_a_claim_is_not_undone_after_the_name_was_claimed_anew(store: Store) -> None:
    first = await store.claim_bucket("photos", "team", "ann")
    second = await store.claim_bucket("photos", "team", "ann")
    for act in (store.undo_claim(first, "ann"), store.release_bucket("photos", first.claim.version, "ann")):
        with pytest.raises(Conflict):
            await act
    assert await store.list_claims(None) == {"photos": second.claim}
    await store.undo_claim(second, "ann")
    with pytest.raises(Conflict):
        await store.undo_claim(second, "ann")


async def test_the_operator_gives_a_name_away_whoever_holds_it(store: Store) -> None:
    for account in ("alpha", "beta"):
        await store.create_account(account, "ann")
    owners = [await store.assign_bucket("photos", account, "ann") for account in ("alpha", "beta", "beta", "default")]
    assert [claim.generation for claim in owners] == [1, 2, 2, 3]
    assert await store.list_claims(None) == {"photos": owners[-1]}


async def test_a_name_is_given_to_no_account_that_is_none(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.assign_bucket("photos", "nobody", "ann")
    assert await store.list_claims(None) == {}


@pytest.mark.parametrize("name", ["", "ab", "Photos", "photos'", "photos\0", "a..b", "1.2.3.4", "a/b", "büro"])
async def test_what_is_no_bucket_name_is_not_claimed(store: Store, name: str) -> None:
    for act in (
        store.claim_bucket(name, "default", "ann"),
        store.assign_bucket(name, "default", "ann"),
        store.release_bucket(name, 0, "ann"),
    ):
        with pytest.raises(InvalidInput):
            await act
    assert await store.list_claims(None) == {}


async def test_claims_are_listed_by_who_holds_or_held_them(store: Store) -> None:
    photos, _ = await store.claim_bucket("photos", "team", "ann")
    logs, _ = await store.claim_bucket("logs", "default", "ann")
    await store.release_bucket("photos", photos.version, "ann")
    assert list(await store.list_claims(None)) == ["logs", "photos"]
    assert list(await store.list_claims("team")) == ["photos"]
    assert await store.list_claims("default") == {"logs": logs}
    assert await store.list_claims("nobody") == {}


async def test_a_key_is_granted_each_bucket_in_the_generation_of_its_account(store: Store) -> None:
    await store.create_account("team", "ann")
    await store.claim_bucket("photos", "team", "ann")
    await store.assign_bucket("logs", "team", "ann")
    await store.assign_bucket("logs", "default", "ann")
    theirs, ours = await made(store, account="team"), await made(store)
    assert theirs.generations == {"photos": 1, "logs": 3}
    assert ours.generations == {"photos": 2, "logs": 2}
    for access_key in (theirs, ours):
        assert await store.get_key(access_key.access_key_id) == access_key
    owners = {name: tenure(claim) for name, claim in (await store.list_claims(None)).items()}
    reached = {
        (key.account, name) for key in (theirs, ours) for name in owners if key.permissions(name, owners.__getitem__)
    }
    assert reached == {("team", "photos"), ("default", "logs")}


async def test_many_claims_of_one_name_at_once_are_of_one_account(store: Store) -> None:
    claims = [store.claim_bucket("photos", f"team-{number}", "ann") for number in range(8)]
    results = await asyncio.gather(*claims, return_exceptions=True)
    assert [type(result) for result in results].count(Conflict) == 7


# ---- the credential of an account at the store ----


async def test_an_account_is_given_a_credential_and_loses_it_again(store: Store) -> None:
    given = await store.set_upstream("default", "AKIAOWN", Secret("s3cret/of+the=account"), "ann")
    assert (given.upstream, given.version) == ("AKIAOWN", 2)
    assert await store.list_accounts() == [given]
    taken = await store.set_upstream("default", None, None, "ann")
    assert (taken.upstream, taken.version) == (None, 3)
    assert await store.list_accounts() == [taken]
    assert (await made(store)).account == "default"


async def test_no_account_that_is_none_is_given_a_credential(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.set_upstream("nobody", "AKIAOWN", Secret("s" * 40), "ann")


@pytest.mark.parametrize("access_key_id", ["", "a/b", "a b", "a" * 129, "ä", "a\n"])
async def test_what_is_no_access_key_id_of_a_store_changes_nothing(store: Store, access_key_id: str) -> None:
    before = await store.list_accounts()
    with pytest.raises(InvalidInput):
        await store.set_upstream("default", access_key_id, Secret("s" * 40), "ann")
    assert await store.list_accounts() == before


@pytest.mark.parametrize(("access_key_id", "secret"), [("AKIAOWN", None), (None, Secret("s" * 40))])
async def test_half_a_credential_changes_nothing(
    store: Store, access_key_id: str | None, secret: Secret | None
) -> None:
    before = await store.list_accounts()
    with pytest.raises(InvalidInput):
        await store.set_upstream("default", access_key_id, secret, "ann")
    assert await store.list_accounts() == before
