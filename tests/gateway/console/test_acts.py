"""What acts add to the store: who sees what, and what lies around keys."""

import json

import pytest

from gateway.refusals import Refusal
from gateway.s3.listing import ListedBucket
from gateway.verdict import Question, read_operation
from keystore.access_key import RevokeReason
from keystore.errors import InvalidInput, KeystoreUnavailable, NotFound
from keystore.key_acts import Edit
from keystore.refused import Refused, write_refused
from keystore.scope import AllBuckets, BucketGrant, SpecificBuckets
from keystore.store import NewKey
from keystore.uploads import forget_uploads
from keystore.usage import Used, read_usage, write_usage
from tests.support.plane import ACME, OPERATOR, Plane


def refused(request_id: str, account: str, at: int = 1_800_000_000) -> Refused:
    refusal = Refusal(request_id, at, "AccessDenied", "scope", "no", "NQAK", account, "photos", "GET", "/", "::1", "")
    return Refused(request_id, at, account, json.dumps(refusal._asdict()))


async def test_every_act_on_a_key_of_another_account_finds_none(plane: Plane) -> None:
    acts = plane.acts
    theirs = await plane.key()
    question = Question(read_operation("GetObject"), "photos", b"")
    for attempt in (
        acts.key(ACME, theirs),
        acts.update(ACME, theirs, Edit(label="x")),
        acts.revoke(ACME, theirs, RevokeReason.OTHER),
        acts.restore(ACME, theirs),
        acts.roll(ACME, theirs, 0),
        acts.delete(ACME, theirs),
        acts.events(ACME, theirs, 10),
        acts.successors(ACME, theirs),
        acts.verdict(ACME, theirs, question),
    ):
        with pytest.raises(NotFound, match="no access key of that id"):
            await attempt
    assert (await acts.key(OPERATOR, theirs))["version"] == 1


@pytest.mark.parametrize("access_key_id", ["", "../keys", "x" * 10_000, "NQAK 0", "\0"])
async def test_what_is_no_id_is_no_key(plane: Plane, access_key_id: str) -> None:
    with pytest.raises(NotFound):
        await plane.acts.key(OPERATOR, access_key_id)
    with pytest.raises(NotFound):
        await plane.acts.events(OPERATOR, access_key_id, 1)


async def test_a_bucket_name_the_store_keeps_for_itself_is_in_no_scope(plane: Plane) -> None:
    reserved = sorted(plane.acts._policy.profile.reserved)
    if not reserved:
        plane.acts._policy = plane.acts._policy._replace(
            profile=plane.acts._policy.profile._replace(reserved=frozenset({"kept"}))
        )
        reserved = ["kept"]
    scope = SpecificBuckets((BucketGrant(reserved[0]),))
    with pytest.raises(InvalidInput, match="for itself"):
        await plane.acts.create(OPERATOR, NewKey("default", "x", scope))
    with pytest.raises(InvalidInput, match="for itself"):
        await plane.acts.update(OPERATOR, await plane.key(), Edit(scope=scope))


async def test_the_dates_of_a_deleted_key_go_with_it(plane: Plane) -> None:
    access_key_id = await plane.key()
    used = Used(1_800_000_000, "GetObject", "photos", "::1", "us-east-1", "")
    write_usage(plane.folder / "keys.db", {access_key_id: used}, {})
    await plane.acts.delete(OPERATOR, access_key_id)
    assert read_usage(plane.folder / "keys.db") == {}
    forget_uploads(plane.folder / "keys.db", access_key_id)


async def test_buckets_are_those_of_the_store_and_those_that_were_claimed(plane: Plane) -> None:
    store = plane.keystore.store
    plane.buckets = [ListedBucket("free", "2026-01-01T00:00:00Z"), ListedBucket("photos", "2026-02-01T00:00:00Z")]
    await store.assign_bucket("photos", "acme", "test")
    claim = (await store.claim_bucket("gone", "acme", "test")).claim
    await store.release_bucket("gone", claim.version, "test")
    own = await plane.acts.buckets(ACME, None)
    assert [(one.name, one.account, one.status) for one in own] == [
        ("gone", "acme", "deleted"),
        ("photos", "acme", "active"),
    ]
    every = await plane.acts.buckets(OPERATOR, None)
    assert [one.name for one in every] == ["free", "gone", "photos"]
    assert [one.name for one in await plane.acts.buckets(OPERATOR, "default")] == ["free"]
    with pytest.raises(NotFound):
        await plane.acts.buckets(ACME, "default")


async def test_a_bucket_names_the_active_keys_that_reach_it(plane: Plane) -> None:
    store = plane.keystore.store
    plane.buckets = [ListedBucket("photos", "2026-02-01T00:00:00Z"), ListedBucket("films", "2026-02-01T00:00:00Z")]
    for name in ("photos", "films"):
        await store.assign_bucket(name, "acme", "test")
    everywhere = await plane.key("all", "acme")
    named = await plane.key("named", "acme", scope=SpecificBuckets((BucketGrant("photos"),)))
    await plane.key("of another account")
    revoked = await plane.key("revoked", "acme")
    await store.revoke_key(revoked, RevokeReason.OTHER, "test")
    expired = await plane.key("expired", "acme", expires_at=int(plane.now) + 1)
    plane.now += 1
    films, photos = await plane.acts.buckets(ACME, None)
    assert {access_key_id for access_key_id, _ in photos.keys} == {everywhere, named}
    assert ([access_key_id for access_key_id, _ in films.keys], films.keys_in_all) == ([everywhere], 1)
    assert expired not in {access_key_id for access_key_id, _ in photos.keys}


