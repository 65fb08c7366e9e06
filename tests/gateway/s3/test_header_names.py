"""What a sequence of header names tells, and that strangers cannot make the gateway remember without bound."""

import pytest

from gateway.s3 import header_names as module
from gateway.s3.header_names import (
    MAX_CONCLUSIONS,
    MAX_KEPT_NAMES,
    MAX_KEPT_OCTETS,
    MAX_SEQUENCES,
    header_names,
    literal,
    picker,
)


def test_a_sequence_is_looked_at_once() -> None:
    assert header_names((b"Host", b"X-A")) is header_names((b"Host", b"X-A"))
    assert header_names((b"Host", b"X-A")) is not header_names((b"X-A", b"Host"))
    assert header_names((b"Host", b"X-A")).lowered == (b"host", b"x-a")


def test_names_that_differ_only_in_case_are_repeated() -> None:
    names = header_names((b"Host", b"X-A", b"x-a", b"HOST"))
    assert names.lowered == (b"host", b"x-a", b"x-a", b"host")
    assert names.repeated == {b"host", b"x-a"}
    assert header_names((b"Host", b"X-A")).repeated == frozenset()


@pytest.mark.parametrize("name", [b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade", b"Expect"])
def test_what_frames_the_message_is_seen_in_any_case(name: bytes) -> None:
    assert header_names((b"Host", name)).framing
    assert header_names((b"Host", name.upper())).framing
    assert not header_names((b"Host", b"X-" + name)).framing


def test_an_underscore_is_seen() -> None:
    assert header_names((b"Host", b"x_a")).underscored
    assert not header_names((b"Host", b"x-a")).underscored


def test_long_heads_and_long_names_are_not_kept() -> None:
    many = tuple(b"x-%d" % number for number in range(MAX_KEPT_NAMES + 1))
    long = (b"x" * (MAX_KEPT_OCTETS + 1),)
    for sent in (many, long):
        assert header_names(sent) is not header_names(sent)


def test_what_is_kept_is_bounded() -> None:
    for number in range(2 * MAX_SEQUENCES):
        header_names((b"host", b"x-%d" % number))
    assert len(module._known) <= MAX_SEQUENCES
    names = header_names((b"host",))
    for number in range(2 * MAX_CONCLUSIONS):
        names.remember(number, number)
    assert len(names.memo) <= MAX_CONCLUSIONS


@pytest.mark.parametrize("places", [[], [1], [2, 0], [0, 1, 2]])
def test_a_picker_gives_a_tuple_whatever_the_number(places: list[int]) -> None:
    assert picker(places)(["a", "b", "c"]) == tuple("abc"[place] for place in places)


def test_a_percent_sign_in_a_name_is_text() -> None:
    assert literal(b"a%b") + b"=%b" == b"a%%b=%b"
    assert (literal(b"a%b") + b"=%b") % (b"v",) == b"a%b=v"
