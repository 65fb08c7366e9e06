import tomllib
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.gateway import configuration, read_credential


def test_configuration_puts_the_gateway_between_its_port_and_the_upstream() -> None:
    settings = tomllib.loads(configuration(Path("/somewhere/gateway"), 20001, 20002, 20003))
    assert settings["s3"]["listen"] == "127.0.0.1:20001"
    assert settings["console"]["listen"] == "127.0.0.1:20002"
    assert settings["upstream"]["endpoint"] == "http://127.0.0.1:20003"
    assert settings["upstream"]["profile"] == "generic"
    assert settings["keystore"]["url"] == "sqlite:////somewhere/gateway/keystore.db"


def test_the_issued_key_is_read() -> None:
    issued = '{"access_key_id": "NQAK0000000000000000", "secret_access_key": "s", "label": "bench"}'
    assert tuple(read_credential(issued)) == ("NQAK0000000000000000", "s")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"secret_access_key": "very-secret"}', '"very-secret"'])
def test_output_without_a_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BenchError) as refused:
        read_credential(text)
    assert "very-secret" not in str(refused.value)
