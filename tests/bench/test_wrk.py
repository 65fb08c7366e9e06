import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.scenario import SCENARIOS, together
from bench.wrk import WATCHED, WrkResult, check_result, lua_string, read_result, render_script, run_wrk, threads

LINE = (
    "nqbench requests=117250 duration_us=3000412 bytes=157817500 p50_us=820 p99_us=1521 "
    "connect=0 read=0 write=0 status=0 timeout=0"
)
REPORT = f"""Running 3s test @ http://127.0.0.1:9000
  2 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   831.24us  210.11us   5.61ms   86.40%
  117250 requests in 3.00s, 150.51MB read
Requests/sec:  39077.97
{LINE}
"""
GOOD = WrkResult(
    requests=100,
    duration_us=1_000_000,
    bytes=130_000,
    p50_us=800,
    p99_us=1500,
    connect=0,
    read=0,
    write=0,
    status=0,
    timeout=0,
)


def test_figures_are_read_from_the_scripts_line_and_not_from_the_rounded_report() -> None:
    result = read_result(REPORT)
    assert (result.requests, result.duration_us, result.bytes) == (117250, 3000412, 157817500)
    assert (result.p50_us, result.p99_us) == (820, 1521)
    assert result.errors == {}


@pytest.mark.parametrize(
    "output", ["", "Running 3s test\nRequests/sec: 12\n", "nqbench requests=1\n", LINE.replace("status=0", "status=-")]
)
def test_output_without_all_the_figures_is_refused(output: str) -> None:
    with pytest.raises(BenchError):
        read_result(output)


def test_a_figure_of_another_name_is_refused() -> None:
    with pytest.raises(BenchError, match="other figures"):
        read_result(LINE + " surprise=1\n")


def test_a_run_of_whole_replies_is_trusted() -> None:
    check_result(GOOD, 1024)


@pytest.mark.parametrize("kind", ["connect", "read", "write", "status", "timeout"])
def test_one_error_of_any_kind_spoils_the_run(kind: str) -> None:
    with pytest.raises(BenchError, match=kind):
        check_result(GOOD._replace(**{kind: 1}), 1024)


def test_replies_without_their_bodies_spoil_the_run_though_wrk_calls_them_good() -> None:
    with pytest.raises(BenchError, match="cannot fit"):
        check_result(GOOD._replace(bytes=30_000), 1024)


def test_a_run_without_an_answer_is_refused() -> None:
    with pytest.raises(BenchError, match="no request"):
        check_result(GOOD._replace(requests=0, bytes=0), 1024)


@pytest.mark.parametrize(
    ("octets", "literal"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", '"GET / HTTP/1.1\\013\\010\\013\\010"'),
        (b'a"b\\c', '"a\\034b\\092c"'),
        (b"\x001\xff", '"\\0001\\255"'),
        (b"", '""'),
    ],
)
def test_any_bytes_become_a_lua_literal(octets: bytes, literal: str) -> None:
    assert lua_string(octets) == literal


def test_a_body_is_read_from_its_file_and_put_behind_every_head() -> None:
    script = render_script([b"PUT /a"], 200, 0, Path('/some "where"/body'))
    assert 'io.open("/some \\034where\\034/body", "rb")' in script
    assert "if nil then" in render_script([b"GET /a"], 200, 0)


def test_script_holds_every_request_in_order() -> None:
    script = render_script([b"GET /a", b"GET /b"], 200, 0)
    assert 'local requests = {\n"GET /a",\n"GET /b"\n}' in script
    assert "{{" not in script


def test_every_status_is_looked_at_where_replies_are_small() -> None:
    assert "local expected = 403\n" in render_script([b"GET /a"], 403, 0)
    assert "local expected = 200\n" in render_script([b"GET /a"], 200, WATCHED)
    assert "local expected = nil\n" in render_script([b"GET /a"], 200, WATCHED + 1)


@contextmanager
def answering(status: int, *, every_fiftieth: int) -> Iterator[str]:
    """The origin of a server that answers every fiftieth request with another status."""
    numbers = count(1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response_only(every_fiftieth if next(numbers) % 50 == 0 else status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


@pytest.mark.server
@pytest.mark.parametrize(
    ("status", "other", "good"),
    [(200, 200, True), (403, 403, True), (403, 200, False), (403, 503, False), (200, 403, False), (200, 204, False)],
)
def test_the_load_generator_takes_the_expected_status_and_only_that(
    tmp_path: Path, status: int, other: int, good: bool
) -> None:
    script = tmp_path / "script.lua"
    script.write_text(render_script([b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"], status, 0))
    with answering(status, every_fiftieth=other) as origin:
        result = run_wrk(origin, script, connections=2, seconds=1, cpus=tuple(os.sched_getaffinity(0))[:2])
    if good:
        check_result(result, 0)
    else:
        with pytest.raises(BenchError, match=r"'status': \d"):
            check_result(result, 0)
        assert result.status == pytest.approx(result.requests / 50, abs=3)


def test_the_load_generator_does_the_same_for_what_stands_beside_each_other() -> None:
    for first, *others in together(SCENARIOS):
        for other in others:
            scripts = [render_script([b"GET /a"], 200, scenario.reply_size) for scenario in (first, other)]
            assert scripts[0] == scripts[1]


@pytest.mark.server
def test_a_rate_is_kept_whatever_the_answers_take(tmp_path: Path) -> None:
    """Two connections answered at once could take thousands."""
    script = tmp_path / "script.lua"
    script.write_text(render_script([b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"], 200, 0, gap_ms=20.0))
    with answering(200, every_fiftieth=200) as origin:
        result = run_wrk(origin, script, connections=2, seconds=4, cpus=())
    check_result(result, 0)
    assert result.requests == pytest.approx(200, abs=60)  # a Poisson's 200, give or take four times its root


def test_a_script_asks_as_fast_as_it_is_answered_where_no_pace_is_given() -> None:
    assert "if nil then\n  local ffi" in render_script([b"GET /a"], 200, 0)


def test_a_thread_for_each_core_and_none_without_a_connection() -> None:
    assert [threads(32, ()), threads(32, (0, 1)), threads(1, (0, 1))] == [1, 2, 1]
