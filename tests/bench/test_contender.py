from bench.contender import Contender, Credential


def test_a_contender_is_reached_on_loopback() -> None:
    assert Contender("nginx", 20001, 1, "nginx 1.22.1").origin == "http://127.0.0.1:20001"


def test_a_credential_does_not_show_its_secret() -> None:
    credential = Credential("NQAK0000000000000000", "very-secret")
    assert "very-secret" not in f"{credential} {credential!r} {[credential]}"
