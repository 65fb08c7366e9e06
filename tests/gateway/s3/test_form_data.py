import random
import re
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from gateway.s3.errors import Code, S3Error
from gateway.s3.form_data import (
    MAX_AFTER_FILE,
    MAX_BEFORE_FILE,
    MAX_FIELDS,
    MAX_PART_HEAD,
    FormLimits,
    FormReader,
    boundary_of,
)

BOUNDARY = b"B-o"
END = b"\r\n--B-o--\r\n"


def field(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return b'--B-o\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name, more, value)


def file(content: bytes, more: bytes = b'; filename="a.txt"') -> bytes:
    return field(b"file", content, more)[:-2]


FORM = field(b"key", b"a/${filename}") + field(b"Policy", b"e30=") + file(b"con\r\n--B-tent\r\n--B-") + END


def read(body: bytes, cuts: list[int] | None = None, limits: FormLimits | None = None) -> tuple[FormReader, bytes]:
    """`cuts`: offsets at which one read ends and the next begins."""
    reader = FormReader(BOUNDARY, limits)
    out = b""
    edges = [0, *sorted(cuts or []), len(body)]
    for begin, end in pairwise(edges):
        for piece in reader.feed(body[begin:end]):
            assert len(piece)
            out += bytes(piece)
    reader.finish()
    assert reader.file_size == len(out)
    return reader, out


def refused(body: bytes, limits: FormLimits | None = None) -> S3Error:
    """The error, the same whether the body comes whole or byte by byte."""
    with pytest.raises(S3Error) as whole:
        read(body, limits=limits)
    with pytest.raises(S3Error) as by_byte:
        read(body, list(range(1, len(body))), limits)
    assert (whole.value.code, whole.value.reason) == (by_byte.value.code, by_byte.value.reason)
    return whole.value


def malformed(body: bytes) -> bool:
    return refused(body).code is Code.MALFORMED_POST_REQUEST


# ---- fields and file ----


def test_fields_come_before_the_file_and_their_names_in_lower_case() -> None:
    reader, content = read(FORM)
    assert reader.fields == {b"key": b"a/${filename}", b"policy": b"e30="}
    assert reader.filename == b"a.txt"
    assert content == b"con\r\n--B-tent\r\n--B-"
    assert reader.closed


def test_every_split_in_two_and_in_single_bytes_reads_the_same() -> None:
    whole = read(FORM)[1]
    for cuts in [*[[cut] for cut in range(1, len(FORM))], list(range(1, len(FORM)))]:
        reader, content = read(FORM, cuts)
        assert content == whole
        assert reader.fields == {b"key": b"a/${filename}", b"policy": b"e30="}


def test_every_split_in_three_around_the_closing_delimiter_reads_the_same() -> None:
    body = file(b"\r\r\n\r\n--B\r\n--B-") + END
    begin = body.index(b"\r\n\r\n") + 4
    for first in range(begin, len(body)):
        for second in range(first, len(body)):
            assert read(body, [first, second])[1] == b"\r\r\n\r\n--B\r\n--B-"


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r", b"--B-", b"\r\n--B-", b"\n--B-o--\r\n", b"\r\r\r\n-"])
def test_file_content_like_a_delimiter_is_content(content: bytes) -> None:
    body = file(content) + END
    assert read(body)[1] == content
    assert read(body, list(range(len(body))))[1] == content


@pytest.mark.parametrize("part", [field(b"acl", b"--B-o\r\n"), file(b"--B-o\r\n"), file(b"--B-o--")])
def test_a_delimiter_behind_the_head_of_a_part_is_refused(part: bytes) -> None:
    """RFC 2046 has it end an empty part; who looks for CRLF in front of it takes it for content."""
    assert refused(field(b"key", b"k") + part + file(b"x") + END).code is Code.MALFORMED_POST_REQUEST


@pytest.mark.parametrize("content", [b"", b"x" * 10])
def test_the_size_of_a_last_file_follows_from_the_length_of_the_body(content: bytes) -> None:
    body = field(b"key", b"k") + file(content) + END
    reader = FormReader(BOUNDARY)
    reader.feed(body[:-5])
    assert reader.size_if_last(len(body)) == len(content)
    assert body[reader.file_at :].startswith(content + END)
    assert reader.size_if_last(len(body) - 2) <= len(content)
    with pytest.raises(S3Error) as caught:
        reader.size_if_last(reader.file_at + len(END) - 3)
    assert caught.value.code is Code.MALFORMED_POST_REQUEST


def test_an_empty_form_field_and_a_nameless_file_are_read() -> None:
    reader, _ = read(field(b"acl", b"") + file(b"x", b"") + END)
    assert reader.fields == {b"acl": b""}
    assert reader.filename is None


def test_the_file_is_given_out_as_slices_of_what_was_read() -> None:
    reader = FormReader(BOUNDARY)
    block = bytearray(file(b"x" * 1000))
    pieces = reader.feed(memoryview(block))
    assert [type(piece) for piece in pieces] == [memoryview]
    block[-1:] = b"y"
    assert bytes(pieces[0])[-1:] == b"y"


def test_fields_are_known_before_the_file_is_and_not_earlier() -> None:
    reader = FormReader(BOUNDARY)
    body = field(b"key", b"k") + file(b"")
    reader.feed(body[:-1])
    assert not reader.file_begun
    reader.feed(body[-1:])
    assert reader.file_begun
    assert reader.fields == {b"key": b"k"}


def test_a_file_is_told_by_its_name_and_not_by_its_filename() -> None:
    reader, content = read(field(b"key", b"k", b'; filename="key"') + file(b"c", b"") + END)
    assert reader.fields == {b"key": b"k"}
    assert content == b"c"


def test_what_follows_the_file_is_ignored() -> None:
    late = b"\r\n" + field(b"acl", b"public-read") + field(b"file", b"another", b'; filename="b"')
    reader, content = read(file(b"c") + late + b"--B-o--" + b"epilogue")
    assert reader.fields == {}
    assert content == b"c"
    assert reader.filename == b"a.txt"


def test_every_split_of_what_follows_the_file_ends_the_same() -> None:
    body = file(b"c") + b"\r\n" + field(b"submit", b"\r\n--B-") + b"--B-o--\r\n"
    for cut in range(1, len(body)):
        assert read(body, [cut])[1] == b"c"
    assert read(body, list(range(1, len(body))))[0].closed


def test_the_head_of_a_part_is_bounded_the_same_however_it_is_split() -> None:
    spare = MAX_PART_HEAD - len(b'\r\nContent-Disposition: form-data; name="file"\r\nX: ')
    body = file(b"c", b"\r\nX: " + b"x" * spare) + END
    for cuts in ([], [body.index(b"\r\n\r\n") + 3], list(range(1, len(body)))):
        assert read(body, cuts)[1] == b"c"
    assert malformed(file(b"c", b"\r\nX: " + b"x" * (spare + 1)) + END)


# ---- what is refused ----


@pytest.mark.parametrize("end", range(1, len(FORM) - 2))
def test_a_truncated_form_is_refused_wherever_it_ends(end: int) -> None:
    if not FORM[:end].endswith(b"\r\n--B-o--"):
        assert malformed(FORM[:end])


@pytest.mark.parametrize(
    "body",
    [
        b"preamble\r\n" + FORM,
        b"\r\n" + FORM,
        b"--B-x\r\n" + FORM,
        FORM.replace(b"--B-o", b"--B-x", 1),
        FORM.replace(b"--B-o\r\n", b"--B-o \r\n", 1),  # blanks after a delimiter
        FORM.replace(b"--B-o\r\n", b"--B-ox\r\n"),
        FORM.replace(b"Content-Disposition", b"Content-Type", 1),
        FORM.replace(b"form-data;", b"attachment;", 1),
        FORM.replace(b"form-data;", b"form-data", 1),
        FORM.replace(b' name="key"', b"", 1),
        FORM.replace(b' name="key"', b' name=""', 1),
        FORM.replace(b' name="key"', b' name="key"; name="acl"', 1),
        FORM.replace(b' name="key"', b' name="k\xc3\xa9y"', 1),
        FORM.replace(b' name="key"', b' name="key', 1),
        FORM.replace(b' name="key"', b' name="%b"' % (b"k" * 257), 1),
        FORM.replace(b'"key"\r\n', b'"key"\r\n folded\r\n', 1),
        FORM.replace(b'"key"\r\n', b'"key"\r\nbare\nline: feed\r\n', 1),
        FORM.replace(b'"key"\r\n', b'"key"\r\nContent-Disposition: form-data; name="acl"\r\n', 1),
        FORM.replace(b'"key"\r\n', b'"key"\r\nContent-Transfer-Encoding: base64\r\n', 1),
        FORM.replace(b'"key"\r\n', b'"key"\r\nX: %b\r\n' % (b"x" * MAX_PART_HEAD), 1),
        b"--B-o\r\n\r\nno head\r\n" + FORM,
        file(b"c") + b"\r\n--B-ox" + END,
        file(b"c") + b"\r\n--B-o",
        file(b"c") + b"\r\n--B-o-",
    ],
)
def test_a_form_that_is_not_well_formed_is_refused(body: bytes) -> None:
    assert malformed(body)


@pytest.mark.parametrize("second", [b"key", b"KEY"])
def test_a_field_given_twice_is_refused(second: bytes) -> None:
    assert refused(field(b"key", b"a") + field(second, b"b") + file(b"") + END).code is Code.INVALID_REQUEST


def test_a_form_without_a_file_is_refused() -> None:
    error = refused(field(b"key", b"k")[:-2] + END)
    assert error.code is Code.INCORRECT_NUMBER_OF_FILES_IN_POST_REQUEST
    assert refused(b"--B-o--\r\n").code is Code.INCORRECT_NUMBER_OF_FILES_IN_POST_REQUEST


def fed_until_refused(reader: FormReader, block: bytes) -> Code | None:
    try:
        for _ in range(100):
            reader.feed(block)
    except S3Error as error:
        return error.code
    return None


def padded(size: int) -> bytes:
    """A form whose file begins at byte `size`."""
    rest = len(field(b"key", b"")) + len(file(b""))
    return field(b"key", b"x" * (size - rest)) + file(b"content") + END


def test_everything_before_the_file_is_bounded_as_one() -> None:
    assert read(padded(MAX_BEFORE_FILE))[1] == b"content"
    error = refused(padded(MAX_BEFORE_FILE + 1))
    assert error.code is Code.MAX_POST_PRE_DATA_LENGTH_EXCEEDED
    assert error.extra == (("MaxPostPreDataLengthBytes", "20480"),)


def test_a_field_without_an_end_holds_no_more_than_the_bound() -> None:
    reader = FormReader(BOUNDARY)
    reader.feed(field(b"key", b"")[:-2])
    assert fed_until_refused(reader, b"x" * 5_000) is Code.MAX_POST_PRE_DATA_LENGTH_EXCEEDED
    assert len(reader._buffer) <= MAX_BEFORE_FILE + 2


def test_the_number_of_fields_is_bounded() -> None:
    fields = b"".join(field(b"x%d" % number, b"") for number in range(MAX_FIELDS))
    assert len(read(fields + file(b"") + END)[0].fields) == MAX_FIELDS
    assert malformed(fields + field(b"y", b"") + file(b"") + END)


def test_what_is_ignored_after_the_file_is_bounded() -> None:
    tail = b"--\r\n"
    body = file(b"") + b"\r\n--B-o"
    assert read(body + tail + b"x" * (MAX_AFTER_FILE - len(tail)))[1] == b""
    with pytest.raises(S3Error) as caught:
        read(body + tail + b"x" * (MAX_AFTER_FILE - len(tail) + 1))
    assert caught.value.code is Code.MALFORMED_POST_REQUEST
    reader = FormReader(BOUNDARY)
    reader.feed(body + b"\r\n")
    assert fed_until_refused(reader, b"x" * 1000) is Code.MALFORMED_POST_REQUEST
    assert len(reader._buffer) <= MAX_AFTER_FILE


def test_limits_can_be_narrower() -> None:
    assert refused(FORM, FormLimits(before_file=60)).code is Code.MAX_POST_PRE_DATA_LENGTH_EXCEEDED
    assert refused(FORM, FormLimits(fields=1)).code is Code.MALFORMED_POST_REQUEST
    assert refused(FORM, FormLimits(after_file=3)).code is Code.MALFORMED_POST_REQUEST


def test_a_reader_shows_no_values() -> None:
    assert "e30" not in repr(read(FORM)[0])


# ---- any input ----

CONTENT = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--B-o", b"\r\n--B-", b"x", b"\0\xff"]), max_size=30).map(
    b"".join
)


