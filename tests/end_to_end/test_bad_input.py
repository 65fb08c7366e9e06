"""Bad input gets a clear answer, costs little, and nothing of it reaches the upstream."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import Gateway
from tests.support.house import Recorded, recorded_store
from tests.support.raw_client import RawReply, Signer
from tests.support.recording_upstream import RecordingUpstream

HOST = b"Host: gateway\r\n"
SMUGGLED = b"GET /bbb/smuggled HTTP/1.1\r\nHost: gateway\r\n\r\n"


def _only_reply(recorded: Recorded, sent: bytes) -> RawReply:
    """The first reply; it announced the end of the connection and nothing came after it."""
    with recorded.connect() as connection:
        connection.send_slowly(sent, piece=1 << 20, pause=0.0)
        reply = connection.reply()
        connection.end_sending()
        assert (reply.values(b"connection"), connection.read_to_end()) == ([b"close"], b"")
    return reply


NOT_HTTP = {
    "HTTP/0.9": b"GET /aaa/k\r\n\r\n",
    "HTTP/0.9 with a version": b"GET /aaa/k HTTP/0.9\r\n" + HOST + b"\r\n",
    "HTTP/2.0": b"GET /aaa/k HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/1.2": b"GET /aaa/k HTTP/1.2\r\n" + HOST + b"\r\n",
    "the HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n",
    "no version": b"GET /aaa/k \r\n" + HOST + b"\r\n",
    "a target without a slash": b"GET aaa/k HTTP/1.1\r\n" + HOST + b"\r\n",
    "a byte above 0x7E in the target": b"GET /aaa/\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw UTF-8 in the target": "GET /aaa/ü HTTP/1.1\r\n".encode() + HOST + b"\r\n",
    "a tab in the target": b"GET /aaa/\tk HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/1.0 without Host": b"GET /aaa/k HTTP/1.0\r\n\r\n",
    "a space before the colon": b"GET /aaa/k HTTP/1.1\r\n" + HOST + b"x-a : b\r\n\r\n",
    "a folded header": b"GET /aaa/k HTTP/1.1\r\n" + HOST + b"x-a: b\r\n c\r\n\r\n",
    "a header without a colon": b"GET /aaa/k HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n",
    "an empty header name": b"GET /aaa/k HTTP/1.1\r\n" + HOST + b": v\r\n\r\n",
    "NUL in a header": b"GET /aaa/k HTTP/1.1\r\n" + HOST + b"x-a: b\0c\r\n\r\n",
    "a bare CR in a header": b"GET /aaa/k HTTP/1.1\r\n" + HOST + b"x-a: b\rc\r\n\r\n",
    "bare LF line ends": b"GET /aaa/k HTTP/1.1\nHost: gateway\n\n\r\n\r\n",
}
BAD_SHAPE = {
    "absolute-form": b"GET http://bbb/aaa/k HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority-form": b"CONNECT bbb:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk-form": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment": b"GET /aaa/k#/../bbb HTTP/1.1\r\n" + HOST + b"\r\n",
    "no Host": b"GET /aaa/k HTTP/1.1\r\n\r\n",
    "an empty Host": b"GET /aaa/k HTTP/1.1\r\nHost: \r\n\r\n",
    "two Hosts": b"GET /aaa/k HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
}
FRAMING = {
    "two lengths": b"Content-Length: 3\r\nContent-Length: 3\r\n",
    "two lengths that differ": b"Content-Length: 3\r\nContent-Length: 60\r\n",
    "a list of lengths": b"Content-Length: 3, 3\r\n",
    "a signed length": b"Content-Length: +3\r\n",
    "a negative length": b"Content-Length: -3\r\n",
    "a hexadecimal length": b"Content-Length: 0x3\r\n",
    "a length with an underscore": b"Content-Length: 1_0\r\n",
    "an empty length": b"Content-Length:\r\n",
    "a length beyond 64 bits": b"Content-Length: 18446744073709551617\r\n",
    "length and chunked": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n",
    "chunked and another coding": b"Transfer-Encoding: gzip, chunked\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "a vertical tab before chunked": b"Transfer-Encoding:\x0bchunked\r\n",
    "an upgrade with a body": b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n",
    "an upgrade with a chunked body": b"Connection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n",
}
SIGNED_TARGETS = {
    "an empty bucket": ("//bbb/k", 400),
    "an encoded bucket": ("/%62bb/k", 400),
    "an encoded slash after the bucket": ("/aaa%2F..%2Fbbb", 400),
    "a bucket in capitals": ("/AAA/k", 400),
    "a bucket of two characters": ("/aa/k", 400),
    "an IPv4 address as bucket": ("/192.168.0.1/k", 400),
    "a dot segment": ("/aaa/../bbb/k", 400),
    "an encoded dot segment": ("/aaa/%2e%2e/bbb/k", 400),
    "a half-encoded dot segment": ("/aaa/.%2e/bbb/k", 400),
    "a single dot": ("/aaa/./k", 400),
    "NUL in the object key": ("/aaa/k%00", 400),
    "overlong UTF-8": ("/aaa/%C0%AE%C0%AE/k", 400),
    "a lone surrogate": ("/aaa/%ED%A0%80", 400),
    "a broken escape": ("/aaa/%zz", 400),
    "half an escape": ("/aaa/k%", 400),
    "an object key of 1025 bytes": ("/aaa/" + "k" * 1025, 400),
    "a parameter twice": ("/aaa/k?versionId=1&versionId=2", 400),
    "two sub-resources": ("/aaa/k?tagging=&acl=", 400),
    "an unknown parameter": ("/aaa/k?foo=", 501),
    "a MinIO parameter": ("/aaa?events=", 501),
    "a session": ("/aaa?session=", 403),
    "a usage report": ("/?usage=", 501),
    "an action": ("/?Action=ListTopics", 501),
}
SIGNED_HEADERS = {
    "an unknown x-amz header": ("x-amz-of-tomorrow", "1", 501),
    "a session token": ("x-amz-security-token", "t", 400),
    "a public ACL": ("x-amz-acl", "public-read", 403),
    "a grant": ("x-amz-grant-read", 'uri="http://acs.amazonaws.com/groups/global/AllUsers"', 403),
    "a foreign owner": ("x-amz-expected-bucket-owner", "000000000000", 403),
    "another expectation": ("Expect", "200-ok", 417),
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_not_http_1_is_answered_and_closed(recorded: Recorded, name: str) -> None:
    reply = _only_reply(recorded, NOT_HTTP[name] + SMUGGLED)
    assert reply.status in (400, 505)
    assert reply.code
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize("name", BAD_SHAPE)
def test_what_no_s3_client_sends_is_refused_without_a_look_at_its_credentials(recorded: Recorded, name: str) -> None:
    reply = recorded.ask(BAD_SHAPE[name])
    assert reply.status in (400, 405)
    assert reply.code in ("BadRequest", "InvalidRequest", "InvalidURI", "MethodNotAllowed")
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize("method", ["PUT", "GET", "POST"])
@pytest.mark.parametrize("name", FRAMING)
def test_a_body_whose_end_is_in_doubt_is_refused_and_closed(recorded: Recorded, name: str, method: str) -> None:
    head = recorded.signer.head(method, "/aaa/k")
    reply = _only_reply(recorded, head[:-2] + FRAMING[name] + b"\r\n" + b"0\r\n\r\n" + SMUGGLED)
    assert reply.status in ((400, 501) if "coding" in name else (400,))
    assert reply.code
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize("name", SIGNED_TARGETS)
def test_a_well_signed_bad_target_is_refused(recorded: Recorded, name: str) -> None:
    target, status = SIGNED_TARGETS[name]
    reply = recorded.ask(recorded.signer.head("GET", target))
    assert reply.status == status
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize("name", SIGNED_HEADERS)
def test_a_well_signed_bad_header_is_refused(recorded: Recorded, name: str) -> None:
    header, value, status = SIGNED_HEADERS[name]
    reply = recorded.ask(recorded.signer.head("PUT", "/aaa/k", [(header, value)], body=b""))
    assert reply.status == status
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize("method", ["TRACE", "PATCH", "PROPFIND", "get", "CONNECT"])
def test_another_method_is_405(recorded: Recorded, method: str) -> None:
    assert recorded.ask(recorded.signer.head(method, "/aaa/k")).status in (400, 405)
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize("header", ["Authorization", "X-Amz-Date", "X-Amz-Content-SHA256", "Range", "Content-Type"])
def test_a_singleton_sent_twice_is_refused(recorded: Recorded, header: str) -> None:
    head = recorded.signer.head("GET", "/aaa/k", [("Range", "bytes=0-1"), ("Content-Type", "a/b")])
    line = next(line for line in head.split(b"\r\n") if line.lower().startswith(header.lower().encode() + b":"))
    assert recorded.ask(head[:-2] + line + b"\r\n\r\n").status == 400
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_body_where_none_belongs_is_refused(recorded: Recorded, method: str) -> None:
    head = recorded.signer.head(method, "/aaa/k", body=b"body")
    assert recorded.ask(head + b"body", head_request=method == "HEAD").status == 400
    recorded.upstream.assert_untouched()


def test_an_upload_without_a_length_is_411(recorded: Recorded) -> None:
    reply = recorded.ask(recorded.signer.head("PUT", "/aaa/k"))
    assert (reply.status, reply.code) == (411, "MissingContentLength")
    recorded.upstream.assert_untouched()


def test_bytes_above_ascii_in_signed_metadata_are_no_crash(recorded: Recorded) -> None:
    reply = recorded.ask(recorded.signer.head("PUT", "/aaa/k", body=b"", unsigned=[("x-amz-meta-n", "\xff\xfe")]))
    assert (reply.status, reply.code) == (403, "AccessDenied")


@pytest.mark.parametrize("megabytes", [1, 8])
def test_an_oversized_head_is_refused_long_before_its_end(recorded: Recorded, megabytes: int) -> None:
    endless = b"GET /aaa/k HTTP/1.1\r\n" + HOST + b"x-a: " + b"a" * (megabytes << 20)
    with recorded.gateway.memory_watch() as memory:
        reply = _only_reply(recorded, endless)
    assert (reply.status, reply.code) == (400, "RequestHeaderSectionTooLarge")
    assert memory.growth < 4 << 20


def test_too_many_headers_are_refused(recorded: Recorded) -> None:
    many = b"".join(b"x-%d: v\r\n" % number for number in range(1000))
    reply = _only_reply(recorded, b"GET /aaa/k HTTP/1.1\r\n" + HOST + many + b"\r\n")
    assert (reply.status, reply.code) == (400, "RequestHeaderSectionTooLarge")


def test_no_refusal_spoils_the_gateway_for_others(recorded: Recorded) -> None:
    with recorded.connect() as bystander:
        for sent in (*NOT_HTTP.values(), *BAD_SHAPE.values()):
            recorded.ask(sent)
            bystander.send(recorded.signer.head("GET", "/aaa/k"))
            assert bystander.reply().status == 200


def test_a_refusal_leaves_a_well_framed_connection_usable(recorded: Recorded) -> None:
    stranger = Signer(recorded.gateway.host, "NQAK0000000000000000", "x" * 40)
    with recorded.connect() as connection:
        for signer, status in ((stranger, 403), (recorded.signer, 200), (stranger, 403), (recorded.signer, 200)):
            connection.send(signer.head("GET", "/aaa/k"))
            assert connection.reply().status == status


def test_nothing_secret_reaches_the_log(recorded: Recorded) -> None:
    head = recorded.signer.head("GET", "/aaa/k?versionId=1")
    signature = head.partition(b"Signature=")[2].partition(b"\r\n")[0].decode()
    recorded.ask(head)
    recorded.ask(head.replace(b"versionId=1", b"versionId=2"))
    log = recorded.gateway.log_text()
    assert signature not in log
    assert recorded.signer.secret_access_key not in log
    assert "upstream-secret" not in log


# ---- slow heads ----


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Gateway]:
    # The engine looks at its waits once a second, so that a limit of one second would be no limit at all.
    limits = {"head_timeout": 2.0, "keep_alive_timeout": 2.0, "body_idle_timeout": 2.0}
    with (
        RecordingUpstream() as upstream,
        Gateway(tmp_path, recorded_store(upstream), {"limits": limits}) as gateway,
    ):
        yield gateway


def test_slow_peers_are_closed_and_told_why(impatient: Gateway) -> None:
    signer = impatient.signer(impatient.create_key())
    with (
        impatient.connect() as slow_head,
        impatient.connect() as idle,
        impatient.connect() as slow_body,
    ):
        slow_body.send(signer.head("PUT", "/aaa/k", body=b"0123456789") + b"01234")
        started = time.monotonic()
        slow_head.send_slowly(b"GET /aaa/k HTTP/1.1\r\nHost: gateway\r\nx-a: " + b"a" * 100, piece=2, pause=0.1)
        assert time.monotonic() - started < 6.0
        assert slow_head.reply().code == "RequestTimeout"
        assert slow_head.is_closed()
        assert idle.is_closed()
        assert slow_body.reply().code == "RequestTimeout"
        assert slow_body.is_closed()


def test_a_slow_but_steady_body_is_no_timeout(impatient: Gateway) -> None:
    signer = impatient.signer(impatient.create_key())
    with impatient.connect() as steady:
        steady.send(signer.head("PUT", "/aaa/k", body=b"x" * 20))
        steady.send_slowly(b"x" * 20, piece=2, pause=0.4)
        assert steady.reply().status == 200