async def test_a_key_granted_for_an_earlier_claim_does_not_reach_the_bucket(plane: Plane) -> None:
    store = plane.keystore.store
    plane.buckets = [ListedBucket("photos", "2026-02-01T00:00:00Z")]
    await store.assign_bucket("photos", "acme", "test")
    await plane.key("old", "acme", scope=SpecificBuckets((BucketGrant("photos"),)))
    await store.assign_bucket("photos", "default", "test")
    await store.assign_bucket("photos", "acme", "test")
    [photos] = await plane.acts.buckets(ACME, None)
    assert photos.keys_in_all == 0


async def test_refusals_are_shown_to_whose_key_was_refused(plane: Plane) -> None:
    rows = [refused("A" * 16, "acme", 1_800_000_001), refused("B" * 16, "default"), refused("C" * 16, "")]
    write_refused(plane.folder / "keys.db", rows, 1_800_000_001)
    assert [one.request_id for one in await plane.acts.refusals(ACME, None, 10)] == ["A" * 16]
    every = await plane.acts.refusals(OPERATOR, None, 10)
    assert (every[0].request_id, len(every)) == ("A" * 16, 3)
    assert await plane.acts.refusals(ACME, "default", 10) == []
    assert (await plane.acts.refusal(ACME, f" {'a' * 16} ")).account == "acme"
    for hidden in ("B" * 16, "C" * 16, "D" * 16, "x" * 10_000):
        with pytest.raises(NotFound, match="nothing is known"):
            await plane.acts.refusal(ACME, hidden)


async def test_accounts_are_those_the_caller_sees(plane: Plane) -> None:
    assert [one["name"] for one in await plane.acts.accounts(OPERATOR)] == ["acme", "default"]
    [acme] = await plane.acts.accounts(ACME)
    assert (acme["name"], len(acme["number"])) == ("acme", 12)


async def test_a_wish_for_a_key_of_another_account_is_refused(plane: Plane) -> None:
    with pytest.raises(NotFound, match="no account 'default'"):
        await plane.acts.create(ACME, NewKey("default", "x", AllBuckets()))


async def test_no_key_is_made_extended_or_rolled_beyond_the_longest_life(plane: Plane) -> None:
    now = int(plane.now)
    old = await plane.key()
    acts = plane.acts_for(3600)
    for end in (None, now + 3601):
        with pytest.raises(InvalidInput, match=r"keys\.max_lifetime"):
            await acts.create(OPERATOR, NewKey("default", "x", AllBuckets(), expires_at=end))
        with pytest.raises(InvalidInput, match=r"keys\.max_lifetime"):
            await acts.update(OPERATOR, old, Edit(expires_at=end))
    with pytest.raises(InvalidInput, match=r"keys\.max_lifetime"):
        await acts.roll(OPERATOR, old, 0)
    await acts.create(OPERATOR, NewKey("default", "x", AllBuckets(), expires_at=now + 3600))
    await acts.update(OPERATOR, old, Edit(expires_at=now + 3600))
    await acts.update(OPERATOR, old, Edit(label="still editable"))


async def test_a_use_is_noted_once_a_minute(plane: Plane) -> None:
    access_key_id = await plane.key()
    for at, noted in ((0, 0), (59, 0), (60, 60)):
        used = Used(int(plane.now) + at, "iam:ListUsers", "", "192.0.2.1", "us-east-1", "aws-cli")
        await plane.acts.note_use(access_key_id, used)
        known = read_usage(plane.folder / "keys.db")[access_key_id].used
        assert known == used._replace(at=int(plane.now) + noted)


async def test_a_use_that_cannot_be_noted_fails_nothing(plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    (plane.folder / "keys.db.usage").mkdir()
    await plane.acts.note_use("NQAK", Used(int(plane.now), "iam:ListUsers", "", "::1", "", ""))
    assert "is not noted" in caplog.text


async def unavailable(*_: object) -> None:
    raise KeystoreUnavailable("it does not answer")


async def test_a_secret_is_told_whatever_cannot_be_said_of_the_key_besides(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    for asked in ("usage", "confirmed", "forget"):
        monkeypatch.setattr(plane.keystore, asked, unavailable)
    monkeypatch.setattr(plane.keystore.store, "claims", unavailable)
    made = await plane.acts.create(OPERATOR, NewKey("default", "x", AllBuckets()))
    assert made.secret is not None
    assert made.shown["last_used"] is None
    rolled = await plane.acts.roll(OPERATOR, made.shown["access_key_id"], 0)
    assert (len(rolled.secret.expose()), rolled.ended["status"], rolled.confirmation.proven) == (40, "revoked", False)


async def test_dates_that_stay_behind_do_not_undo_a_deletion(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    access_key_id = await plane.key()
    monkeypatch.setattr(plane.keystore, "forget", unavailable)
    assert (await plane.acts.delete(OPERATOR, access_key_id)).proven
    with pytest.raises(NotFound):
        await plane.acts.key(OPERATOR, access_key_id)


async def test_that_a_revoke_is_confirmed_is_never_said_without_being_asked(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane.keystore, "confirmed", unavailable)
    with pytest.raises(KeystoreUnavailable):
        await plane.acts.revoke(OPERATOR, await plane.key(), RevokeReason.OTHER)
