"""The access log: what a line says, that clients can neither forge nor break one, and that none is too long."""

import json
import re
from pathlib import Path
from select import PIPE_BUF
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authorize import Authorized
from gateway.s3.header_names import header_names
from gateway.s3.request import RequestHead
from gateway.source import NOBODY, Trusted, read_trusted
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.request_record import End, RequestRecord
from tests.support.admitted import admit

ROOT = Path(__file__).resolve().parents[3]
REQUEST_ID = b"0123456789ABCDEF"
NOW = 1_790_000_000.25
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"
HOSTILE = [
    b'a\nb" x\\',
    b"a\r\n2026-01-01 00:00:00,000 INFO    nqgate.access: 0 status=200",
    b"\x1b[31mred\x1b[0m",
    b"nul\x00bell\x07del\x7f",
    b"\xff\xfe not utf-8",
    "ü\u202e\u2028\U0001f600".encode(),
    b'", "status": 200, "x": "',
    b"status=200 operation=GetObject",
    b"\\u000a\\",
    b"x" * 8000,
    b"\x00" * 8000,
    "\U0001f600".encode() * 2000,
]


def record(**known: Any) -> RequestRecord:
    made = RequestRecord(REQUEST_ID, b"GET", "192.0.2.1", 7.0)
    made.status, made.ended = 200, 7.0125
    for name, value in known.items():
        setattr(made, name, value)
    return made


def head_of(authorized: Authorized | None = None, **headers: bytes) -> RequestHead:
    fields = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return RequestHead(b"GET", b"/aaa/k", fields, header_names(tuple(fields)), 1)


def lines_of(
    *told: tuple[RequestRecord, RequestHead | None, Authorized | None],
    form: Any = "json",
    trusted: Trusted = NOBODY,
    every: bool = True,
    object_keys: bool = False,
) -> list[str]:
    lines: list[str] = []
    log = AccessLog(lines.append, form, trusted, every=every, object_keys=object_keys, clock=lambda: NOW)
    for one in told:
        log.ended(*one)
    return lines


def one_line(*told: Any, **settings: Any) -> dict[str, Any]:
    [line] = lines_of(told, **settings)
    found: dict[str, Any] = json.loads(line)
    return found


# ---- what it says ----


def test_an_admitted_request_is_told_with_what_was_proven_of_it() -> None:
    authorized = admit("GET", "/aaa/k", {"user-agent": "boto3/1", "traceparent": TRACEPARENT})
    authorized.request.source = "198.51.100.7"
    ended = record(
        operation="GetObject", access_key_id="NQAK1", bucket="aaa", received=3, sent=1024, asked=7.001, replied=7.009
    )
    head = head_of(user_agent=b"boto3/1", traceparent=TRACEPARENT.encode())
    assert one_line(ended, head, authorized) == {
        "time": "2026-09-21T14:13:20.250+00:00",
        "level": "info",
        "logger": "nqgate.access",
        "request_id": REQUEST_ID.decode(),
        "status": 200,
        "method": "GET",
        "operation": "GetObject",
        "access_key_id": "NQAK1",
        "account": "default",
        "bucket": "aaa",
        "bytes_in": 3,
        "bytes_out": 1024,
        "duration_ms": 12.5,
        "store_ms": 8.0,
        "source": "198.51.100.7",
        "user_agent": "boto3/1",
        "trace_id": TRACE_ID,
    }


def test_a_line_for_people_says_the_same_and_begins_as_every_other() -> None:
    ended = record(operation="GetObject", access_key_id="NQAK1", bucket="aaa", sent=1024)
    [line] = lines_of((ended, head_of(user_agent=b"aws cli"), admit("GET", "/aaa/k")), form="text")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,250 INFO    nqgate\.access: 0123456789ABCDEF status=200 method=GET "
        r"operation=GetObject access_key_id=NQAK1 account=default bucket=aaa bytes_in=0 bytes_out=1024 "
        r'duration_ms=12\.500 user_agent="aws cli"\n',
        line,
    )


def test_a_refusal_says_why_and_whose_id_was_claimed() -> None:
    ended = record(status=403, code="SignatureDoesNotMatch", reason="the signature differs", claimed="NQAK1")
    found = one_line(ended, head_of(), None)
    assert (found["claimed_access_key_id"], "access_key_id" in found, "account" in found) == ("NQAK1", False, False)
    assert (found["error"], found["reason"]) == ("SignatureDoesNotMatch", "the signature differs")
    [text] = lines_of((ended, head_of(), None), form="text")
    assert "nqgate.access: 0123456789ABCDEF refused: the signature differs; status=403 " in text


def test_of_a_proven_holder_nothing_is_called_claimed() -> None:
    ended = record(status=403, code="AccessDenied", reason="no", claimed="NQAK1", access_key_id="NQAK1", account="mine")
    found = one_line(ended, head_of(), None)
    assert (found["access_key_id"], found["account"], "claimed_access_key_id" in found) == ("NQAK1", "mine", False)


def test_what_was_cut_or_left_says_so() -> None:
    cut = record(end=End.CUT, reason="the access key was revoked")
    assert one_line(cut, head_of(), None)["end"] == "cut"
    assert " cut: the access key was revoked; status=200 " in lines_of((cut, head_of(), None), form="text")[0]
    assert one_line(record(end=End.LEFT), head_of(), None)["end"] == "left"
    assert "end" not in one_line(record(), head_of(), None)


