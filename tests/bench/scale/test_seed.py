import hmac
from pathlib import Path

import pytest

from bench.scale import seed as seeding
from bench.scale.seed import seed
from keystore.directory import open_directory
from keystore.sealing import load_kek_ring
from keystore.sqlite_audit import audit_keystore

COUNT = 25


def test_every_row_holds_and_every_key_is_found_with_its_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeding, "BATCH", 10)
    seeded = seed(tmp_path / "keys", COUNT, b"salt")
    ring = load_kek_ring(seeded.folder / "kek")
    report = audit_keystore(seeded.folder / "keystore.db", ring)
    assert report.json() | {"ok": True, "access_keys": COUNT, "found": 0} == report.json()
    directory = open_directory(seeded.folder / "keystore.db", ring)
    try:
        for number in range(COUNT):
            known = directory.find(seeded.credential(number).access_key_id, b"20260101")
            assert known is not None
            assert known.date_keys[b"20260101"] == _date_key(seeded.credential(number).secret_access_key)
    finally:
        directory.close()


def test_secrets_follow_from_the_salt_and_are_not_shown(tmp_path: Path) -> None:
    one, other = (seeding.Seeded(tmp_path, 2, salt) for salt in (b"one", b"other"))
    assert one.credential(0) == one.credential(0)
    secrets = {seeded.credential(number).secret_access_key for seeded in (one, other) for number in (0, 1)}
    assert len(secrets) == 4
    assert not any(secret in repr(one.credential(number)) for secret in secrets for number in (0, 1))


def _date_key(secret: str) -> bytes:
    return hmac.digest(b"AWS4" + secret.encode(), b"20260101", "sha256")
