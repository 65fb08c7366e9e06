from pathlib import Path

import pytest

from tests.support.postgres import Postgres, programs


def test_where_there_is_no_postgresql_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="install Debian's package postgresql"):
        programs(tmp_path, str(tmp_path))


def test_the_newest_version_is_taken(tmp_path: Path) -> None:
    for version in ("9.6", "14", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()
    assert programs(tmp_path, "") == tmp_path / "17" / "bin"


def test_a_server_does_not_print_its_password() -> None:
    assert "w0rd" not in repr(Postgres(Path("/"), 1, "w0rd"))