def test_what_the_store_said_is_told_beside_what_we_said() -> None:
    found = one_line(record(status=500, code="InternalError", store_error="403 AccessDenied"), head_of(), None)
    assert (found["error"], found["store_error"]) == ("InternalError", "403 AccessDenied")


def test_a_head_that_could_not_be_read_has_a_line() -> None:
    found = one_line(record(method=b"", status=400, reason="not HTTP"), None, None)
    assert (found["status"], found["source"], "method" in found) == (400, "192.0.2.1", False)


def test_only_refusals_are_told_unless_all_are_asked_for() -> None:
    told = [
        (record(), None, None),
        (record(status=404, from_store=True), None, None),
        (record(reason="no"), None, None),
    ]
    assert len(lines_of(*told, every=False)) == 1
    assert len(lines_of(*told, every=True)) == 3


def test_an_object_is_named_only_where_that_was_asked_for() -> None:
    authorized = admit("GET", "/aaa/people/%C3%BC%FF".replace("%FF", ""))
    assert "object_key" not in one_line(record(), head_of(), authorized)
    assert one_line(record(), head_of(), authorized, object_keys=True)["object_key"] == "people/ü"


def test_the_source_is_judged_as_everywhere() -> None:
    head = head_of(x_forwarded_for=b"198.51.100.7")
    assert one_line(record(), head, None)["source"] == "192.0.2.1"
    assert one_line(record(), head, None, trusted=read_trusted(["192.0.2.0/24"]))["source"] == "198.51.100.7"


def test_a_malformed_trace_is_no_trace() -> None:
    assert "trace_id" not in one_line(record(), head_of(traceparent=b"00-nonsense"), None)
    assert one_line(record(), head_of(traceparent=TRACEPARENT.encode()), None)["trace_id"] == TRACE_ID


def test_neither_query_nor_authorization_nor_cookie_is_said() -> None:
    head = head_of(authorization=b"AWS4-HMAC-SHA256 SECRET", cookie=b"SECRET", x_amz_security_token=b"SECRET")
    head.target = b"/aaa/k?X-Amz-Signature=SECRET&X-Amz-Credential=SECRET"
    ended = record(status=403, reason="no")
    for form in ("json", "text"):
        assert "SECRET" not in lines_of((ended, head, admit("GET", "/aaa/k")), form=form, object_keys=True)[0]


# ---- what clients choose ----


def hostile_lines(said: bytes, form: str) -> str:
    text = said.decode("latin-1")
    ended = record(
        method=said, claimed=text, code=text, reason=text, store_error=text, operation=text, bucket=text, source=text
    )
    authorized = admit("GET", "/aaa/k")
    authorized.request.object_key = said
    authorized.request.source = text
    [line] = lines_of((ended, head_of(user_agent=said, traceparent=said), authorized), form=form, object_keys=True)
    return line


def assert_one_bounded_line(line: str) -> None:
    assert len(line.encode()) < PIPE_BUF
    assert line.endswith("\n")
    assert line.isascii()
    assert line[:-1].isprintable()


@pytest.mark.parametrize("said", HOSTILE)
def test_whatever_a_client_sends_is_one_bounded_line(said: bytes) -> None:
    found = json.loads(hostile_lines(said, "json"))
    assert (found["status"], found["logger"], found["request_id"]) == (200, "nqgate.access", REQUEST_ID.decode())
    for form in ("json", "text"):
        assert_one_bounded_line(hostile_lines(said, form))
    text = hostile_lines(said, "text")
    assert re.search(r"; status=200 (method=|operation=|claimed)", text)


@given(st.binary(max_size=3000))
def test_lines_always_parse(said: bytes) -> None:
    line = hostile_lines(said, "json")
    assert json.loads(line)["request_id"] == REQUEST_ID.decode()
    assert_one_bounded_line(line)
    assert_one_bounded_line(hostile_lines(said, "text"))


@given(st.text(max_size=60, alphabet=st.characters(codec="utf-8")))
def test_what_is_short_is_said_whole(said: str) -> None:
    ended = record(reason=said)
    if said:
        assert json.loads(lines_of((ended, None, None))[0])["reason"] == said


def test_a_value_for_people_is_bare_only_where_it_cannot_be_taken_for_two() -> None:
    ended = record(code="a=b", store_error="403 AccessDenied", operation='x"y')
    [line] = lines_of((ended, None, None), form="text")
    assert 'operation="x\\"y" error="a=b" store_error="403 AccessDenied" ' in line


def test_what_is_cut_shows_it() -> None:
    assert one_line(record(reason="x" * 5000), None, None)["reason"].endswith("x…")
    assert one_line(record(reason="\x00" * 5000), None, None)["reason"].endswith("\x00…")


def test_the_page_names_every_field() -> None:
    source = (ROOT / "gateway/telemetry/access_log.py").read_text()
    said = set(re.findall(r'_(?:number|named|word)\(\s*as_json,\s*"(\w+)"', source)) | {"time", "request_id"}
    page = (ROOT / "docs/how-to/logs.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])} == said
