import resource
import subprocess
import tomllib
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.scale.site import SPARE_FILES, Settings, Site, configuration, find_roles, room_for


def test_the_limits_of_a_measurement_stand_in_the_configuration() -> None:
    text = configuration(Settings(20, 30, tls=True), Path("/here"), Path("/keys"), (1, 2, 3))
    settings = tomllib.loads(text)
    assert settings["limits"]["connections"] == 20
    assert settings["limits"]["upstream_connections"] == 30
    assert settings["s3"]["tls_certificate"] == settings["s3"]["tls_key"] == "/here/certificate.pem"
    assert settings["keystore"]["kek_file"] == "/keys/kek"
    assert settings["workers"]["count"] == 1


def test_without_tls_no_certificate_is_named() -> None:
    text = configuration(Settings(), Path("/here"), Path("/keys"), (1, 2, 3))
    assert "tls_certificate" not in tomllib.loads(text)["s3"]


def test_what_the_gateway_says_of_its_limits_is_passed_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("10:00 WARNING nqgate: limits.connections is 10001, but only 1024 files may be open\nmore\n")
    assert Site(1, 1, 1, 1, log).told == "limits.connections is 10001, but only 1024 files may be open"


def test_processes_that_are_no_gateway_are_not_taken_for_one() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        with pytest.raises(BenchError, match="only none"):
            find_roles(other.pid)
        other.kill()


def test_there_is_no_room_beyond_the_files_that_may_be_open() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert room_for(5) == 5
    if hard != resource.RLIM_INFINITY:
        assert room_for(hard) == hard - SPARE_FILES
