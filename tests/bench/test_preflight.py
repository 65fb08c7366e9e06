import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.certificate import write_certificate
from bench.contender import Contender
from bench.errors import BenchError
from bench.preflight import check_answers, check_cipher, check_listed, check_refused, check_upload
from bench.scenario import Refusal, Upload
from bench.signed import Requests

REQUEST = b"GET /bench/a HTTP/1.1\r\nHost: h\r\nAuthorization: very-secret\r\n\r\n"
SIGNATURE = b"0123456789abcdef" * 4
PAYLOAD = bytes(range(256)) * 800
HEAD = b"PUT /bench/kept/a HTTP/1.1\r\nContent-Length: %d\r\nAuthorization: very-secret, Signature=%b\r\n\r\n"
UPLOAD = Requests([HEAD % (len(PAYLOAD), SIGNATURE)], PAYLOAD, PAYLOAD)


@contextmanager
def answering(*replies: bytes) -> Iterator[Contender]:
    """Answers one connection's requests with these replies, then closes it."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for reply in replies:
                connection.recv(65536)
                connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        yield Contender("fake", listener.getsockname()[1], 0, "")
        server.join()


@contextmanager
def storing(decide: Callable[[bytes, bytes], str], kept: Path, keep: slice = slice(None)) -> Iterator[Contender]:
    """A gateway that decides on signature and body, and keeps a part of what it accepts or refuses."""

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                head = b"".join(iter(stream.readline, b"\r\n"))
                if not head:
                    return
                length = re.search(rb"Length: (\d+)", head)
                signature = re.search(rb"Signature=(\w+)", head)
                assert length is not None
                assert signature is not None
                body = stream.read(int(length[1]))
                (kept / str(len(list(kept.iterdir())))).write_bytes(body[keep])
                connection.sendall(reply(decide(signature[1], body), b""))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = threading.Thread(target=serve)
        server.start()
        try:
            yield Contender("fake", port, 0, "", verifies=True)
        finally:
            with socket.create_connection(("127.0.0.1", port)) as last:
                last.sendall(b"\r\n")
            server.join()


def verify(signature: bytes, body: bytes) -> str:
    if signature != SIGNATURE:
        return "403 Forbidden"
    return "200 OK" if body == PAYLOAD else "400 Bad Request"


def reply(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_every_answer_is_read_on_one_connection() -> None:
    with answering(*[reply("200 OK", b"whole")] * 3) as contender:
        check_answers(contender, Requests([REQUEST] * 3), b"whole")


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (reply("403 Forbidden", b"<Code>AccessDenied</Code>"), "403, not 200: <Code>AccessDenied"),
        (reply("200 OK", b"short"), "5 bytes"),
        (reply("200 OK", b"wrong!"), "6 bytes"),
        (reply("206 Partial Content", b"whole!"), "206"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nwho", "did not answer"),
        (b"", "did not answer"),
    ],
)
def test_one_answer_that_is_not_the_whole_object_stops_the_bench(last: bytes, words: str) -> None:
    with (
        answering(reply("200 OK", b"whole!"), last) as contender,
        pytest.raises(BenchError, match=words) as refused,
    ):
        check_answers(contender, Requests([REQUEST] * 2), b"whole!")
    assert "very-secret" not in str(refused.value)


def test_a_reply_to_head_is_read_without_the_body_it_names() -> None:
    with answering(reply("200 OK", b"")) as contender:
        check_answers(contender, Requests([REQUEST.replace(b"GET", b"HEAD")]), b"")


def page(*object_keys: str) -> bytes:
    entries = "".join(f"<Contents><Key>{object_key}</Key></Contents>" for object_key in object_keys)
    return reply("200 OK", f"<ListBucketResult><Name>bench</Name>{entries}</ListBucketResult>".encode())


def test_a_page_of_the_keys_there_are_may_be_measured() -> None:
    with answering(*[page("a", "b")] * 2) as contender:
        check_listed(contender, Requests([REQUEST] * 2), ["a", "b"])


@pytest.mark.parametrize("last", [page("a"), page("b", "a"), page("a", "b", "c"), reply("200 OK", b"")])
def test_one_page_of_other_keys_stops_the_bench(last: bytes) -> None:
    with answering(page("a", "b"), last) as contender, pytest.raises(BenchError, match="keys, not the 2"):
        check_listed(contender, Requests([REQUEST] * 2), ["a", "b"])


@contextmanager
def shaking_hands(certificate: Path, *, newest: ssl.TLSVersion) -> Iterator[Contender]:
    """Agrees on a cipher, then ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = newest
    context.load_cert_chain(certificate)

    def serve() -> None:
        connection, _ = listener.accept()
        context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        yield Contender("fake", listener.getsockname()[1], 0, "", certificate=certificate)
        server.join()


