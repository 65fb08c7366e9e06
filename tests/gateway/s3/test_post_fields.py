import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import Code, S3Error
from gateway.s3.form_data import MAX_BEFORE_FILE
from gateway.s3.post_fields import Expanded, as_put_headers, expand, object_key_of
from tests.support.admitted import admit


def headers_of(**fields: bytes) -> dict[bytes, bytes]:
    """`_` in a name of the call is `-` in the form."""
    return as_put_headers(Expanded({name.replace("_", "-").encode(): value for name, value in fields.items()}))


def refusal(fields: dict[bytes, bytes]) -> Code:
    with pytest.raises(S3Error) as caught:
        as_put_headers(Expanded(fields))
    return caught.value.code


# ---- ${filename} ----


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        (b"file.txt", b"file.txt"),
        (b"C:\\Program Files\\directory1\\file.txt", b"file.txt"),
        (b"/home/me/file.txt", b"file.txt"),
        (b"mixed\\up/file.txt", b"file.txt"),
        (b"line\nbreak/a", b"a"),
        (b"ends/with/", b""),
        (b"", b""),
        (None, b""),
    ],
)
def test_the_variable_becomes_what_follows_the_last_slash_or_backslash(filename: bytes | None, name: bytes) -> None:
    assert expand({b"key": b"user/${filename}"}, filename)[b"key"] == b"user/" + name


def test_every_field_is_expanded_and_each_once() -> None:
    fields = {b"x-amz-meta-a": b"${filename}-${filename}", b"success_action_redirect": b"https://a/${filename}"}
    expanded = expand(fields, b"${filename}")
    assert expanded == {
        b"x-amz-meta-a": b"${filename}-${filename}",
        b"success_action_redirect": b"https://a/${filename}",
    }


@pytest.mark.parametrize("name", b"policy x-amz-signature x-amz-credential x-amz-algorithm x-amz-date bucket".split())
def test_what_is_signed_is_never_expanded(name: bytes) -> None:
    assert expand({name: b"${filename}"}, b"a") == {name: b"${filename}"}


def test_expansion_cannot_grow_a_form_beyond_its_bound() -> None:
    with pytest.raises(S3Error) as caught:
        expand({b"key": b"${filename}" * 1000}, b"x" * 4000)
    assert caught.value.code is Code.MAX_POST_PRE_DATA_LENGTH_EXCEEDED
    assert len(expand({b"key": b"${filename}" * 100}, b"x" * 100)[b"key"]) < MAX_BEFORE_FILE


# ---- the object key ----


def test_the_object_key_is_the_expanded_field() -> None:
    assert object_key_of(expand({b"key": b"a/${filename}"}, b"b"), dot_segments=False) == b"a/b"


