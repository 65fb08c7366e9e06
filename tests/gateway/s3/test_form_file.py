import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.payload.reader import Framing
from gateway.s3.errors import Code, S3Error
from gateway.s3.form_data import Block, FormReader
from gateway.s3.form_file import FormFile
from gateway.s3.post_policy import LengthRange

FIELDS = b'--B-o\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n'
FILE = b'--B-o\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
END = b"\r\n--B-o--\r\n"
ANY = LengthRange()


def begun(first: bytes) -> tuple[FormReader, list[Block]]:
    reader = FormReader(b"B-o")
    pieces = reader.feed(FIELDS + FILE + first)
    assert reader.file_begun
    return reader, pieces


def taken(file: FormFile, *blocks: bytes) -> bytes:
    return b"".join([bytes(piece) for block in blocks for piece in file.feed(block)])


def code(file: FormFile, *blocks: bytes) -> Code:
    """Of the refusal of a file, by one of these blocks."""
    with pytest.raises(S3Error) as caught:
        taken(file, *blocks)
    return caught.value.code


def code_at_the_end(file: FormFile, *blocks: bytes) -> Code:
    """Of the refusal when the form ends."""
    taken(file, *blocks)
    with pytest.raises(S3Error) as caught:
        file.finish()
    return caught.value.code


@given(st.binary(max_size=60), st.integers(0, 72), st.integers(1, 30), st.booleans())
def test_any_cut_gives_the_file_and_counts_what_was_given_back(
    content: bytes, first: int, size: int, promised: bool
) -> None:
    body = content + END
    rest = body[first:]
    file = FormFile(*begun(body[:first]), ANY, len(content) if promised else None)
    framing: Framing = file
    assert (file.decoded, file.verified) == (0, 0)
    out = b""
    for block in (b"", *[rest[at : at + size] for at in range(0, len(rest), size)]):
        out += b"".join([bytes(piece) for piece in framing.feed(block)])
        assert file.decoded == file.verified == len(out)
    assert framing.finish() == {}
    assert out == content


def test_what_came_with_the_fields_is_kept_though_its_buffer_is_used_again() -> None:
    buffer = bytearray(FIELDS + FILE + b"content")
    reader = FormReader(b"B-o")
    file = FormFile(reader, reader.feed(memoryview(buffer)), ANY, None)
    buffer[:] = b"x" * len(buffer)
    assert taken(file, b"", END) == b"content"


def test_never_a_byte_more_than_was_promised_to_the_store_is_given_back() -> None:
    """Two bytes over the promise would be the beginning of a request of the client's own making."""
    for content in (b"123456", b"12345", b"123" + b"4" * 1000):
        file = FormFile(*begun(content[:3]), ANY, 4)
        assert taken(file, b"") == b"123"
        assert code(file, content[3:]) is Code.MALFORMED_POST_REQUEST
    file = FormFile(*begun(b"12345"), ANY, 4)
    assert code(file, b"") is Code.MALFORMED_POST_REQUEST


def test_a_file_smaller_than_promised_never_finishes() -> None:
    file = FormFile(*begun(b"123"), ANY, 4)
    assert taken(file, END) == b"123"
    with pytest.raises(S3Error) as caught:
        file.finish()
    assert caught.value.code is Code.MALFORMED_POST_REQUEST
    assert "last field" in caught.value.message


@pytest.mark.parametrize("size", [None, 3])
def test_a_form_without_its_end_never_finishes(size: int | None) -> None:
    for end in (b"", END[:-4], b"\r\n--B-o\r\n"):
        assert code_at_the_end(FormFile(*begun(b"123"), ANY, size), end) is Code.MALFORMED_POST_REQUEST


def test_the_policys_maximum_stops_the_file_at_the_block_that_passes_it() -> None:
    file = FormFile(*begun(b"123"), LengthRange(0, 5), None)
    assert taken(file, b"", b"45") == b"12345"
    assert code(file, b"6") is Code.ENTITY_TOO_LARGE
    assert code(FormFile(*begun(b"123456"), LengthRange(0, 5), None), b"") is Code.ENTITY_TOO_LARGE


def test_the_policys_minimum_holds_when_the_form_ends() -> None:
    assert code_at_the_end(FormFile(*begun(b"123"), LengthRange(4, 5), None), END) is Code.ENTITY_TOO_SMALL
    assert taken(FormFile(*begun(b"1234"), LengthRange(4, 5), None), END) == b"1234"
