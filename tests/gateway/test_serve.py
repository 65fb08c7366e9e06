import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from gateway.config import Config, LimitsSettings, S3Settings, SettingsError, UpstreamSettings
from gateway.serve import fit_open_files, s3_listener_context
from gateway.wire.limits import Limits
from keystore.sealing import create_kek_file
from tests.support.certificates import make_certificate
from tests.support.server_process import free_port

COMMAND = str(Path(sys.executable).parent / "nqgate")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", str, Path]]:
    """A gateway of its own process in front of nothing; (process, console URL, folder)."""
    create_kek_file(tmp_path / "kek")
    console = f"127.0.0.1:{free_port()}"
    (tmp_path / "gateway.toml").write_text(
        f'[s3]\nlisten = "127.0.0.1:{free_port()}"\n[console]\nlisten = "{console}"\n'
        '[upstream]\nendpoint = "http://127.0.0.1:1"\naccess_key_id = "store"\nsecret_access_key = "x"\n'
        '[keystore]\nurl = "sqlite:///keys.db"\nkek_file = "kek"\n[limits]\ndrain_timeout = 2\n'
    )
    process = subprocess.Popen([COMMAND, "serve"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={})
    try:
        yield process, f"http://{console}", tmp_path
    finally:
        process.kill()
        process.communicate()


def readiness(console: str) -> tuple[int, dict[str, object]]:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"{console}/readyz", timeout=5) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_new_keystore_is_migrated_and_the_gateway_becomes_ready(
    served: tuple["subprocess.Popen[str]", str, Path],
) -> None:
    _, console, folder = served
    status, state = readiness(console)
    assert (status, state["keystore"]) == (200, "fresh")
    assert (folder / "keys.db").exists()


def test_sigterm_ends_it_with_0(served: tuple["subprocess.Popen[str]", str, Path]) -> None:
    process, console, _ = served
    readiness(console)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def test_a_keystore_that_disappears_makes_it_not_ready(served: tuple["subprocess.Popen[str]", str, Path]) -> None:
    _, console, folder = served
    readiness(console)
    for name in ("keys.db", "keys.db-wal", "keys.db-shm"):
        (folder / name).unlink(missing_ok=True)
    deadline = time.monotonic() + 10
    while readiness(console)[0] == 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    status, state = readiness(console)
    assert (status, state["keystore"]) == (503, "not answering")


# ---- open files ----


def limits(**changed: int) -> Limits:
    return Limits(**(LimitsSettings().model_dump() | changed))


@pytest.fixture
def open_files(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What was asked of the system; 1024 of 4096 files at first."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda which: (1024, 4096))
    monkeypatch.setattr("resource.setrlimit", lambda which, pair: asked.append(pair))
    return asked


def test_all_files_that_may_be_open_are_asked_for(open_files: list[tuple[int, int]]) -> None:
    fit_open_files(limits())
    assert open_files == [(4096, 4096)]


def test_strangers_cannot_take_the_descriptors_that_the_store_needs(open_files: list[tuple[int, int]]) -> None:
    fitted = fit_open_files(limits(connections=10_000, upstream_connections=256))
    assert fitted.connections + fitted.upstream_connections < 4096
    assert fit_open_files(limits(connections=100, upstream_connections=256)).connections == 100


def test_too_few_files_for_the_store_are_said_so(open_files: list[tuple[int, int]]) -> None:
    with pytest.raises(SettingsError, match="ulimit"):
        fit_open_files(limits(upstream_connections=4096))


# ---- TLS ----


def configured(folder: Path, **s3: str) -> Config:
    upstream = UpstreamSettings(endpoint="http://127.0.0.1:1", access_key_id="a", secret_access_key=SecretStr("b"))
    return Config(s3=S3Settings.model_validate(s3), upstream=upstream)


def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    certificate, private_key, _ = make_certificate(tmp_path)
    files = {"tls_certificate": str(certificate), "tls_key": str(private_key)}
    assert s3_listener_context(configured(tmp_path, **files)) is not None
    private_key.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        s3_listener_context(configured(tmp_path, **files))


def test_files_that_are_missing_or_do_not_belong_together_are_said_so(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificate, private_key, _ = make_certificate(tmp_path)
    _, another, _ = make_certificate(tmp_path / "other")
    for files in ((tmp_path / "none.pem", private_key), (certificate, another), (private_key, certificate)):
        with pytest.raises(SettingsError, match=r"s3\.tls_"):
            s3_listener_context(configured(tmp_path, tls_certificate=str(files[0]), tls_key=str(files[1])))


def test_without_files_it_is_plain_http(tmp_path: Path) -> None:
    assert s3_listener_context(configured(tmp_path)) is None
    with pytest.raises(ValidationError, match="both"):
        configured(tmp_path, tls_key="key.pem")
