import json
import tomllib
from pathlib import Path

import pytest

from bench import gateway
from bench.errors import BenchError
from bench.gateway import configuration, issue, read_credential, tls_configuration
from bench.objects import BUCKET
from bench.scenario import Refusal


def test_configuration_puts_the_gateway_between_its_port_and_the_upstream() -> None:
    settings = tomllib.loads(configuration(Path("/somewhere/gateway"), 20001, 20002, "http://127.0.0.1:20003"))
    assert settings["s3"]["listen"] == "127.0.0.1:20001"
    assert settings["console"]["listen"] == "127.0.0.1:20002"
    assert settings["upstream"]["endpoint"] == "http://127.0.0.1:20003"
    assert settings["upstream"]["profile"] == "generic"
    assert settings["keystore"]["url"] == "sqlite:////somewhere/gateway/keystore.db"


def test_with_a_certificate_it_listens_with_tls() -> None:
    settings = tomllib.loads("[s3]\n" + tls_configuration(Path("/somewhere/certificate.pem")))
    assert settings["s3"] == dict.fromkeys(["tls_certificate", "tls_key"], "/somewhere/certificate.pem")


def test_the_issued_key_is_read() -> None:
    issued = '{"access_key_id": "NQAK0000000000000000", "secret_access_key": "s", "label": "bench"}'
    assert tuple(read_credential(issued)) == ("NQAK0000000000000000", "s")


def test_the_keys_are_for_all_buckets_for_another_bucket_and_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def nqgate(_: dict[str, str], *arguments: str) -> str:
        asked.append([*arguments])
        return json.dumps({"access_key_id": f"NQAK{len(asked)}", "secret_access_key": "s"})

    monkeypatch.setattr(gateway, "_nqgate", nqgate)
    issued = issue({})
    scopes = {f"NQAK{number}": arguments for number, arguments in enumerate(asked, 1) if arguments[1] == "create"}
    assert "--all-buckets" in scopes[issued[None].access_key_id]
    assert issued[Refusal.SIGNATURE] == issued[None]
    scope = scopes[issued[Refusal.SCOPE].access_key_id]
    assert "--all-buckets" not in scope
    assert scope[scope.index("--bucket") + 1] != BUCKET
    assert asked[-1] == ["keys", "revoke", issued[Refusal.REVOKED].access_key_id, "--yes"]
    assert issued[Refusal.REVOKED] not in (issued[None], issued[Refusal.SCOPE])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"secret_access_key": "very-secret"}', '"very-secret"'])
def test_output_without_a_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BenchError) as refused:
        read_credential(text)
    assert "very-secret" not in str(refused.value)
