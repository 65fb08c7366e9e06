from bench.contender import Credential
from bench.objects import object_keys
from bench.signed import get_requests, request_bytes

ORIGIN = "http://127.0.0.1:9000"
CREDENTIAL = Credential("NQAK0000000000000000", "s" * 40)


def fields(request: bytes) -> dict[str, str]:
    _, *lines = request.decode().removesuffix("\r\n\r\n").split("\r\n")
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def test_requests_are_whole_and_signed_in_the_header_for_the_host_they_go_to() -> None:
    [request] = get_requests(ORIGIN, CREDENTIAL, ["1024/object-0000"])
    assert request.startswith(b"GET /bench/1024/object-0000 HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\n")
    assert request.count(b"\r\n\r\n") == 1
    sent = fields(request)
    assert sent["host"] == "127.0.0.1:9000"
    assert sent["authorization"].startswith("AWS4-HMAC-SHA256 Credential=NQAK0000000000000000/")
    assert {"x-amz-date", "x-amz-content-sha256", "user-agent", "accept-encoding"} <= set(sent)


def test_every_request_is_for_another_object_and_has_another_signature() -> None:
    requests = get_requests(ORIGIN, CREDENTIAL, object_keys(1024)[:20])
    assert len({request.split(b" ", 2)[1] for request in requests}) == 20
    assert len({fields(request)["authorization"] for request in requests}) == 20


def test_header_values_are_text_or_bytes() -> None:
    assert request_bytes("GET", "/a?b", {"Host": "h", "X": b"\xc3\xa9"}) == (
        b"GET /a?b HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: h\r\nX: \xc3\xa9\r\n\r\n"
    )