@given(CONTENT.filter(lambda content: b"\r\n--B-o" not in b"\r\n" + content + b"\r\n--B-"), st.data())
def test_any_split_of_any_content_reads_the_same(content: bytes, data: st.DataObject) -> None:
    body = field(b"key", b"k") + file(content) + END
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=12))
    assert read(body, cuts)[1] == content


@given(CONTENT, st.data())
def test_any_split_of_any_tail_ends_the_same(tail: bytes, data: st.DataObject) -> None:
    body = field(b"key", b"k") + file(b"c") + tail
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=12))
    outcomes = []
    for edges in ([], cuts):
        try:
            outcomes.append(read(body, edges)[1])
        except S3Error as error:
            outcomes.append(error.reason.encode())
    assert outcomes[0] == outcomes[1]


@given(st.binary(max_size=200), st.randoms())
def test_arbitrary_bytes_raise_only_documented_errors(noise: bytes, chance: random.Random) -> None:
    body = bytearray(FORM)
    for _ in range(3):
        at = chance.randrange(len(body))
        body[at : at + chance.randrange(4)] = noise[: chance.randrange(5)]
    for attempt in (noise, b"--B-o" + noise, bytes(body)):
        with suppress(S3Error):
            read(attempt)


# ---- foreign judges ----


def test_what_urllib3_writes_is_read() -> None:
    content = bytes(range(256)) * 40
    body, content_type = encode_multipart_formdata(
        {"key": "ü/${filename}", "Content-Type": "image/png", "file": ("é.png", content, "image/png")}
    )
    reader = FormReader(boundary_of(content_type.encode()))
    out = b"".join(bytes(piece) for piece in reader.feed(body))
    reader.finish()
    assert reader.fields == {b"key": "ü/${filename}".encode(), b"content-type": b"image/png"}
    assert reader.filename == "é.png".encode()
    assert out == content


@given(CONTENT.filter(lambda content: not re.search(rb"[\r\n]--B-o", b"\n" + content)))  # it takes a bare CR or LF too
def test_werkzeug_reads_the_same_content(content: bytes) -> None:
    body = field(b"key", b"k") + file(content) + END
    decoder = MultipartDecoder(BOUNDARY)
    decoder.receive_data(body)
    decoder.receive_data(None)
    found: dict[str, bytes] = {}
    name = ""
    while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
        if isinstance(event, Field | File):
            name = event.name
            found[name] = b""
        elif isinstance(event, Data):
            found[name] += event.data
    assert found == {"key": b"k", "file": read(body)[1]}
