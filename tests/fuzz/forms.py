"""Upload forms: only documented errors, one result under any split, and what a foreign parser reads too."""

import re
from email.message import Message
from email.parser import BytesFeedParser
from typing import NamedTuple

from gateway.s3.errors import Code, S3Error
from gateway.s3.form_data import FormLimits, FormReader
from gateway.s3.form_head import MAX_FIELD_NAME, boundary_of, read_part_head
from tests.fuzz.case import Case, Target, case_of, reached, seed

BOUNDARIES = (b"B-o", b"x", b"-", b"'()+_,./:=? =?" + b"9" * 56)
WHICH, NARROW, CONTENT_TYPE = 3, 4, 8  # WHICH: two bits
PLAIN_HEAD = re.compile(
    rb'Content-Disposition: form-data; name="([^"\\]+)"; filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE
)
PLAIN_NAME = re.compile(rb"[a-z0-9-]+\Z")


def form_target(octets: bytes) -> None:
    case = case_of(octets)
    boundary = BOUNDARIES[case.flags & WHICH]
    body = case.material
    outcomes = [_read(case, boundary, blocks) for blocks in case.splits(body)]
    for outcome in outcomes:
        assert outcome == outcomes[0], (outcomes[0], outcome)
    form = outcomes[0]
    if isinstance(form, Code):
        return
    reached["form"] += 1
    _check_places(form, boundary, body)
    parts = _parts_by_email(boundary, body)
    if parts is None:
        return
    reached["form, two judges"] += 1
    expected = [*form.fields, (b"file", form.content)]
    assert len(parts) >= len(expected)
    for (name, value), (foreign_name, foreign_value) in zip(expected, parts, strict=False):
        assert value == foreign_value
        if PLAIN_NAME.match(name) and b"*" not in body and b"\\" not in body:
            assert name.decode() == str(foreign_name).lower()


class Form(NamedTuple):
    fields: tuple[tuple[bytes, bytes], ...]
    filename: bytes | None
    file_at: int
    content: bytes


def _read(case: Case, boundary: bytes, blocks: list[bytes]) -> Form | Code:
    limits = FormLimits(case.number, case.steps[1], 2) if case.has(NARROW) else FormLimits()
    reader = FormReader(boundary, limits)
    content = bytearray()
    known = None
    taken = 0
    try:
        for block in blocks:
            content += b"".join(reader.feed(memoryview(block)))
            taken += len(block)
            assert len(content) == reader.file_size <= taken
            assert reader.file_begun or not content
            assert len(reader._buffer) <= max(limits.before_file + 2, limits.after_file)
            if reader.file_begun:
                known = known or (dict(reader.fields), reader.filename)
                assert known == (reader.fields, reader.filename)
        reader.finish()
    except S3Error as error:
        return error.code
    assert reader.closed
    assert reader.file_size <= reader.size_if_last(taken) + 2
    return Form(tuple(reader.fields.items()), reader.filename, reader.file_at, bytes(content))


def _check_places(form: Form, boundary: bytes, body: bytes) -> None:
    delimiter = b"\r\n--" + boundary
    end = form.file_at + len(form.content)
    assert body[form.file_at : end] == form.content
    assert (b"\r\n" + body).startswith(delimiter)
    assert body[end:].startswith(delimiter)
    for value in (form.content, *[value for _, value in form.fields]):
        assert delimiter not in b"\r\n" + value  # a value may not even begin with the rest of one
    assert all(name == name.lower() and name.isascii() for name, _ in form.fields)


def _parts_by_email(boundary: bytes, body: bytes) -> list[tuple[object, bytes]] | None:
    """Name and content of every part as the standard library reads them. None where it reads by other rules: lines end
    in a bare CR or LF too, a closing delimiter is a line of its own, parts have parts."""
    dashes = b"--" + re.escape(boundary)
    if re.search(b"(?:\r(?!\n)|(?<!\r)\n)%b|%b--(?!\r\n|\\Z)" % (dashes, dashes), body):
        return None
    parser = BytesFeedParser()
    parser.feed(b'Content-Type: multipart/form-data; boundary="%b"\r\n\r\n%b' % (boundary, body))
    parts = parser.close().get_payload()
    assert isinstance(parts, list)
    read: list[tuple[object, bytes]] = []
    for part in parts:
        assert isinstance(part, Message)
        if part.get_content_maintype() in ("multipart", "message"):
            return None
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        read.append((part.get_param("name", header="content-disposition"), content))
    return read


# ---- heads alone ----


def form_head_target(octets: bytes) -> None:
    case = case_of(octets)
    if case.has(CONTENT_TYPE):
        _check_boundary(case.material)
    else:
        _check_part_head(case.material)