@pytest.mark.parametrize("fields", [{}, {b"key": b""}, {b"key": b"${filename}"}])
def test_a_form_without_an_object_key_is_refused(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(S3Error) as caught:
        object_key_of(expand(fields, None), dot_segments=False)
    assert caught.value.code is Code.USER_KEY_MUST_BE_SPECIFIED


@pytest.mark.parametrize(
    ("value", "filename", "code"),
    [
        (b"../other-bucket/k", b"", Code.INVALID_URI),
        (b"a/${filename}", b"..", Code.INVALID_URI),
        (b"a/${filename}", b"C:\\..", Code.INVALID_URI),
        (b"a\0b", b"", Code.INVALID_URI),
        (b"a/${filename}", b"\xff", Code.INVALID_URI),
        (b"a/${filename}", b"x" * 1023, Code.KEY_TOO_LONG),
    ],
)
def test_the_rules_of_object_keys_hold_in_a_form(value: bytes, filename: bytes, code: Code) -> None:
    with pytest.raises(S3Error) as caught:
        object_key_of(expand({b"key": value}, filename), dot_segments=False)
    assert caught.value.code is code


def test_dot_segments_pass_where_the_store_keeps_them() -> None:
    assert object_key_of(Expanded({b"key": b"a/../b"}), dot_segments=True) == b"a/../b"


# ---- headers ----


def test_the_fields_of_the_documentation_become_the_headers_of_a_put() -> None:
    carried = {
        b"content-type": b"image/png",
        b"content-disposition": b"attachment",
        b"cache-control": b"no-store",
        b"content-encoding": b"gzip",
        b"expires": b"Wed, 21 Oct 2026 07:28:00 GMT",
        b"content-md5": b"1B2M2Y8AsgTpgAmY7PhCfg==",
        b"x-amz-meta-a_b": b"v",
        b"x-amz-meta-empty": b"",
        b"x-amz-storage-class": b"STANDARD",
        b"x-amz-server-side-encryption": b"AES256",
        b"x-amz-checksum-crc32": b"AAAAAA==",
    }
    own = dict.fromkeys(
        b"key policy bucket submit x-ignore-a success_action_status success_action_redirect redirect x-amz-algorithm "
        b"x-amz-credential x-amz-date x-amz-signature".split(),
        b"v",
    )
    fields = Expanded({**own, **carried, b"acl": b"private"})
    headers = as_put_headers(fields)
    assert headers == {**carried, b"x-amz-acl": b"private"}
    text = {name.decode(): value.decode() for name, value in headers.items()}
    assert dict(admit("PUT", "/aaa/k", text, sha256=None).headers) == headers


@pytest.mark.parametrize(
    "name",
    b"host authorization content-length transfer-encoding connection expect range date te "
    b"x-http-method-override x_amz_acl x-minio-extract x-unheard-of file".split(),
)
def test_a_field_that_nobody_listed_names_no_header(name: bytes) -> None:
    assert as_put_headers(Expanded({name: b"v"})) == {}


@pytest.mark.parametrize(
    "name",
    b"x-amz-copy-source x-amz-copy-source-range x-amz-content-sha256 x-amz-decoded-content-length x-amz-trailer "
    b"x-amz-te if-match if-none-match if-modified-since".split(),
)
def test_a_form_neither_copies_nor_says_how_its_body_is_framed(name: bytes) -> None:
    assert refusal({name: b"v"}) is Code.INVALID_REQUEST


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        (b"acl", b"public-read", Code.ACCESS_DENIED),
        (b"acl", b"", Code.ACCESS_DENIED),
        (b"x-amz-grant-read", b"id=1", Code.ACCESS_DENIED),
        (b"x-amz-security-token", b"t", Code.INVALID_TOKEN),
        (b"x-amz-unheard-of", b"v", Code.NOT_IMPLEMENTED),
        (b"x-amz-meta-snowball-auto-extract", b"true", Code.NOT_IMPLEMENTED),
        (b"x-amz-meta-a b", b"v", Code.INVALID_ARGUMENT),
        (b"x-amz-meta-a", b"v\r\nx-amz-acl: public-read", Code.INVALID_ARGUMENT),
        (b"content-type", b"text/html\nx: y", Code.INVALID_ARGUMENT),
    ],
)
def test_the_header_policy_judges_a_form_as_it_judges_a_put(field: bytes, value: bytes, code: Code) -> None:
    text = {name.decode(): one.decode() for name, one in as_put_headers(Expanded({field: value})).items()}
    with pytest.raises(S3Error) as caught:
        admit("PUT", "/aaa/k", text, sha256=None)
    assert caught.value.code is code


def test_blanks_around_a_value_and_empty_plain_fields_are_gone() -> None:
    assert headers_of(content_type=b" text/plain\t", cache_control=b"", expires=b" ") == {
        b"content-type": b"text/plain"
    }


@pytest.mark.parametrize("name", [b"acl", b"tagging"])
def test_one_header_under_two_names_is_refused(name: bytes) -> None:
    document = b"<Tagging><TagSet/></Tagging>"
    assert refusal({b"x-amz-" + name: b"private", name: document}) is Code.INVALID_REQUEST
    assert refusal({name: document, b"x-amz-" + name: b"private"}) is Code.INVALID_REQUEST


def test_tags_are_written_as_the_header_has_them() -> None:
    tag = "<Tag><Key>{}</Key><Value>{}</Value></Tag>"
    inside = tag.format("a b&amp;c", "d=e") + tag.format("é", "")
    document = f"<Tagging><TagSet>{inside}</TagSet></Tagging>".encode()
    assert headers_of(tagging=document) == {b"x-amz-tagging": b"a%20b%26c=d%3De&%C3%A9="}


@pytest.mark.parametrize(
    "document",
    [
        b"not-xml",
        b"<Tagging></Tagging>",
        b"<Other><TagSet/></Other>",
        b"<Tagging><TagSet/><TagSet/></Tagging>",
        b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Key>a</Key><Key>a</Key></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Key><b/></Key><Value/></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Other><Key>a</Key><Value/></Other></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Key>a</Key><Value/></Tag><Tag><Key>a</Key><Value>2</Value></Tag></TagSet></Tagging>",
    ],
)
def test_tags_that_are_none_are_refused(document: bytes) -> None:
    assert refusal({b"tagging": document}) is Code.MALFORMED_XML


@given(st.dictionaries(st.sampled_from([b"acl", b"tagging", b"content-type", b"x-amz-meta-a"]), st.binary(max_size=60)))
def test_arbitrary_values_raise_only_documented_errors(fields: dict[bytes, bytes]) -> None:
    try:
        as_put_headers(expand(fields, b"\xff"))
    except S3Error as error:
        code = error.code
    else:
        code = Code.MALFORMED_XML
    assert code is Code.MALFORMED_XML
