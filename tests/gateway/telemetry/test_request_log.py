"""Lines of requests: gathered, written together, in the form of the log."""

import io
import json
import logging
from select import PIPE_BUF
from typing import Literal

import pytest

from gateway.telemetry import request_log
from gateway.telemetry.logs import configure_logs
from gateway.telemetry.request_log import RequestLog

REQUEST_ID = b"0123456789ABCDEF"


def test_nothing_is_written_before_it_is_written_out_and_nothing_twice() -> None:
    written: list[str] = []
    log = RequestLog(written.append)
    log.say(REQUEST_ID, "refused: a")
    log.say(REQUEST_ID, "refused: b")
    assert written == []
    log.write_out()
    log.write_out()
    assert len(written) == 1
    assert [line.rpartition(": ")[2] for line in written[0].splitlines()] == ["a", "b"]


@pytest.mark.parametrize("words", ["ordinary", "ümläuté " * 9, "x" * 5000])
def test_a_pipe_takes_each_block_of_lines_at_once(words: str) -> None:
    written: list[str] = []
    log = RequestLog(written.append)
    for number in range(200):
        log.say(REQUEST_ID, f"refused: {words} {number}")
    log.write_out()
    assert all(block.endswith("\n") for block in written)
    assert all(len(block.encode()) <= PIPE_BUF or block.count("\n") == 1 for block in written)
    assert [int(line.rpartition(" ")[2]) for line in "".join(written).splitlines()] == list(range(200))
    whole = sum(len(block.encode()) for block in written)
    assert len(written) <= 2 + max(whole // (PIPE_BUF // 2), 0)


def test_text_lines_look_like_those_of_every_other_part(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, written = io.StringIO(), list[str]()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        configure_logs("info", "text", stream)
        logging.getLogger("nqgate.s3").info("0123456789ABCDEF refused: why")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    log = RequestLog(written.append)
    log.say(REQUEST_ID, "refused: why")
    log.write_out()
    assert len(written[0]) == len(stream.getvalue())
    assert written[0][23:] == stream.getvalue()[23:]


def test_json_lines_hold_one_object_each_even_with_newlines_inside() -> None:
    written: list[str] = []
    log = RequestLog(written.append, "json")
    log.say(REQUEST_ID, 'refused: one\ntwo "ü"')
    log.write_out()
    [line] = written[0].splitlines()
    found = json.loads(line)
    assert found["message"] == '0123456789ABCDEF refused: one\ntwo "ü"'
    assert (found["level"], found["logger"]) == ("info", "nqgate.s3")
    assert found["time"].endswith("+00:00")


def test_a_line_end_in_what_is_said_makes_no_second_line() -> None:
    written: list[str] = []
    log = RequestLog(written.append)
    log.say(REQUEST_ID, "refused: one\r\n2026-01-01 00:00:00,000 INFO    nqgate.s3: forged")
    log.write_out()
    assert len(written[0].splitlines()) == 1


def test_a_flood_is_written_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "MAX_GATHERED", 3)
    written: list[str] = []
    log = RequestLog(written.append)
    for _ in range(7):
        log.say(REQUEST_ID, "refused: x")
    assert [len(text.splitlines()) for text in written] == [3, 3]


def test_a_log_that_is_off_keeps_nothing() -> None:
    log = RequestLog(None)
    log.say(REQUEST_ID, "refused: x")
    log.write_out()
    assert log._lines == []


def test_a_line_that_is_written_already_keeps_its_place() -> None:
    written: list[str] = []
    log = RequestLog(written.append)
    log.say(REQUEST_ID, "refused: a")
    log.add("of its own form\n")
    log.say(REQUEST_ID, "refused: c")
    log.write_out()
    assert "".join(written).splitlines()[1] == "of its own form"
    assert len("".join(written).splitlines()) == 3


@pytest.mark.parametrize(("access", "said"), [("off", "ab"), ("refused", "b"), ("all", "")])
def test_what_the_access_log_says_is_not_said_twice(access: Literal["off", "refused", "all"], said: str) -> None:
    written: list[str] = []
    log = RequestLog(written.append, "text", access)
    log.refused(REQUEST_ID, "a")
    log.of_store(REQUEST_ID, "b")
    log.write_out()
    assert [line[-1] for line in "".join(written).splitlines()] == list(said)
