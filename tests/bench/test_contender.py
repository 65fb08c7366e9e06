from pathlib import Path

from bench.contender import Contender, Credential
from bench.scenario import select

NGINX = Contender("nginx", 20001, 1, "nginx 1.22.1")


def test_a_contender_is_reached_on_loopback() -> None:
    assert NGINX.origin == "http://127.0.0.1:20001"
    assert NGINX._replace(certificate=Path("c.pem")).origin == "https://127.0.0.1:20001"


def test_who_speaks_tls_takes_part_there_and_nowhere_else() -> None:
    [plain, tls] = select(["get-1m", "tls-get-1m"])
    secure = NGINX._replace(certificate=Path("c.pem"))
    assert [NGINX.takes_part(plain), NGINX.takes_part(tls)] == [True, False]
    assert [secure.takes_part(plain), secure.takes_part(tls)] == [False, True]


def test_only_who_verifies_takes_part_in_refusals() -> None:
    [_, refused] = select(["refused-scope"])
    assert not NGINX.takes_part(refused)
    assert NGINX._replace(verifies=True).takes_part(refused)


def test_who_is_here_for_some_scenarios_takes_part_in_no_other() -> None:
    [small, large] = select(["get-1k", "get-1m"])
    here = NGINX._replace(only=frozenset({"get-1m"}))
    assert [here.takes_part(small), here.takes_part(large)] == [False, True]


def test_a_credential_does_not_show_its_secret() -> None:
    credential = Credential("NQAK0000000000000000", "very-secret")
    assert "very-secret" not in f"{credential} {credential!r} {[credential]}"
