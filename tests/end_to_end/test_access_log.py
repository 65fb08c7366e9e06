"""The access log of a whole gateway: a line for each request, whatever becomes of it, and which of them by default."""

import json
import re
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.attacks import recorded_gateway
from tests.support.bodies import MIB
from tests.support.gateway_process import Gateway
from tests.support.house import Recorded
from tests.support.recording_upstream import canned, close_without_answer, never_answers, ok, short_body

pytestmark = pytest.mark.server

ALL = {"log": {"format": "json", "access": "all", "object_keys": True}}
RESET = struct.pack("ii", 1, 0)  # a close is one: who only ends its sending still wants an answer
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def _logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with recorded_gateway(tmp_path_factory.mktemp("logged"), settings=ALL) as opened:
        yield opened


@pytest.fixture
def logged(_logged: Recorded) -> Recorded:
    _logged.upstream.reset()
    return _logged


def told(gateway: Gateway, request_id: str, seconds: float = 10.0) -> dict[str, Any]:
    """The one line of a request, once it is written."""
    end = time.monotonic() + seconds
    while True:
        lines = [json.loads(line) for line in gateway.log_text().splitlines() if request_id in line]
        found = [line for line in lines if line["logger"] == "nqgate.access"]
        if found:
            assert len(found) == 1
            return found[0]
        assert time.monotonic() < end, f"no line of {request_id}"
        time.sleep(0.02)


def last_told(gateway: Gateway, seconds: float = 10.0, **wanted: Any) -> dict[str, Any]:
    """The last line that says this, of a request whose answer never came."""
    end = time.monotonic() + seconds
    while True:
        lines = [json.loads(line) for line in gateway.log_text().splitlines() if '"nqgate.access"' in line]
        found = [line for line in lines if wanted.items() <= line.items()]
        if found:
            return found[-1]
        assert time.monotonic() < end, f"no line with {wanted}"
        time.sleep(0.02)


def asked(logged: Recorded, sent: bytes, *, head_request: bool = False) -> dict[str, Any]:
    reply = logged.ask(sent, head_request=head_request)
    return told(logged.gateway, reply.header(b"x-amz-request-id").decode())


def test_a_download_is_told_with_key_object_bytes_and_times(logged: Recorded) -> None:
    logged.upstream.reset(canned(ok(b"x" * 1000)))
    traced = [("traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01"), ("User-Agent", "tests/1")]
    line = asked(logged, logged.scoped.head("GET", "/aaa/people/%C3%BC?versionId=v", unsigned=traced))
    assert 0 < line.pop("store_ms") <= line.pop("duration_ms") < 10_000
    for name in ("time", "request_id"):
        line.pop(name)
    assert line == {
        "level": "info",
        "logger": "nqgate.access",
        "status": 200,
        "method": "GET",
        "operation": "GetObject",
        "access_key_id": logged.scoped.access_key_id,
        "account": "default",
        "bucket": "aaa",
        "object_key": "people/ü",
        "bytes_in": 0,
        "bytes_out": 1000,
        "source": "127.0.0.1",
        "user_agent": "tests/1",
        "trace_id": TRACE_ID,
    }


@pytest.mark.parametrize("size", [5, 100_000, 3 * MIB])
def test_an_upload_is_told_with_what_came_in(logged: Recorded, size: int) -> None:
    body = b"x" * size
    line = asked(logged, logged.scoped.head("PUT", "/aaa/k", body=body) + body)
    assert (line["operation"], line["status"], line["bytes_in"], line["bytes_out"]) == ("PutObject", 200, size, 0)


def test_a_large_download_is_told_once_it_is_whole(logged: Recorded) -> None:
    logged.upstream.reset(canned(ok(bytes(3 * MIB))))
    assert asked(logged, logged.scoped.head("GET", "/aaa/k"))["bytes_out"] == 3 * MIB


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_store_refuses_is_told_as_the_client_and_as_the_store_said_it(logged: Recorded, method: str) -> None:
    document = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    logged.upstream.reset(canned(ok(b"" if method == "HEAD" else document, status=b"403 Forbidden")))
    line = asked(logged, logged.scoped.head(method, "/aaa/k"), head_request=method == "HEAD")
    assert (line["status"], "reason" in line) == (403, False)
    assert line["error"] == "AccessDenied"
    assert line["store_error"].startswith("403")
    assert "the store answered" not in logged.gateway.log_text()


def test_a_forged_signature_is_told_as_a_claim(logged: Recorded) -> None:
    head = logged.scoped.head("GET", "/aaa/secret")
    line = asked(logged, re.sub(rb"Signature=[0-9a-f]{64}", b"Signature=" + b"0" * 64, head))
    assert (line["status"], line["error"]) == (403, "SignatureDoesNotMatch")
    assert line["claimed_access_key_id"] == logged.scoped.access_key_id
    assert not {"access_key_id", "account", "bucket", "object_key", "operation"} & line.keys()


