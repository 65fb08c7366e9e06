import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config import Config, SettingsError, find_config, load_config

ROOT = Path(__file__).resolve().parents[2]
SMALLEST = """
[upstream]
endpoint = "http://127.0.0.1:8333"
access_key_id = "store"
secret_access_key = "store-secret"
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NQGATE_CONFIG", raising=False)


def written(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text)
    return path


def test_the_smallest_configuration_names_the_store_only(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, SMALLEST))
    assert config.s3.listen == "127.0.0.1:9000"
    assert config.console.listen == "127.0.0.1:9001"
    assert config.upstream.profile == "generic"
    assert config.upstream.secret() == "store-secret"


def test_all_errors_are_told_at_once_by_path(tmp_path: Path) -> None:
    text = """
    [s3]
    listen = "nowhere"
    unknown = 1
    [upstream]
    endpoint = "ftp://x"
    [limits]
    connections = 0
    """
    with pytest.raises(SettingsError) as caught:
        load_config(written(tmp_path, text))
    message = str(caught.value)
    for path in ("s3.listen", "s3.unknown", "upstream.endpoint", "upstream.access_key_id", "limits.connections"):
        assert path in message
    assert "no such setting" in message


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NQGATE_S3__LISTEN", "127.0.0.1:1234")
    monkeypatch.setenv("NQGATE_LIMITS__CONNECTIONS", "7")
    config = load_config(written(tmp_path, SMALLEST + '[s3]\nlisten = "127.0.0.1:1"\n'))
    assert config.s3.listen == "127.0.0.1:1234"
    assert config.limits.connections == 7


def test_everything_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NQGATE_UPSTREAM__ENDPOINT", "https://store.example")
    monkeypatch.setenv("NQGATE_UPSTREAM__ACCESS_KEY_ID", "store")
    monkeypatch.setenv("NQGATE_UPSTREAM__SECRET_ACCESS_KEY", "x")
    assert load_config().upstream.endpoint == "https://store.example"


def test_the_file_is_searched_in_the_documented_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "gateway.toml").write_text(SMALLEST)
    assert find_config() == Path("data/gateway.toml")
    written(tmp_path, SMALLEST)
    assert find_config() == Path("gateway.toml")
    monkeypatch.setenv("NQGATE_CONFIG", "from-the-environment.toml")
    assert find_config() == Path("from-the-environment.toml")
    assert find_config(Path("named.toml")) == Path("named.toml")


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "somewhere"
    folder.mkdir()
    text = SMALLEST + '[keystore]\nurl = "sqlite:///keys.db"\nkek_file = "kek"\nstate_file = "mark"\n'
    config = load_config(written(folder, text))
    assert config.keystore.path == folder / "keys.db"
    assert config.keystore.kek_file == folder / "kek"
    assert config.keystore.state_file == folder / "mark"


def test_what_a_host_remembers_of_a_database_lies_beside_its_kek_file_unless_said_otherwise(tmp_path: Path) -> None:
    text = SMALLEST + '[keystore]\nurl = "postgresql://ann:s3cr3t@db/keys"\nkek_file = "kek"\n'
    assert load_config(written(tmp_path, text)).keystore.host_state_file == tmp_path / "kek.state"
    elsewhere = load_config(written(tmp_path, text + 'state_file = "mark"\n')).keystore
    assert elsewhere.host_state_file == tmp_path / "mark"
    assert "s3cr3t" not in repr(elsewhere)


def test_an_absolute_keystore_stays_where_it_is(tmp_path: Path) -> None:
    text = SMALLEST + f'[keystore]\nurl = "sqlite:///{tmp_path}/keys.db"\nkek_file = "{tmp_path}/kek"\n'
    assert load_config(written(tmp_path, text)).keystore.path == tmp_path / "keys.db"


def test_the_secret_is_given_exactly_once(tmp_path: Path) -> None:
    text = SMALLEST.replace('secret_access_key = "store-secret"', "")
    with pytest.raises(SettingsError, match="exactly one of"):
        load_config(written(tmp_path, text))


def test_a_secret_file_others_can_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("store-secret\n")
    secret.chmod(0o644)
    text = SMALLEST.replace('secret_access_key = "store-secret"', 'secret_access_key_file = "secret"')
    config = load_config(written(tmp_path, text))
    with pytest.raises(SettingsError, match="chmod 600"):
        config.upstream.secret()
    secret.chmod(0o600)
    assert config.upstream.secret() == "store-secret"


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, SMALLEST))
    assert "store-secret" not in repr(config)
    assert "store-secret" not in str(config)


def test_a_credential_in_the_endpoint_is_refused_and_not_repeated(tmp_path: Path) -> None:
    text = SMALLEST.replace("http://127", "http://user:hunter2@127")
    with pytest.raises(SettingsError) as caught:
        load_config(written(tmp_path, text))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["[s3", 'listen = "a\x00b"', "\xff"])
def test_what_is_not_toml_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match="is not TOML"):
        load_config(path)


def test_the_life_of_keys_is_a_span_of_time(tmp_path: Path) -> None:
    keys = load_config(written(tmp_path, SMALLEST)).keys
    assert (keys.max_lifetime, keys.rotate_after) == (None, 90 * 86400)
    keys = load_config(written(tmp_path, SMALLEST + '[keys]\nmax_lifetime = "365d"\nrotate_after = "24h"\n')).keys
    assert (keys.max_lifetime, keys.rotate_after) == (365 * 86400, 86400)
    for wrong in ('"0"', '"never"', '""', "0", "true"):
        with pytest.raises(SettingsError, match=r"keys\.max_lifetime"):
            load_config(written(tmp_path, SMALLEST + f"[keys]\nmax_lifetime = {wrong}\n"))


def test_every_setting_has_a_reason() -> None:
    for section in Config.model_fields.values():
        assert section.annotation is not None
        assert section.annotation.__doc__
        for name, field in section.annotation.model_fields.items():
            assert field.description, name


def test_the_example_file_and_the_reference_pages_are_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "reference"), "--check"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_the_example_file_can_be_used_as_it_is(tmp_path: Path) -> None:
    text = (ROOT / "config" / "gateway.toml").read_text()
    secret = tmp_path / "upstream-secret"
    secret.write_text("x")
    secret.chmod(0o600)
    config = load_config(written(tmp_path, text))
    assert config.upstream.secret() == "x"
    assert config.limits == Config.model_fields["limits"].default
