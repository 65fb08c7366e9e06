"""What names a Unix socket, and what cannot."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.unix_address import MAX_PATH, check_unix_path, unix_path


def test_only_what_begins_with_the_word_is_a_path() -> None:
    assert unix_path("unix:/run/s3.sock") == "/run/s3.sock"
    assert unix_path("unix:") == ""
    for other in ("127.0.0.1:9000", "http://unix:80", "UNIX:/run/s3.sock", "/run/s3.sock"):
        assert unix_path(other) is None


@pytest.mark.parametrize(
    "path", ["", "s3.sock", "./s3.sock", "@abstract", "//host\0", "/run/", "/", "/run/a\nb", '/run/"', "/run/\\"]
)
def test_what_is_no_absolute_path_of_a_file_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"Unix socket|absolute"):
        check_unix_path(path)


def test_the_longest_path_is_the_longest_that_the_kernel_takes(tmp_path: Path) -> None:
    folder = str(tmp_path)
    longest = folder + "/" + "é" * ((MAX_PATH - len(folder) - 1) // 2)
    longest += "a" * (MAX_PATH - len(longest.encode()))
    check_unix_path(longest)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(longest)
    with pytest.raises(ValueError, match="107 bytes, this one 108"):
        check_unix_path(longest + "a")
    with socket.socket(socket.AF_UNIX) as bound, pytest.raises(OSError, match="too long"):
        bound.bind(longest + "a")


@given(st.text(max_size=120))
def test_whatever_is_not_refused_can_be_given_to_the_kernel(text: str) -> None:
    try:
        check_unix_path(text)
    except ValueError:
        return
    assert len(text.encode()) <= MAX_PATH
    assert "\0" not in text