def test_what_a_key_may_not_do_is_told_as_its_holder_s(logged: Recorded) -> None:
    line = asked(logged, logged.scoped.head("GET", "/bbb/k"))
    assert (line["status"], line["error"], line["bucket"]) == (403, "AccessDenied", "bbb")
    assert (line["access_key_id"], line["account"]) == (logged.scoped.access_key_id, "default")
    assert line["reason"]


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01nonsense\r\n\r\n", b"GET /aaa HTTP/1.1\r\nhost: x\r\nbad\x00: 1\r\n\r\n"]
)
def test_a_head_that_is_none_is_told(logged: Recorded, sent: bytes) -> None:
    line = asked(logged, sent)
    assert (line["status"], line["source"]) == (400, "127.0.0.1")
    assert line["reason"]


def test_a_store_that_is_gone_is_told_with_503(logged: Recorded) -> None:
    logged.upstream.reset(close_without_answer)
    line = asked(logged, logged.scoped.head("PUT", "/aaa/k", body=b"x") + b"x")
    assert (line["status"], line["error"], line["operation"]) == (503, "ServiceUnavailable", "PutObject")
    assert "store" in line["reason"]


def test_a_reply_that_breaks_off_is_told_as_cut(logged: Recorded) -> None:
    logged.upstream.reset(short_body(MIB, bytes(MIB // 2)))
    with logged.connect() as connection:
        connection.send(logged.scoped.head("GET", "/aaa/cut"))
        with pytest.raises((EOFError, ConnectionResetError)):
            connection.reply()
    line = last_told(logged.gateway, object_key="cut")
    assert (line["end"], line["bytes_out"]) == ("cut", MIB // 2)
    assert line["reason"]


def test_a_client_that_leaves_is_told_as_one_that_left(logged: Recorded) -> None:
    logged.upstream.reset(never_answers)
    with logged.connect() as connection:
        connection.send(logged.scoped.head("GET", "/aaa/left"))
        logged.upstream.wait_for_requests(1)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    line = last_told(logged.gateway, object_key="left")
    assert (line["end"], line["status"]) == ("left", 0)


HOSTILE: Sequence[bytes] = [
    b'a" , "status": 200, "x": "',
    b"\\u000a\\",
    b"\xff\xfe\xc3",
    "ü\u202e\u2028".encode(),
    b"a\tb",
    b"%0a%0d%1b[31m",
]


@pytest.mark.parametrize("said", HOSTILE)
def test_what_a_client_says_of_itself_stays_in_its_field(logged: Recorded, said: bytes) -> None:
    head = logged.scoped.head("GET", "/aaa/k")[:-2] + b"User-Agent: " + said + b"\r\n\r\n"
    line = asked(logged, head)
    assert (line["status"], line["user_agent"]) == (200, said.decode("utf-8", "backslashreplace"))


def test_an_object_key_of_line_ends_and_escapes_stays_in_its_field(logged: Recorded) -> None:
    line = asked(logged, logged.scoped.head("GET", "/aaa/a%0D%0A%1B%5B31m%22%5C%7F"))
    assert line["object_key"] == 'a\r\n\x1b[31m"\\\x7f'
    assert "\x1b" not in logged.gateway.log_text()


def test_by_default_a_refusal_has_one_line_and_what_succeeds_none(tmp_path: Path) -> None:
    """In text, beginning as every line of one does: the id, and why."""
    with recorded_gateway(tmp_path) as plain:
        served = plain.ask(plain.scoped.head("GET", "/aaa/k")).header(b"x-amz-request-id").decode()
        refused = plain.ask(plain.scoped.head("GET", "/bbb/k")).header(b"x-amz-request-id").decode()
        plain.gateway.stop()
        log = plain.gateway.log_text()
        plain.gateway.start()
    lines = [line for line in log.splitlines() if refused in line]
    assert len(lines) == 1
    assert re.search(rf"INFO    nqgate\.access: {refused} refused: [^;]+; status=403 method=GET ", lines[0])
    assert "object_key" not in lines[0]
    assert served not in log


def test_without_it_a_refusal_still_says_why(tmp_path: Path) -> None:
    with recorded_gateway(tmp_path, settings={"log": {"access": "off"}, "workers": {"count": 1}}) as quiet:
        refused = quiet.ask(quiet.scoped.head("GET", "/bbb/k")).header(b"x-amz-request-id").decode()
        quiet.gateway.stop()
        assert re.search(rf"INFO    nqgate\.s3: {refused} refused: .+", quiet.gateway.log_text())
        assert "nqgate.access" not in quiet.gateway.log_text()
        quiet.gateway.start()
