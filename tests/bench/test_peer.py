import pytest

from bench.contender import Credential
from bench.errors import BenchError
from bench.peer import Peer, as_contender, parse_peers
from bench.scenario import SCENARIOS, Refusal

KEYS = {"VERSITY_GW_ACCESS_KEY_ID": "an-id", "VERSITY_GW_SECRET_ACCESS_KEY": "very-secret"}
PEER = Peer("versity-gw", "127.0.0.1", 7070, None)


def test_peers_are_a_name_an_address_and_where_it_can_be_seen_a_process() -> None:
    assert parse_peers(" a=http://127.0.0.1:7070  b=http://store.example:80/,pid=123 ") == (
        Peer("a", "127.0.0.1", 7070, None),
        Peer("b", "store.example", 80, 123),
    )
    assert parse_peers("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:7070",
        "a=https://127.0.0.1:7070",
        "a=http://127.0.0.1",
        "a=http://127.0.0.1:70000",
        "a=http://127.0.0.1:0",
        "a=http://127.0.0.1:7070/path",
        "a=http://127.0.0.1:7070,pid=x",
        "a b=http://127.0.0.1:7070",
        "../a=http://127.0.0.1:7070",
    ],
)
def test_what_is_no_peer_is_refused_with_the_form_of_one(text: str) -> None:
    with pytest.raises(BenchError, match="write name=http://host:port"):
        parse_peers(text)


def test_a_peer_with_keys_verifies_and_is_asked_with_them() -> None:
    contender = as_contender(PEER, KEYS)
    assert contender.verifies
    assert contender.credentials == dict.fromkeys((None, Refusal.SIGNATURE), Credential("an-id", "very-secret"))
    assert contender.origin == "http://127.0.0.1:7070"
    assert "very-secret" not in repr(contender)
    refusals = {one.refusal for one in SCENARIOS if one.refusal is not None and contender.takes_part(one)}
    assert refusals == {Refusal.SIGNATURE}


def test_a_peer_without_keys_verifies_nothing_and_so_refuses_nothing() -> None:
    contender = as_contender(PEER, {})
    assert (contender.verifies, contender.credentials, contender.pid) == (False, None, None)
    assert not [one.name for one in SCENARIOS if contender.takes_part(one) and (one.refusal is not None or one.tls)]


@pytest.mark.parametrize("name", KEYS)
def test_half_a_credential_is_an_error_that_does_not_tell_it(name: str) -> None:
    with pytest.raises(BenchError, match="one is missing") as refused:
        as_contender(PEER, {name: KEYS[name]})
    assert "very-secret" not in str(refused.value)