def _check_boundary(content_type: bytes) -> None:
    try:
        boundary = boundary_of(content_type)
    except S3Error:
        return
    assert 1 <= len(boundary) <= 70
    assert re.fullmatch(rb"[0-9A-Za-z'()+_,./:=? -]*[^ ]", boundary)
    assert len(re.findall(rb"(?i)[; \t]boundary=", content_type)) == 1 or b'"' in content_type
    assert boundary_of(b'multipart/form-data; boundary="%b"' % boundary) == boundary
    if not re.search(rb'[\\*]|[^\x20-\x7e]|"[^"]*;', content_type):
        message = Message()
        message["Content-Type"] = content_type.decode()
        assert message.get_boundary() == boundary.decode()
        reached["boundary, two judges"] += 1


def _check_part_head(lines: bytes) -> None:
    try:
        head = read_part_head(lines)
    except S3Error:
        return
    reached["part head"] += 1
    assert 1 <= len(head.name) <= MAX_FIELD_NAME
    assert re.fullmatch(rb"[\x20-\x7e]+", head.name)
    assert head.name == head.name.lower()
    assert head.filename is None or not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", head.filename)
    spelled = PLAIN_HEAD.fullmatch(lines)
    if spelled is not None:
        assert head == (spelled[1].lower(), _unquoted(spelled[2]))
        reached["part head, two judges"] += 1
    names = [name.lower() for name in re.findall(rb"(?i)[; \t](name|filename)=", lines)]
    assert len(names) == len(set(names)) or b'"' in lines
    again = b'Content-Disposition: form-data; name="%b"' % _quoted(head.name)
    if head.filename is not None:
        again += b'; filename="%b"' % _quoted(head.filename)
    assert read_part_head(again) == head


def _unquoted(value: bytes) -> bytes:
    """Only an escaped quote or backslash is an escape: some browsers send paths as they are."""
    parts = [part.replace(b'\\"', b'"') for part in value.split(b"\\\\")]
    return b"\\".join(parts)


def _quoted(value: bytes) -> bytes:
    return value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


# ---- good examples ----


def _part(name: bytes, value: bytes, more: bytes = b"", boundary: bytes = b"B-o") -> bytes:
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n' % (boundary, name, more)
    return head + value + b"\r\n"


FILE = b'; filename="C:\\dir\\a.txt"\r\nContent-Type: text/plain'
FORM = _part(b"key", b"user/${filename}") + _part(b"X-Amz-Date", b"\r\n-") + _part(b"file", b"c\r\n--B-\r\n", FILE)
OTHER = _part(b"file", b"\xff\0\r", boundary=BOUNDARIES[3]) + b"--" + BOUNDARIES[3]
SEEDS = (
    seed(FORM + b"--B-o--\r\n"),
    seed(FORM + _part(b"acl", b"public-read") + b"--B-o--epilogue", steps=b"\1\7\0"),
    seed(_part(b"file", b"", boundary=b"x") + b"--x--", 1),
    seed(OTHER + b"--\r\n", 3),
    seed(FORM + b"--B-o--\r\n", NARROW, 512, b"\x40\x40\0"),
    seed(FORM + b"--B-o--\r\n", NARROW, 100),
    seed(_part(b"key", b"k") + b"--B-o--\r\n"),
    seed(_part(b"key", b"a") + _part(b"KEY", b"b") + FORM + b"--B-o--\r\n"),
)
WORDS = (
    *(b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"--", b"--B-o", b"\r\n--B-o", b"\r\n--B-o--", b"\r\n--B-", b"--x", b"-----"),
    *(b'Content-Disposition: form-data; name="', b'; filename="', b'name="file"', b"Content-Transfer-Encoding: base64"),
    *(b"Content-Type: multipart/mixed; boundary=x", b"\\", b'\\"', b"filename*=utf-8''", b";", b"\t", b'"', b"=", b":"),
)
FORM_TARGET = Target(form_target, SEEDS, WORDS, frozenset({"form", "form, two judges"}))

HEAD_SEEDS = (
    seed(b"multipart/form-data; boundary=B-o", CONTENT_TYPE),
    seed(b'Multipart/Form-Data;charset="utf-8" ; Boundary="a b" ;', CONTENT_TYPE),
    seed(b"multipart/form-data; boundary=x; boundary=y", CONTENT_TYPE),
    seed(b'Content-Disposition: form-data; name="key"; filename="C:\\dir\\\\a.txt"'),
    seed(b'Content-Disposition: form-data; name="key"; Name=acl'),
    seed(
        b'content-disposition:form-data;NAME="f\\"\\\\";filename="C:\\a\xc3\xbc"\r\n'
        b"Content-Transfer-Encoding: 8bit\r\nX: y"
    ),
)
HEAD_ENDS = frozenset({"boundary, two judges", "part head", "part head, two judges"})
HEAD_WORDS = (*WORDS, b"multipart/form-data", b"boundary=", b"7bit")
FORM_HEAD_TARGET = Target(form_head_target, HEAD_SEEDS, HEAD_WORDS, HEAD_ENDS)
