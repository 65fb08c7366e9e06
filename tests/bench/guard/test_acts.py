from bench.contender import Credential
from bench.guard.acts import acts
from bench.scenario import KIB, MIB


def test_every_way_through_the_gateway_is_walked() -> None:
    found = {act.name: act for act in acts("http://127.0.0.1:9000", Credential("NQAK0000000000000000", "s" * 40))}
    assert {name: act.status for name, act in found.items() if act.status != 200} == {"refused-signature": 403}
    assert [len(found[name].body) for name in ("get-1k", "put-1k", "put-1m")] == [0, KIB, MIB]
    assert len(found["put-1m-trailer"].body) > MIB
    assert found["get-1m"].reply.endswith(found["put-1m"].body)
    assert b"Signature=00000000" in found["refused-signature"].requests[0]
