"""What a configuration that is read again changes, keeps and refuses."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, SettingsError
from gateway.settled import FILES, FIXED, Changes, compare, kept_fixed, settle
from keystore.sealing import create_kek_file
from tests.support.certificates import make_certificate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_kek_file(tmp_path / "kek")
    (tmp_path / "secret").touch(mode=0o600)
    (tmp_path / "secret").write_text("the store's own")
    return tmp_path


def configured(folder: Path, **sections: dict[str, Any]) -> Config:
    told: dict[str, dict[str, Any]] = {
        "upstream": {
            "endpoint": "http://127.0.0.1:1",
            "access_key_id": "store",
            "secret_access_key_file": str(folder / "secret"),
        },
        "keystore": {"url": f"sqlite:///{folder}/keys.db", "kek_file": str(folder / "kek")},
    }
    for section, settings in sections.items():
        told[section] = told.get(section, {}) | settings
    return Config.model_validate(told)


def changes(folder: Path, before: Config, after: Config) -> Changes:
    running = settle(before)
    return compare(running, after, settle(kept_fixed(before, after)))


def test_what_changed_is_named_by_path_and_what_did_not_is_not(folder: Path) -> None:
    before, after = configured(folder), configured(folder, limits={"connections": 5}, keys={"rotate_after": "30d"})
    assert changes(folder, before, after) == Changes(("keys.rotate_after", "limits.connections"), ())
    assert changes(folder, before, before) == Changes((), ())


def test_what_cannot_change_stays_and_is_named(folder: Path) -> None:
    before = configured(folder)
    after = configured(
        folder, s3={"listen": "127.0.0.1:9009", "regions": ["eu"]}, keystore={"url": "sqlite:////elsewhere"}
    )
    found = changes(folder, before, after)
    assert found.applied == ("s3.regions",)
    assert found.need_restart == ("s3.listen", "keystore.url")
    kept = kept_fixed(before, after)
    assert (kept.s3.listen, kept.s3.regions) == ("127.0.0.1:9000", ("eu",))
    assert kept.keystore.path == folder / "keys.db"


def test_a_secret_that_changed_in_its_file_is_named_and_never_shown(folder: Path) -> None:
    config = configured(folder)
    running = settle(config)
    (folder / "secret").write_text("another of the store's")
    new = settle(config)
    assert new.secret == "another of the store's"
    assert compare(running, config, new).applied == ("upstream.secret_access_key_file (its file)",)
    assert "another" not in repr(new)


def test_a_certificate_that_was_renewed_concerns_only_who_shows_it(folder: Path) -> None:
    certificate, private_key, _ = make_certificate(folder)
    files = {"tls_certificate": str(certificate), "tls_key": str(private_key)}
    config = configured(folder, s3=files)
    running = settle(config)
    make_certificate(folder)
    found = compare(running, config, settle(config))
    assert found.applied == ("s3.tls_certificate (its file)", "s3.tls_key (its file)")
    assert (found.of_workers, found.of_control) == (True, False)
    console = compare(running, config, settle(config))._replace(applied=("console.tls_key (its file)",))
    assert (console.of_workers, console.of_control) == (False, True)


def test_a_certificate_and_a_key_that_do_not_match_are_refused_with_words(folder: Path) -> None:
    (folder / "other").mkdir()
    certificate, _, _ = make_certificate(folder)
    _, another, _ = make_certificate(folder / "other")
    config = configured(folder, s3={"tls_certificate": str(certificate), "tls_key": str(another)})
    with pytest.raises(SettingsError, match="does not belong to the certificate"):
        settle(config)


def test_everything_that_cannot_be_used_is_told_at_once(folder: Path) -> None:
    (folder / "secret").chmod(0o644)
    (folder / "kek").unlink()
    config = configured(folder, limits={"spool_dir": str(folder / "nowhere")})
    with pytest.raises(SettingsError) as refused:
        settle(config)
    for name in ("upstream.secret_access_key_file", "keystore.kek_file", "limits.spool_dir"):
        assert name in str(refused.value)


def test_what_stays_and_what_is_read_must_go_together(folder: Path) -> None:
    """The console listens where others may come: without TLS secrets would be in the clear, whatever is read now."""
    files = dict(zip(("tls_certificate", "tls_key"), map(str, make_certificate(folder)[:2]), strict=True))
    before = configured(folder, console={"listen": "0.0.0.0:9001", **files})
    after = configured(folder)
    with pytest.raises(SettingsError, match="in the clear"):
        kept_fixed(before, after)


def test_the_settings_that_are_named_exist() -> None:
    for name in (*FIXED, *FILES):
        section, _, setting = name.partition(".")
        annotation: Any = Config.model_fields[section].annotation
        assert setting in annotation.model_fields