def test_contenders_speak_tls_with_one_cipher(tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    write_certificate(certificate)
    with shaking_hands(certificate, newest=ssl.TLSVersion.TLSv1_3) as contender:
        check_cipher(contender)
    with (
        shaking_hands(certificate, newest=ssl.TLSVersion.TLSv1_2) as contender,
        pytest.raises(BenchError, match="not TLS_AES_256_GCM_SHA384"),
    ):
        check_cipher(contender)


@pytest.mark.parametrize("refusal", Refusal)
def test_a_gateway_that_refuses_every_request_for_this_reason_may_be_measured(refusal: Refusal) -> None:
    refused = reply("403 Forbidden", b"<Error><Code>%b</Code></Error>" % refusal.encode())
    with answering(*[refused] * 3) as contender:
        check_refused(contender, Requests([REQUEST] * 3), refusal)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (reply("200 OK", b"whole!"), "with 200, not 403"),
        (reply("400 Bad Request", b"<Code>AccessDenied</Code>"), "with 400, not 403"),
        (reply("503 Service Unavailable", b"<Code>SlowDown</Code>"), "with 503, not 403"),
        (reply("403 Forbidden", b"<Code>RequestTimeTooSkewed</Code>"), "another reason than AccessDenied"),
        (b"", "did not answer"),
    ],
)
def test_one_answer_that_is_not_the_refusal_asked_for_stops_the_bench(last: bytes, words: str) -> None:
    with (
        answering(reply("403 Forbidden", b"<Code>AccessDenied</Code>"), last) as contender,
        pytest.raises(BenchError, match=words) as refused,
    ):
        check_refused(contender, Requests([REQUEST] * 2), Refusal.SCOPE)
    assert "very-secret" not in str(refused.value)


@pytest.mark.parametrize("upload", Upload)
def test_a_gateway_that_verifies_and_passes_on_everything_may_be_measured(upload: Upload, tmp_path: Path) -> None:
    (tmp_path / "of an earlier one").write_bytes(b"")
    with storing(verify, tmp_path) as contender:
        check_upload(contender, UPLOAD, PAYLOAD, upload, tmp_path)


def test_a_gateway_that_does_not_verify_the_body_is_not_measured(tmp_path: Path) -> None:
    with (
        storing(lambda signature, _: verify(signature, PAYLOAD), tmp_path) as contender,
        pytest.raises(BenchError, match="another body with 200") as refused,
    ):
        check_upload(contender, UPLOAD, PAYLOAD, Upload.SHA256, tmp_path)
    assert "very-secret" not in str(refused.value)


@pytest.mark.parametrize("upload", Upload)
def test_a_gateway_that_does_not_verify_the_signature_is_not_measured(upload: Upload, tmp_path: Path) -> None:
    with (
        storing(lambda _, body: verify(SIGNATURE, body), tmp_path) as contender,
        pytest.raises(BenchError, match="another signature with 200"),
    ):
        check_upload(contender, UPLOAD, PAYLOAD, upload, tmp_path)


def test_a_gateway_that_forgets_the_end_of_an_upload_is_not_measured(tmp_path: Path) -> None:
    with (
        storing(verify, tmp_path, slice(-1)) as contender,
        pytest.raises(BenchError, match=rf"passed on {len(PAYLOAD) - 1} bytes"),
    ):
        check_upload(contender, UPLOAD, PAYLOAD, Upload.SHA256, tmp_path)


def test_of_one_that_does_not_verify_only_what_it_passes_on_is_looked_at(tmp_path: Path) -> None:
    with storing(lambda _, body: "200 OK", tmp_path) as contender:
        check_upload(contender._replace(verifies=False), UPLOAD, PAYLOAD, Upload.SHA256, tmp_path)


def test_of_a_peer_that_says_nothing_of_itself_the_object_or_its_framing_may_arrive(tmp_path: Path) -> None:
    framed = UPLOAD._replace(content=b"framed")
    with storing(lambda _, body: "200 OK", tmp_path) as contender:
        check_upload(contender._replace(verifies=False), framed, PAYLOAD, Upload.TRAILER, tmp_path)
    with (
        storing(lambda _, body: "200 OK", tmp_path, slice(9)) as contender,
        pytest.raises(BenchError, match="passed on 9 bytes"),
    ):
        check_upload(contender._replace(verifies=False), framed, PAYLOAD, Upload.TRAILER, tmp_path)


def test_an_object_where_a_refusal_was_expected_does_not_garble_the_terminal() -> None:
    with (
        answering(reply("200 OK", b"\x1b[2J\r\n\x00 object \xff")) as contender,
        pytest.raises(BenchError, match="with 200, not 403") as refused,
    ):
        check_refused(contender, Requests([REQUEST]), Refusal.SCOPE)
    assert str(refused.value).isprintable()
