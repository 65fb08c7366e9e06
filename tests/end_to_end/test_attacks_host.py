"""Attacks through Host and its relatives, at a gateway that serves domains. None of them may reach `bbb`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.attacks import OURS, OURS_WITH_BODY, forwarded, names, presigned_head, recorded_gateway, refusal
from tests.support.house import Recorded
from tests.support.posted import posted_form
from tests.support.raw_client import Signer

pytestmark = pytest.mark.server  # many, and some with a gateway of their own

DENIED = (403, "AccessDenied")
NOT_SERVED = (400, "BadRequest")
NO_BUCKET = (400, "InvalidBucketName")


@pytest.fixture(scope="module")
def _hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    settings = {
        "s3": {
            "domains": ["gw.example", "aaa.gw.example.net", "s3.gw.example"],
            "regions": ["us-east-1"],
            "echo_canonical_request": True,
        }
    }
    folder: Path = tmp_path_factory.mktemp("hosted")
    with recorded_gateway(folder, profile="generic", settings=settings) as recorded:
        yield recorded


@pytest.fixture
def hosted(_hosted: Recorded) -> Recorded:
    _hosted.upstream.reset()
    return _hosted


def _at(signer: Signer, host: str) -> Signer:
    return replace(signer, host=host)


def _head(signer: Signer, host: str, method: str, target: str) -> bytes:
    """Signed for this Host as it stands; of a URL botocore would sign it in lower case and without port 80."""
    made = _at(signer, "a.host").head(method, target, [("Host", host)])
    return made.replace(b"Host: a.host\r\n", b"", 1)


@pytest.mark.parametrize(
    ("host", "target", "line"),
    [
        ("aaa.gw.example", "/bbb/k", b"GET /aaa/bbb/k HTTP/1.1"),
        ("aaa.gw.example", "/", b"GET /aaa HTTP/1.1"),
        ("aaa.gw.example", "//bbb/k", b"GET /aaa//bbb/k HTTP/1.1"),
        ("aaa.gw.example", "/%2Fbbb/k", b"GET /aaa//bbb/k HTTP/1.1"),
        ("aaa.gw.example", "/aaa/k", b"GET /aaa/aaa/k HTTP/1.1"),
        ("aaa.gw.example.", "/bbb", b"GET /aaa/bbb HTTP/1.1"),
        ("aaa.gw.example:9000", "/bbb", b"GET /aaa/bbb HTTP/1.1"),
        ("aaa.gw.example.:80", "/bbb", b"GET /aaa/bbb HTTP/1.1"),
        ("aaa.s3.gw.example", "/bbb", b"GET /aaa/bbb HTTP/1.1"),
        ("aaa.aaa.gw.example.net", "/bbb", b"GET /aaa/bbb HTTP/1.1"),
        ("gw.example", "/aaa/bbb", b"GET /aaa/bbb HTTP/1.1"),
        ("aaa.gw.example.net", "/aaa/k", b"GET /aaa/k HTTP/1.1"),
        ("127.0.0.1", "/aaa/k", b"GET /aaa/k HTTP/1.1"),
        ("[::1]:9000", "/aaa/k", b"GET /aaa/k HTTP/1.1"),
        ("localhost", "/aaa/k", b"GET /aaa/k HTTP/1.1"),
    ],
)
def test_b14_a_bucket_in_the_path_of_a_virtual_hosted_request_is_an_object_key(
    hosted: Recorded, host: str, target: str, line: bytes
) -> None:
    canonical = target.replace("%2F", "/")
    head = _head(hosted.scoped, host, "GET", canonical).replace(canonical.encode(), target.encode(), 1)
    request = forwarded(hosted, head)
    assert (request.line, names(request)) == (line, OURS)
    assert request.header(b"host") == hosted.upstream.endpoint.removeprefix("http://").encode()


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("bbb.gw.example", DENIED),
        ("BBB.gw.example", DENIED),
        ("bbb.gw.example:80", DENIED),
        ("bbb.gw.example.", DENIED),
        ("aaa.bbb.gw.example", DENIED),
        ("bbb.aaa.gw.example", DENIED),
        ("bbb.gw.example.aaa.gw.example", DENIED),
        ("bbb.aaa.gw.example.net", DENIED),
        ("aaa.gw.example.evil", NOT_SERVED),
        ("aaa.gw.example.evil.com:80", NOT_SERVED),
        ("aaagw.example", NOT_SERVED),
        ("aaa.gw.examples", NOT_SERVED),
        ("aaa", NOT_SERVED),
        ("aaa.localhost", NOT_SERVED),
        ("aaa.127.0.0.1", NOT_SERVED),
        ("gw.example@aaa", NOT_SERVED),
        ("bbb.gw.example,aaa.gw.example.evil", NOT_SERVED),
        ("aaa.gw.example:80:80", NOT_SERVED),
        ("aaa.gw.example:x", NOT_SERVED),
        ("aaa.gw.example..", NOT_SERVED),
        (".gw.example", NO_BUCKET),
        ("aaa..gw.example", NO_BUCKET),
        ("aaa/bbb.gw.example", NO_BUCKET),
        ("%61aa.gw.example", NO_BUCKET),
        ("bbb,aaa.gw.example", NO_BUCKET),
        ("aaa_.gw.example", NO_BUCKET),
        ("*.gw.example", NO_BUCKET),
        ("bbb:80.gw.example", NO_BUCKET),
    ],
)
def test_b14_a_host_that_names_another_bucket_or_none_is_refused(
    hosted: Recorded, host: str, answer: tuple[int, str]
) -> None:
    for method, target in (("GET", "/aaa/k"), ("HEAD", "/k"), ("DELETE", "/aaa/k")):
        assert refusal(hosted, _head(hosted.scoped, host, method, target)) == answer


def test_b14_the_host_is_signed_and_cannot_be_exchanged(hosted: Recorded) -> None:
    for made_for, sent_to in (
        ("gw.example", "aaa.gw.example"),
        ("aaa.gw.example", "gw.example"),
        ("a.b", "gw.example"),
    ):
        for head in (
            _at(hosted.signer, made_for).head("GET", "/aaa/k"),
            presigned_head(_at(hosted.signer, made_for), "GET", "/aaa/k"),
        ):
            exchanged = head.replace(b"Host: " + made_for.encode(), b"Host: " + sent_to.encode(), 1)
            assert refusal(hosted, exchanged) == (403, "SignatureDoesNotMatch")


FORWARDED = [
    ("X-Forwarded-Host", "bbb.gw.example"),
    ("X-Forwarded-Server", "bbb.gw.example"),
    ("X-Host", "bbb.gw.example"),
    ("Forwarded", "host=bbb.gw.example;proto=https;for=127.0.0.1"),
    ("X-Forwarded-Prefix", "/bbb"),
    ("X-Forwarded-Proto", "https"),
    ("X-Original-URL", "/bbb/secret"),
    ("X-Original-Host", "bbb.gw.example"),
    ("X-Rewrite-URL", "/bbb/secret"),
    ("X-Real-IP", "127.0.0.1"),
    ("X-Amzn-Trace-Id", "/bbb/secret"),
    ("Destination", "/bbb/secret"),
    ("X-Copy-From", "/bbb/secret"),
]


@pytest.mark.parametrize("signed", [True, False])
def test_b15_headers_that_name_another_host_or_path_move_nothing(hosted: Recorded, signed: bool) -> None:
    scoped = _at(hosted.scoped, "aaa.gw.example")
    head = scoped.head("PUT", "/k", FORWARDED if signed else (), body=b"", unsigned=() if signed else FORWARDED)
    request = forwarded(hosted, head)
    assert (request.line, names(request)) == (b"PUT /aaa/k HTTP/1.1", OURS_WITH_BODY)


@pytest.mark.parametrize("header", [("X-Forwarded-Host", "aaa.gw.example"), ("X-Original-URL", "/aaa/k")])
def test_b15_headers_that_name_the_bucket_of_the_scope_open_no_other(hosted: Recorded, header: tuple[str, str]) -> None:
    assert refusal(hosted, _at(hosted.scoped, "bbb.gw.example").head("GET", "/k", [header])) == DENIED
    assert refusal(hosted, _at(hosted.scoped, "gw.example").head("GET", "/bbb/k", [header])) == DENIED


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("http://gw.example/aaa/k", "InvalidURI"),
        ("http://bbb.gw.example/k", "InvalidURI"),
        ("*", "InvalidURI"),
        ("gw.example:80", "InvalidURI"),
        ("/aaa/k#/../../bbb", "InvalidURI"),
        ("/aaa/k?x#y", "InvalidURI"),
    ],
)
def test_b15_a_well_signed_request_in_another_form_of_target_is_refused(
    hosted: Recorded, target: str, code: str
) -> None:
    head = _at(hosted.scoped, "gw.example").head("GET", "/aaa/k")
    changed = head.replace(b"GET /aaa/k ", f"GET {target} ".encode(), 1)
    status, found = refusal(hosted, changed)
    assert status == 400
    assert found in (code, "BadRequest")


@pytest.mark.parametrize("second", ["Host: bbb.gw.example", "host: gw.example", "HOST:gw.example"])
def test_b15_a_second_host_is_refused_whichever_of_them_was_signed(hosted: Recorded, second: str) -> None:
    head = _at(hosted.scoped, "gw.example").head("GET", "/aaa/k")
    line = b"Host: gw.example\r\n"
    for pair in (line + second.encode() + b"\r\n", second.encode() + b"\r\n" + line):
        status, code = refusal(hosted, head.replace(line, pair, 1))
        assert status == 400
        assert code in ("InvalidRequest", "BadRequest")


@pytest.mark.parametrize("name", ["admin", "swift", "auth", "minio", "status", "healthz", "buckets", "metrics"])
def test_b17_a_host_does_not_name_what_a_store_answers_itself(hosted: Recorded, name: str) -> None:
    assert refusal(hosted, _at(hosted.signer, f"{name}.gw.example").head("GET", "/v1/info")) == NO_BUCKET


def test_b24_a_form_takes_its_bucket_from_the_host_and_is_held_to_it(hosted: Recorded) -> None:
    for signer in (hosted.scoped, hosted.signer):
        credential = (signer.access_key_id, signer.secret_access_key)
        form = posted_form(hosted.gateway.host, credential, b"file", bucket="aaa")
        sent = form.request().replace(b"POST /aaa ", b"POST / ", 1)
        moved = sent.replace(f"Host: {hosted.gateway.host}".encode(), b"Host: bbb.gw.example", 1)
        assert refusal(hosted, moved) == DENIED


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-10", "US-EAST-1", "us-east-1 ", "*", "s3"])
def test_b31_a_signature_for_another_region_is_refused(hosted: Recorded, region: str) -> None:
    for signed in (hosted.signer.head("GET", "/aaa/k"), hosted.scoped.head("GET", "/aaa/k")):
        other = signed.replace(b"/us-east-1/s3/", f"/{region}/s3/".encode(), 1)
        assert refusal(hosted, other) == (400, "AuthorizationHeaderMalformed")


def test_b38_a_host_in_capitals_is_the_same_bucket_and_a_path_in_capitals_is_none(hosted: Recorded) -> None:
    request = forwarded(hosted, _head(hosted.scoped, "AAA.GW.Example", "GET", "/K"))
    assert request.line == b"GET /aaa/K HTTP/1.1"
    assert refusal(hosted, _at(hosted.scoped, "gw.example").head("GET", "/AAA/k")) == NO_BUCKET


def test_b40_even_where_the_canonical_request_is_echoed_no_signature_is(hosted: Recorded) -> None:
    for signer in (hosted.scoped, _at(hosted.scoped, "aaa.gw.example")):
        for head in (signer.head("GET", "/aaa/k"), presigned_head(signer, "GET", "/aaa/k")):
            right = head.partition(b"Signature=")[2][:64]
            wrong = right[::-1]
            hosted.upstream.reset()
            reply = hosted.ask(head.replace(right, wrong, 1))
            hosted.upstream.assert_untouched()
            assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")
            assert b"<CanonicalRequest>" in reply.body
            told = reply.body + b"".join(value for _, value in reply.headers) + hosted.gateway.log_text().encode()
            for secret in (right, wrong, signer.secret_access_key.encode()):
                assert secret not in told
