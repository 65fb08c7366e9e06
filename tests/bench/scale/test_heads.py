import re

from bench.contender import Credential
from bench.scale.heads import EMPTY_SHA256, get_head, get_heads
from bench.signed import get_requests

ONE, OTHER = (Credential(f"NQAK{number:016}", str(number) * 40) for number in (1, 2))


def test_a_head_is_signed_as_by_the_client_that_signs_the_bench() -> None:
    """The same names signed for the same host; the signature itself is botocore's in both."""
    head = get_head("http://127.0.0.1:9000", ONE, "1024/object-0000")
    [client] = get_requests("http://127.0.0.1:9000", ONE, ["1024/object-0000"]).heads
    assert head.partition(b"\r\n")[0] == client.partition(b"\r\n")[0]
    signed = [re.search(rb"SignedHeaders=([^,]+)", one) for one in (head, client)]
    assert all(signed)
    assert b"host" in signed[0][1].split(b";") if signed[0] else False
    assert EMPTY_SHA256.encode() in head
    assert head.endswith(b"\r\n\r\n")


def test_every_key_signs_its_own_head_and_objects_take_turns() -> None:
    heads = get_heads("http://127.0.0.1:9000", [ONE, OTHER, ONE], ["a", "b"])
    assert [re.search(rb"Credential=([^/]+)", head)[1].decode() for head in heads] == [  # type: ignore[index]
        ONE.access_key_id,
        OTHER.access_key_id,
        ONE.access_key_id,
    ]
    assert [head.split(b" ")[1] for head in heads] == [b"/bench/a", b"/bench/b", b"/bench/a"]
