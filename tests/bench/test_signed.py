import base64
import hashlib
import zlib

from botocore.httpsession import BUFFER_SIZE

from bench.contender import Credential
from bench.objects import object_keys
from bench.scenario import Read, Upload
from bench.signed import (
    BLOCK,
    Requests,
    falsely_signed,
    get_requests,
    put_requests,
    request_bytes,
    transfer_chunked,
)

ORIGIN = "http://127.0.0.1:9000"
PAYLOAD = bytes(range(256)) * 1000
CRC32 = zlib.crc32(PAYLOAD).to_bytes(4, "big")
CREDENTIAL = Credential("NQAK0000000000000000", "s" * 40)


def fields(request: bytes) -> dict[str, str]:
    _, *lines = request.decode().removesuffix("\r\n\r\n").split("\r\n")
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def test_requests_are_whole_and_signed_in_the_header_for_the_host_they_go_to() -> None:
    [request] = get_requests(ORIGIN, CREDENTIAL, ["1024/object-0000"]).heads
    assert request.startswith(b"GET /bench/1024/object-0000 HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\n")
    assert request.count(b"\r\n\r\n") == 1
    sent = fields(request)
    assert sent["host"] == "127.0.0.1:9000"
    assert sent["authorization"].startswith("AWS4-HMAC-SHA256 Credential=NQAK0000000000000000/")
    assert {"x-amz-date", "x-amz-content-sha256", "user-agent", "accept-encoding"} <= set(sent)


def test_every_request_is_for_another_object_and_has_another_signature() -> None:
    requests = get_requests(ORIGIN, CREDENTIAL, object_keys(1024)[:20]).heads
    assert len({request.split(b" ", 2)[1] for request in requests}) == 20
    assert len({fields(request)["authorization"] for request in requests}) == 20


def lines(read: Read) -> list[str]:
    return [
        head.partition(b" HTTP/1.1")[0].decode() for head in get_requests(ORIGIN, CREDENTIAL, ["a", "b"], read).heads
    ]


def test_a_head_is_signed_like_a_get() -> None:
    assert lines(Read.HEAD) == ["HEAD /bench/a", "HEAD /bench/b"]
    [request] = get_requests(ORIGIN, CREDENTIAL, ["a"], Read.HEAD).heads
    assert "authorization" in fields(request)


def test_a_presigned_get_is_signed_in_its_query_and_nowhere_else() -> None:
    [request] = get_requests(ORIGIN, CREDENTIAL, ["a"], Read.PRESIGNED).heads
    assert request.startswith(b"GET /bench/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
    assert b"&X-Amz-Signature=" in request
    assert set(fields(request)) == {"accept-encoding", "host"}
    assert fields(request)["host"] == "127.0.0.1:9000"


def test_a_list_asks_for_a_page_behind_each_name_and_for_owners_where_they_are_wanted() -> None:
    for read, owners in [(Read.LIST, False), (Read.LIST_OWNERS, True)]:
        first, second = lines(read)
        assert first.startswith("GET /bench?list-type=2")
        assert "start-after=a" in first
        assert "start-after=b" in second
        assert ("fetch-owner=true" in first) == owners


def test_over_tls_the_same_requests_are_sent_to_the_same_host() -> None:
    secure = ORIGIN.replace("http:", "https:")
    assert lines(Read.GET) == ["GET /bench/a", "GET /bench/b"]
    for read in Read:
        for head in get_requests(secure, CREDENTIAL, ["a"], read).heads:
            assert b" /bench" in head.partition(b" HTTP/")[0]
            assert fields(head)["host"] == "127.0.0.1:9000"
    [head] = put_requests(secure, CREDENTIAL, ["a"], PAYLOAD, Upload.SHA256).heads
    assert fields(head)["x-amz-content-sha256"] == hashlib.sha256(PAYLOAD).hexdigest()


def put(upload: Upload, payload: bytes = PAYLOAD) -> tuple[Requests, dict[str, str]]:
    requests = put_requests(ORIGIN, CREDENTIAL, ["a", "b"], payload, upload)
    first, second = requests.heads
    assert first.startswith(b"PUT /bench/a HTTP/1.1\r\n")
    assert second.startswith(b"PUT /bench/b HTTP/1.1\r\n")
    sent = fields(first)
    assert sent["host"] == "127.0.0.1:9000"
    assert "expect" not in sent
    return requests, sent


def test_an_upload_over_http_declares_its_sha256_and_its_crc32() -> None:
    requests, sent = put(Upload.SHA256)
    assert sent["x-amz-content-sha256"] == hashlib.sha256(PAYLOAD).hexdigest()
    assert base64.b64decode(sent["x-amz-checksum-crc32"]) == CRC32
    assert sent["content-length"] == str(len(PAYLOAD))
    assert requests.body == requests.content == PAYLOAD


def test_an_upload_with_a_trailer_is_chunked_twice() -> None:
    requests, sent = put(Upload.TRAILER)
    assert sent["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert sent["transfer-encoding"] == "chunked"
    assert sent["x-amz-trailer"] == "x-amz-checksum-crc32"
    assert sent["x-amz-decoded-content-length"] == str(len(PAYLOAD))
    assert "content-length" not in sent
    trailer = b"0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % base64.b64encode(CRC32)
    assert requests.content == b"%x\r\n%b\r\n%b" % (len(PAYLOAD), PAYLOAD, trailer)
    assert requests.body == transfer_chunked(requests.content)


def test_a_false_signature_is_well_formed_and_all_else_is_the_same() -> None:
    requests = get_requests(ORIGIN, CREDENTIAL, ["a", "b"])
    for good, bad in zip(requests.heads, falsely_signed(requests).heads, strict=True):
        before, signature = good.split(b"Signature=", 1)
        assert bad == before + b"Signature=00000000" + signature[8:]
        assert bad != good


def test_an_unsigned_upload_declares_nothing() -> None:
    requests, sent = put(Upload.UNSIGNED)
    assert sent["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert not [name for name in sent if "checksum" in name or "trailer" in name or "md5" in name]
    assert requests.body == PAYLOAD


def test_the_transfer_coding_is_cut_as_by_urllib3() -> None:
    assert BLOCK == BUFFER_SIZE
    content = bytes(BLOCK) + b"end"
    assert transfer_chunked(content) == b"20000\r\n%b\r\n3\r\nend\r\n0\r\n\r\n" % bytes(BLOCK)


def test_header_values_are_text_or_bytes() -> None:
    assert request_bytes("GET", "/a?b", {"Host": "h", "X": b"\xc3\xa9"}) == (
        b"GET /a?b HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: h\r\nX: \xc3\xa9\r\n\r\n"
    )
