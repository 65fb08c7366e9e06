from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from keystore.sealing import create_kek_file
from tests.support.postgres import Postgres, postgres, postgres_database

__all__ = ["postgres", "postgres_database"]  # fixtures: one server for all the tests of a process

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared configuration in the current folder; no keystore yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NQGATE_CONFIG", raising=False)
    create_kek_file(tmp_path / "kek")
    (tmp_path / "gateway.toml").write_text(
        '[upstream]\nendpoint = "http://127.0.0.1:1"\naccess_key_id = "store"\nsecret_access_key = "x"\n'
        '[keystore]\nurl = "sqlite:///keys.db"\nkek_file = "kek"\n'
    )
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """`nqgate WORDS…`, without a terminal."""

    def invoke(*words: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, list(words), input=stdin)

    return invoke


@pytest.fixture
def remote(folder: Path, postgres: Postgres, postgres_database: str) -> Callable[[str], list[list[str]]]:
    """The keystore of the configuration is in a database of its own on a PostgreSQL; → a hand on it, without a KEK."""
    config = folder / "gateway.toml"
    config.write_text(config.read_text().replace("sqlite:///keys.db", postgres.url(postgres_database)))
    return lambda statement: postgres.sql(postgres_database, statement)
