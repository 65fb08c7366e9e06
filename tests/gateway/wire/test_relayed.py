"""`POST /` signed for iam or sts over a socket: held, handed to the control plane, answered; never to the store."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.iam.request import IamAnswer, IamRequest
from gateway.s3.header_names import HeaderNames
from gateway.s3.request import RequestHead
from gateway.wire.relayed import MAX_FORM, for_control_plane
from keystore.access_key import KnownKey
from keystore.errors import KeystoreError, KeystoreUnavailable, NotKnownYet
from tests.support.iam import Signing
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import RecordingUpstream
from tests.support.wire import ACCESS_KEY_ID, SECRET, RunningEngine, wait_until

FORM = b"Action=GetCallerIdentity&Version=2011-06-15"
SIGNED = b"AWS4-HMAC-SHA256 Credential=NQAK/20260101/us-east-1/%b/aws4_request, SignedHeaders=host, Signature=0"


class Control:
    """A control plane that answers with what it was asked. `hangs`: not before it is told to."""

    def __init__(self) -> None:
        self.asked: list[IamRequest] = []
        self.fails = False
        self.hangs: asyncio.Event | None = None

    async def relay(self, request: IamRequest) -> IamAnswer:
        self.asked.append(request)
        if self.hangs is not None:
            await self.hangs.wait()
        if self.fails:
            raise KeystoreUnavailable("the control plane does not answer")
        return IamAnswer(403, [(b"content-type", b"text/xml"), (b"cache-control", b"no-store")], b"<no/>")


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
def relaying(gateway: RunningEngine, control: Control) -> RunningEngine:
    gateway.engine.control = control
    return gateway


def request(
    form: bytes = FORM,
    service: bytes = b"iam",
    target: bytes = b"/",
    framing: bytes = b"",
    *,
    signed: bytes | None = None,
    secret: str = SECRET,
    off: float = 0.0,
) -> bytes:
    """`form`: what is sent, of which `signed` is signed if they differ. `off`: seconds that the client's clock is."""
    framing = framing or b"content-length: %d\r\n" % len(form)
    signing = Signing(ACCESS_KEY_ID, secret, service.decode(), now=time.time() + off)
    headers = signing.request(form if signed is None else signed).headers
    lines = b"".join(b"%b: %b\r\n" % (name.lower(), value) for name, value in headers)
    return b"POST %b HTTP/1.1\r\n%b%b\r\n%b" % (target, lines, framing, form)


def post(gateway: RunningEngine, message: bytes) -> RawReply:
    with gateway.connect() as client:
        client.send(message)
        return client.reply()


@pytest.mark.parametrize("service", [b"iam", b"sts"])
def test_the_form_goes_to_the_control_plane_as_it_came_and_its_answer_comes_back(
    relaying: RunningEngine, control: Control, upstream: RecordingUpstream, service: bytes
) -> None:
    with relaying.connect() as client:
        for _ in range(2):  # on one connection
            client.send(request(service=service))
            reply = client.reply()
            assert (reply.status, reply.body) == (403, b"<no/>")
            assert reply.header(b"cache-control") == b"no-store"
            assert len(reply.header(b"x-amz-request-id")) == 16
    [asked, _] = control.asked
    assert (asked.method, asked.raw_path, asked.raw_query, asked.body, asked.source) == (
        b"POST",
        b"/",
        b"",
        FORM,
        "127.0.0.1",
    )
    assert b"/%b/aws4_request" % service in dict(asked.headers)[b"authorization"]
    upstream.assert_untouched()


@pytest.mark.parametrize(("trusted", "source"), [((), "unix"), (("unix",), "192.0.2.7")])
def test_of_a_form_that_comes_by_the_unix_socket_the_control_plane_hears_that_or_whom_a_trusted_proxy_names(
    tmp_path: Path, control: Control, trusted: tuple[str, ...], source: str
) -> None:
    told = request(framing=b"content-length: %d\r\nx-forwarded-for: 192.0.2.7\r\n" % len(FORM))
    with RunningEngine(1, path=tmp_path / "s3.sock", trusted=trusted) as relaying, relaying.connect_here() as client:
        relaying.engine.control = control
        client.send(told)
        assert client.reply().status == 403
    assert [asked.source for asked in control.asked] == [source]


def test_a_form_in_pieces_and_in_chunks_is_whole_when_it_arrives(relaying: RunningEngine, control: Control) -> None:
    with relaying.connect() as client:
        for octet in request():
            client.send(bytes([octet]))
        assert client.reply().status == 403
    chunked = b"".join(b"1\r\n%c\r\n" % octet for octet in FORM) + b"0\r\n\r\n"
    assert post(relaying, request(chunked, framing=b"transfer-encoding: chunked\r\n", signed=FORM)).status == 403
    assert [asked.body for asked in control.asked] == [FORM, FORM]


def test_no_body_is_an_empty_form(relaying: RunningEngine, control: Control) -> None:
    assert post(relaying, request(b"")).status == 403
    assert control.asked[0].body == b""


