from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import Code, S3Error
from gateway.s3.form_head import MAX_FIELD_NAME, PartHead, boundary_of, read_part_head

# ---- the boundary ----


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (
            b"Multipart/Form-Data;BOUNDARY=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
        (b'multipart/form-data; charset=utf-8 ; boundary="a b:c=d"; ', b"a b:c=d"),
        (b'multipart/form-data; boundary="%b"' % (b"x" * 70), b"x" * 70),
    ],
)
def test_the_boundary_is_read_quoted_or_not(content_type: bytes, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=%b" % (b"x" * 71),
        b'multipart/form-data; boundary="ends with a blank "',
        b'multipart/form-data; boundary="not\ttext"',
        b'multipart/form-data; boundary="open',
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=a b",
        b"multipart/form-data; boundary=caf\xc3\xa9",
        b'multipart/form-data; boundary="a\r\nb"',
    ],
)
def test_a_boundary_beyond_rfc_2046_is_refused(content_type: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        boundary_of(content_type)
    assert caught.value.code is Code.MALFORMED_POST_REQUEST


@pytest.mark.parametrize("content_type", [b"", b"text/plain", b"multipart/mixed; boundary=a", b"multipart/form-data2"])
def test_another_type_is_not_a_form(content_type: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        boundary_of(content_type)
    assert caught.value.code is Code.REQUEST_IS_NOT_MULTI_PART_CONTENT
    assert caught.value.code.status == 412


@given(st.binary(max_size=120))
def test_arbitrary_content_types_raise_only_documented_errors(noise: bytes) -> None:
    for attempt in (noise, b"multipart/form-data;" + noise, b"multipart/form-data; boundary=" + noise):
        with suppress(S3Error):
            assert 1 <= len(boundary_of(attempt)) <= 70


# ---- the head of a part ----


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (b'Content-Disposition: form-data; name="key"', b"key"),
        (b'CONTENT-DISPOSITION:Form-Data;NAME="X-Amz-Date"', b"x-amz-date"),
        (b"Content-Disposition: form-data; name=key; other=x", b"key"),
        (b'Content-Type: text/plain\r\nContent-Disposition: form-data; name="a b;c=d"\r\nX-Unknown: v', b"a b;c=d"),
        (b'Content-Transfer-Encoding: 8BIT\r\nContent-Disposition: form-data; name="key"', b"key"),
    ],
)
def test_the_name_of_a_field_is_read_in_lower_case(lines: bytes, name: bytes) -> None:
    assert read_part_head(lines) == PartHead(name, None)


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"\r\n",
        b"Content-Type: text/plain",
        b"Content-Disposition: form-data",
        b"Content-Disposition: form-data; name=",
        b'Content-Disposition: form-data; name=""',
        b'Content-Disposition: form-data; name="a"; Name="b"',
        b'Content-Disposition: form-data; name="a" b',
        b'Content-Disposition: form-data, name="a"',
        b'Content-Disposition: form-data; name="a\tb"',
        b"Content-Disposition: form-data; name*=utf-8''a",
        b'Content-Disposition: file; name="file"',
        b'Content-Disposition : form-data; name="a"',
        b' Content-Disposition: form-data; name="a"',
        b'Content-Disposition: form-data;\r\n name="a"',
        b'Content-Disposition: form-data; name="a"\r\nContent-disposition: form-data; name="b"',
        b'Content-Disposition: form-data; name="a"\nX: y',
        b'Content-Disposition: form-data; name="a\0"',
        b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: quoted-printable',
        b'Content-Disposition: form-data; name="%b"' % (b"a" * (MAX_FIELD_NAME + 1)),
    ],
)
def test_a_head_that_readers_could_differ_on_is_refused(lines: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        read_part_head(lines)
    assert caught.value.code is Code.MALFORMED_POST_REQUEST


@given(st.binary(max_size=120))
def test_arbitrary_heads_raise_only_documented_errors(noise: bytes) -> None:
    for attempt in (
        noise,
        b"Content-Disposition: form-data; name=a" + noise,
        b"Content-Disposition: form-data;" + noise,
    ):
        with suppress(S3Error):
            name = read_part_head(attempt).name
            assert 1 <= len(name) <= MAX_FIELD_NAME
            assert name == name.lower()


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        (b'; filename="C:\\Program Files\\x.txt"', b"C:\\Program Files\\x.txt"),
        (b'; filename="say \\"hi\\".txt"', b'say "hi".txt'),
        (b'; filename="%22\xc3\xa9;=.txt"', b"%22\xc3\xa9;=.txt"),
        (b"; filename=plain.txt", b"plain.txt"),
        (b'; filename=""', b""),
        (b";filename*=utf-8''x;filename=\"y\"", b"y"),
    ],
)
def test_file_names_are_read_as_browsers_write_them(sent: bytes, read_as: bytes) -> None:
    assert read_part_head(b'Content-Disposition: form-data; name="file"' + sent).filename == read_as
