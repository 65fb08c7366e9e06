import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from gateway.config import Config, LimitsSettings, S3Settings, SettingsError, UpstreamSettings
from gateway.wire.limits import Limits
from gateway.wiring import configured_tracing, fit_open_files, s3_listener_context
from tests.support.certificates import make_certificate

ROOT = Path(__file__).resolve().parents[2]

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
    assert fitted.connections + fitted.upstream_connections + fitted.handshakes < 4096
    assert fitted.handshakes > 100
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


# ---- traces ----


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gateway.telemetry.otlp", None)
    with pytest.raises(SettingsError, match=r"pip install 'nqgate\[otel\]'"):
        configured_tracing(configured(tmp_path), "http://127.0.0.1:1")


def test_nothing_of_the_library_is_imported_unless_a_collector_is_named() -> None:
    asked = "import sys, gateway.workers.worker; sys.exit(any(one.startswith('opentelemetry') for one in sys.modules))"
    assert subprocess.run([sys.executable, "-c", asked], cwd=ROOT, timeout=60, check=False).returncode == 0