@pytest.mark.parametrize("announced", [True, False])
def test_a_form_over_64_kib_reaches_nobody(
    relaying: RunningEngine, control: Control, announced: bool, upstream: RecordingUpstream
) -> None:
    form = b"a" * (MAX_FORM + 1)
    framing = b"" if announced else b"transfer-encoding: chunked\r\n"
    body = form if announced else b"%x\r\n%b\r\n0\r\n\r\n" % (len(form), form)
    reply = post(relaying, request(body, framing=framing))
    assert (reply.status, reply.code) == (400, "EntityTooLarge")
    assert control.asked == []
    assert relaying.call(lambda: relaying.engine.memory.taken) == 0
    assert post(relaying, request(form[:-1])).status == 403
    upstream.assert_untouched()


def test_a_control_plane_that_does_not_answer_is_503(relaying: RunningEngine, control: Control) -> None:
    control.fails = True
    reply = post(relaying, request())
    assert (reply.status, reply.code) == (503, "ServiceUnavailable")
    assert relaying.call(lambda: relaying.engine.memory.taken) == 0


def test_a_client_that_leaves_takes_its_form_along(relaying: RunningEngine, control: Control) -> None:
    control.hangs = asyncio.Event()
    with relaying.connect() as client:
        client.send(request())
        wait_until(lambda: len(control.asked) == 1)
        assert relaying.call(lambda: relaying.engine.memory.taken) == len(FORM)
    wait_until(lambda: relaying.call(lambda: relaying.engine.memory.taken) == 0)
    relaying.call(control.hangs.set)
    assert post(relaying, request()).status == 403
    assert not [line for line in relaying.said if "failed" in line]


@pytest.mark.parametrize(
    ("service", "target"),
    [
        (b"s3", b"/"),
        (b"s3tables", b"/"),
        (b"iam", b"/bucket"),
        (b"iam", b"/?Action=x"),
        (b"iamx", b"/"),
        (b"sts/s3", b"/"),
    ],
)
def test_everything_else_is_what_it_was(
    relaying: RunningEngine, control: Control, upstream: RecordingUpstream, service: bytes, target: bytes
) -> None:
    assert post(relaying, request(service=service, target=target)).status in {400, 403, 405, 501}
    assert control.asked == []
    upstream.assert_untouched()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (lambda: request(secret="x" * 40), b"SignatureDoesNotMatch"),
        (lambda: request(FORM + b"&", signed=FORM), b"SignatureDoesNotMatch"),
        (lambda: request(off=-901), b"SignatureDoesNotMatch"),
        (lambda: request(off=901), b"SignatureDoesNotMatch"),
        (lambda: request().replace(ACCESS_KEY_ID.encode(), b"NQAK0000000000000000"), b"InvalidClientTokenId"),
        (lambda: request().replace(b"x-amz-date", b"x-amz-dates"), b"IncompleteSignature"),
    ],
)
def test_what_is_not_proven_reaches_nobody(
    relaying: RunningEngine, control: Control, upstream: RecordingUpstream, sent: Callable[[], bytes], code: bytes
) -> None:
    reply = post(relaying, sent())
    assert b"<ErrorResponse" in reply.body
    assert b"<Code>%b</Code>" % code in reply.body
    assert reply.header(b"cache-control") == b"no-store"
    assert control.asked == []
    assert relaying.call(lambda: relaying.engine.memory.taken) == 0
    upstream.assert_untouched()


def test_a_revoked_key_and_one_from_another_network_reach_nobody(relaying: RunningEngine, control: Control) -> None:
    directory = relaying.directory
    assert directory.held is not None
    directory.held = replace(directory.held, source_cidrs=("192.0.2.0/24",))
    assert b"<Code>AccessDenied</Code>" in post(relaying, request()).body
    directory.revoke()
    assert b"has been revoked" in post(relaying, request()).body
    directory.broken = True
    assert post(relaying, request()).status == 503
    assert control.asked == []


def _soon(told: Callable[[KeystoreError | None], None], error: KeystoreError | None) -> None:
    asyncio.get_running_loop().call_soon(told, error)


def test_a_key_that_is_not_known_yet_is_waited_for(
    relaying: RunningEngine, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, asked = relaying.directory.find, []

    def found(access_key_id: str, date: bytes) -> KnownKey | None:
        asked.append(access_key_id)
        if len(asked) == 1:
            raise NotKnownYet("kDate", lambda told: _soon(told, None))
        if len(asked) == 3:
            raise NotKnownYet("kDate", lambda told: _soon(told, KeystoreUnavailable("no answer")))
        return find(access_key_id, date)

    relaying.call(lambda: setattr(relaying.engine, "_lookups", relaying.engine._lookups._replace(find=found)))
    assert post(relaying, request()).status == 403
    assert len(control.asked) == 1
    assert post(relaying, request()).status == 503
    assert len(control.asked) == 1


def test_without_a_control_plane_nothing_is_relayed(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    assert post(gateway, request()).status in {400, 405}
    upstream.assert_untouched()


def test_the_service_is_what_stands_in_the_credential() -> None:
    def asks(authorization: bytes, target: bytes = b"/") -> bool:
        headers = {b"authorization": authorization}
        return for_control_plane(RequestHead(b"POST", target, headers, HeaderNames((b"authorization",)), 1))

    assert asks(SIGNED % b"iam")
    assert asks(SIGNED % b"sts")
    assert not asks(SIGNED % b"s3")
    assert not asks(b"Basic /iam/aws4_request")
    assert not asks(b"")
