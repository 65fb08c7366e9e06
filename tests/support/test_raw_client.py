import hashlib

from tests.support.raw_client import Signer

SIGNER = Signer("127.0.0.1:9000", "NQAK0123456789abcdef", "secret")


def test_a_signed_head_names_what_it_signs_and_ends_with_the_empty_line() -> None:
    head = SIGNER.head("PUT", "/aaa/k?partNumber=1&uploadId=u", [("x-amz-meta-a", "1")], body=b"xyz")
    assert head.startswith(b"PUT /aaa/k?partNumber=1&uploadId=u HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n")
    assert b"SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a" in head
    assert head.endswith(b"\r\nContent-Length: 3\r\n\r\n")
    assert hashlib.sha256(b"xyz").hexdigest().encode() in head


def test_a_wrong_hash_stays_as_it_was_given() -> None:
    wrong = "0" * 64
    head = SIGNER.head("PUT", "/aaa/k", body=b"xyz", sha256=wrong)
    assert head.count(wrong.encode()) == 1
    assert hashlib.sha256(b"xyz").hexdigest().encode() not in head


def test_an_unsigned_header_is_sent_but_not_signed() -> None:
    head = SIGNER.head("PUT", "/aaa/k", body=b"", unsigned=[("x-amz-acl", "public-read")])
    assert b"x-amz-acl: public-read\r\n" in head
    assert b"x-amz-acl;" not in head.partition(b"SignedHeaders=")[2]
    assert b";x-amz-acl" not in head
