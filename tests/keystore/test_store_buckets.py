"""The contract, asked of every implementation: buckets, and the credential of an account."""

import asyncio

import pytest

from keystore.access_key import AccessKey, RevokeReason
from keystore.bucket_claims import BucketClaim, ClaimState, tenure
from keystore.derived import UpstreamCredential
from keystore.errors import Conflict, InvalidInput, NotFound
from keystore.key_acts import Edit
from keystore.sealing import Secret
from keystore.store import Store
from tests.support.contract import NOW, PHOTOS, made, opener, store

__all__ = ["opener", "store"]  # fixtures, in place of those of this folder


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


async def test_claims_are_found_by_name_and_only_those_that_were_asked_for(store: Store) -> None:
    photos, _ = await store.claim_bucket("photos", "team", "ann")
    logs, _ = await store.claim_bucket("logs", "default", "ann")
    await store.release_bucket("photos", photos.version, "ann")
    assert await store.claims(["logs", "never", "logs"]) == {"logs": logs}
    assert not (await store.claims(iter(["photos"])))["photos"].held
    assert await store.claims([]) == {}
    assert await store.claims("'\"%_") == {}


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


async def reached(store: Store, access_key: AccessKey) -> set[str]:
    owned = await store.list_claims(None)
    return {
        name
        for name in access_key.grants or ()
        if access_key.permissions(name, lambda bucket: tenure(owned.get(bucket)))
    }


async def test_no_act_but_a_new_scope_makes_a_lost_bucket_reachable(store: Store) -> None:
    """`photos` goes to another account and comes back: what was granted before stays shut."""
    await store.create_account("team", "ann")
    access_key_id = (await made(store)).access_key_id
    for account in ("team", "default"):
        await store.assign_bucket("photos", account, "ann")
    assert await reached(store, await store.get_key(access_key_id)) == {"logs"}
    await store.update_key(access_key_id, Edit(label="x"), "bob")
    await store.update_key(access_key_id, Edit(expires_at=NOW + 99), "bob")
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    await store.restore_key(access_key_id, "bob")
    successor, _, ended = await store.roll_key(access_key_id, 60, "bob")
    for access_key in (successor, ended):
        assert await reached(store, await store.get_key(access_key.access_key_id)) == {"logs"}
    await store.update_key(successor.access_key_id, Edit(scope=PHOTOS), "bob")
    assert await reached(store, await store.get_key(successor.access_key_id)) == {"logs", "photos"}
    assert await reached(store, await store.get_key(access_key_id)) == {"logs"}


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


async def test_who_signs_for_an_account_at_the_store_is_its_own_credential_or_nobody(store: Store) -> None:
    assert await store.store_credential("default") is None
    await store.set_upstream("default", "AKIAOWN", Secret("s" * 40), "ann")
    found = await store.store_credential("default")
    assert found is not None
    expected = UpstreamCredential("AKIAOWN", "s" * 40)
    assert (found.access_key_id, found.signing_key(b"20260101", b"eu")) == (
        "AKIAOWN",
        expected.signing_key(b"20260101", b"eu"),
    )
    await store.set_upstream("default", None, None, "ann")
    assert await store.store_credential("default") is None
    with pytest.raises(NotFound):
        await store.store_credential("nobody")
