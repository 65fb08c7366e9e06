from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.wrk import WrkResult, check_result, lua_string, read_result, render_script

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
    script = render_script([b"PUT /a"], Path('/some "where"/body'))
    assert 'io.open("/some \\034where\\034/body", "rb")' in script
    assert "if nil then" in render_script([b"GET /a"])


def test_script_holds_every_request_in_order() -> None:
    script = render_script([b"GET /a", b"GET /b"])
    assert 'local requests = {\n"GET /a",\n"GET /b"\n}' in script
    assert "{{" not in script
