import io
import json
import logging
from collections.abc import Iterator

import pytest

from gateway.telemetry.logs import configure_logs


@pytest.fixture(autouse=True)
def _restored_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_hold_one_object_each_even_with_newlines_inside() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    logging.getLogger("nqgate").info("one\ntwo %s", "ü")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert line["message"] == "one\ntwo ü"
    assert line["level"] == "info"
    assert line["time"].endswith("+00:00")


def test_a_trace_stands_in_the_line() -> None:
    stream = io.StringIO()
    configure_logs("error", "json", stream)
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logging.getLogger("nqgate").exception("failed")
    assert "RuntimeError: boom" in json.loads(stream.getvalue())["trace"]


def test_the_level_is_obeyed() -> None:
    stream = io.StringIO()
    configure_logs("warning", "text", stream)
    logging.getLogger("nqgate").info("quiet")
    logging.getLogger("nqgate").warning("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()
