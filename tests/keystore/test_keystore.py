"""What lies beside a store, asked of both kinds of keystore: dates, refusals, the log, and who has taken a change."""

import time

from keystore.access_key import RevokeReason
from keystore.audited_rows import Wanted
from keystore.keystore import Beside, Keystore
from keystore.refused import MAX_KEPT, MAX_LISTED, Refused
from keystore.uploads import Note, Upload
from keystore.usage import Denied, Usage, Used
from tests.support.contract import NOW, made
from tests.support.keystores import There, kind, there

__all__ = ["kind", "there"]  # fixtures

USED = Used(NOW, "GetObject", "photos", "10.0.4.7", "us-east-1", "aws-cli/2")
DENIED = Denied(NOW + 60, "GetObject is outside the grants", "secret")


def refused(number: int, account: str) -> Refused:
    return Refused(f"{number:016X}", NOW + number, account, f'{{"account": "{account}"}}')


async def test_when_keys_were_used_is_asked_of_some_or_of_all(there: There) -> None:
    keystore, gateways = there
    assert await keystore.usage(None) == {}
    ids = [(await made(keystore.store)).access_key_id for _ in range(3)]
    await gateways.write_usage({ids[0]: USED, ids[1]: USED}, {ids[1]: DENIED})
    everything = {ids[0]: Usage(USED, None), ids[1]: Usage(USED, DENIED)}
    assert await keystore.usage(None) == everything
    assert await keystore.usage([ids[1], ids[2], "NQAKnobody"]) == {ids[1]: Usage(USED, DENIED)}
    assert await keystore.usage(tuple(ids)) == everything
    assert await keystore.usage([]) == {}


async def test_a_use_that_no_gateway_saw_is_noted_beside_theirs(there: There) -> None:
    keystore, gateways = there
    access_key_id = (await made(keystore.store)).access_key_id
    await gateways.write_usage({access_key_id: USED}, {access_key_id: DENIED})
    later = Used(NOW + 60, "iam:ListUsers", "", "10.0.4.8", "us-east-1", "aws-cli/2")
    await keystore.used(access_key_id, later)
    assert await keystore.usage(None) == {access_key_id: Usage(later, DENIED)}


async def test_of_a_key_that_is_gone_nothing_stays(there: There) -> None:
    keystore, gateways = there
    gone, stays = [(await made(keystore.store)).access_key_id for _ in range(2)]
    await gateways.write_usage({gone: USED, stays: USED}, {})
    await gateways.write_uploads({Upload("photos", b"a", each.encode()): Note(each, NOW) for each in (gone, stays)})
    await keystore.forget(gone)
    assert list(await keystore.usage(None)) == [stays]
    assert [one.access_key_id for one in await keystore.unfinished([gone, stays])] == [stays]
    await keystore.forget("NQAKnobody")


async def test_uploads_are_known_until_they_are_over(there: There) -> None:
    keystore, gateways = there
    access_key_id = (await made(keystore.store)).access_key_id
    one, two = (Upload("photos", b"a/\xff", each) for each in (b"1", b"2"))
    await gateways.write_uploads({one: Note(access_key_id, NOW), two: Note(access_key_id, NOW + 1)})
    assert [each.upload for each in await keystore.unfinished([access_key_id])] == [one, two]
    await keystore.note({}, NOW)
    await keystore.note({one: Note(ended=True)}, NOW)
    assert [each.upload for each in await keystore.unfinished(["NQAKnobody", access_key_id])] == [two]


async def test_why_a_request_was_refused_is_found_by_its_id(there: There) -> None:
    keystore, gateways = there
    assert await keystore.refusal("A" * 16) is None
    await gateways.write_refused([refused(1, "team"), refused(2, "")])
    assert await keystore.refusal(refused(1, "team").request_id) == refused(1, "team")
    assert await keystore.refusal(refused(3, "").request_id) is None


async def test_the_newest_refusals_of_an_account_are_its_own(there: There) -> None:
    keystore, gateways = there
    assert await keystore.refusals(None, 10) == []
    accounts = ["team", "", "default", "team2", "tea", "team"]
    rows = [refused(number, account) for number, account in enumerate(accounts)]
    await gateways.write_refused(rows)
    assert await keystore.refusals("team", 10) == [rows[5], rows[0]]
    assert await keystore.refusals("team", 1) == [rows[5]]
    assert await keystore.refusals(None, 4) == rows[:1:-1]
    assert await keystore.refusals("nobody", 10) == []
    for pattern in ("%", "t_am", "TEAM", "team "):
        assert await keystore.refusals(pattern, 10) == []
    for limit in (0, -1):
        assert await keystore.refusals(None, limit) == []


async def test_refusals_of_one_moment_have_an_order(there: There) -> None:
    keystore, gateways = there
    rows = [refused(number, "team")._replace(at=NOW) for number in range(5)]
    await gateways.write_refused(rows)
    for account in ("team", None):
        assert await keystore.refusals(account, 10) == rows[::-1]


async def test_of_as_many_refusals_as_are_kept_the_newest_are_found_at_once(there: There) -> None:
    keystore, gateways = there
    rows = [refused(number, "rare" if number % 5000 == 0 else f"a{number % 7}") for number in range(MAX_KEPT)]
    await gateways.write_refused(rows)
    began = time.monotonic()
    assert await keystore.refusals("rare", 50) == [rows[at] for at in (15000, 10000, 5000, 0)]
    assert await keystore.refusals("nobody", 50) == []
    assert len(await keystore.refusals(None, 10**9)) == MAX_LISTED
    assert time.monotonic() - began < 2  # 0.1 s; reading all of them takes longer


async def test_the_log_is_listed_the_newest_last(there: There) -> None:
    keystore, _ = there
    access_key = await made(keystore.store)
    await keystore.store.revoke_key(access_key.access_key_id, RevokeReason.UNUSED, "bob")
    assert await keystore.store.note_sign_in("0" * 32, "link:ann", "default", {"role": "owner"})
    listed = await keystore.changes(Wanted(access_key.access_key_id, None, None, 10))
    assert [(one.change.kind, one.change.actor, one.verified) for one in listed] == [
        ("key.create", "ann", True),
        ("key.revoke", "bob", True),
    ]
    [newest] = await keystore.changes(Wanted(None, None, "default", 1))
    assert (newest.change.kind, newest.change.request_id, newest.verified) == ("console.sign_in", "0" * 32, True)


def test_both_are_keystores(there: There) -> None:
    keystore: Keystore = there.keystore
    for protocol in (Keystore, Beside):
        assert {name for name in vars(protocol) if not name.startswith("_")} <= set(dir(keystore))


async def test_where_no_gateway_runs_a_change_is_proven_at_once(there: There) -> None:
    keystore, _ = there
    since = time.monotonic()
    await made(keystore.store)
    confirmation = await keystore.confirmed(keystore.store.committed_seq, since)
    assert (confirmation.gateways, confirmation.proven) == (0, True)
