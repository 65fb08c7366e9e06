"""One head, one request: shapes that two readers could read differently never get past here."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.addressing import Addressing
from gateway.s3.errors import Code, S3Error
from gateway.s3.header_names import HeaderNames
from gateway.s3.request import RequestHead, S3Request, parse_request

PATH_STYLE = Addressing((), frozenset(), dot_segments=False)
HOST = {b"host": b"gw.example:9000"}


def parsed(
    target: bytes = b"/bucket/k",
    method: bytes = b"GET",
    headers: dict[bytes, bytes] = HOST,
    repeated: frozenset[bytes] = frozenset(),
    addressing: Addressing = PATH_STYLE,
) -> S3Request:
    return parse_request(RequestHead(method, target, headers, HeaderNames(tuple(headers), repeated), 1), addressing)


def refusal(*arguments: bytes, **named: object) -> Code:
    with pytest.raises(S3Error) as caught:
        parsed(*arguments, **named)  # type: ignore[arg-type]  # passed on as given
    return caught.value.code


# ---- request line and Host ----


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"POST", b"DELETE", b"OPTIONS"])
def test_the_methods_of_s3_pass(method: bytes) -> None:
    assert parsed(method=method).method == method


@pytest.mark.parametrize("method", [b"get", b"PATCH", b"CONNECT", b"TRACE", b"PROPFIND", b"", b"GET ", b"COPY"])
def test_any_other_method_is_not_allowed(method: bytes) -> None:
    assert refusal(b"/bucket/k", method) is Code.METHOD_NOT_ALLOWED


@pytest.mark.parametrize(
    "target",
    [
        b"*",
        b"",
        b"bucket/k",
        b"http://gw.example/bucket/k",
        b"gw.example:443",
        b"/bucket/k#x",
        b"/a/x#/../b?c=d",
        b"/bucket/k?x#y",
        b"/bucket/a b",
        b"/bucket/\xc3\xa4",
        b"/bucket/a\x00b",
        b"/bucket/a\tb",
        b"/bucket/\x7f",
        b"/bucket/k\n",
        b"/bucket/k\r\nx: y",
    ],
)
def test_a_target_is_origin_form_of_visible_ascii_without_a_fragment(target: bytes) -> None:
    assert refusal(target) is Code.INVALID_URI


@pytest.mark.parametrize("headers", [{}, {b"host": b""}])
def test_a_request_without_a_host_is_refused(headers: dict[bytes, bytes]) -> None:
    assert refusal(b"/bucket/k", headers=headers) is Code.BAD_REQUEST


def test_a_host_is_kept_as_received() -> None:
    assert parsed(headers={b"host": b"GW.Example:9000"}).headers[b"host"] == b"GW.Example:9000"


# ---- headers ----


@pytest.mark.parametrize(
    "name",
    [
        b"host",
        b"authorization",
        b"content-length",
        b"transfer-encoding",
        b"content-md5",
        b"range",
        b"if-match",
        b"x-amz-copy-source",
        b"x-amz-date",
        b"x-amz-acl",
        b"x-amz-anything",
    ],
)
def test_a_header_that_counts_is_given_once(name: bytes) -> None:
    assert refusal(b"/bucket/k", repeated=frozenset({name})) is Code.INVALID_REQUEST


@pytest.mark.parametrize("name", [b"x-amz-meta-a", b"accept", b"via", b"x-forwarded-for", b"connection"])
def test_metadata_and_dropped_headers_may_repeat(name: bytes) -> None:
    assert parsed(repeated=frozenset({name})).names.repeated == {name}


def test_underscored_names_vanish_but_stay_for_the_signature() -> None:
    headers = {**HOST, b"x_amz_copy_source": b"/b/secret", b"x-amz_acl": b"public-read", b"x_forwarded_for": b"1"}
    request = parsed(headers=headers)
    assert request.headers == HOST
    assert request.all_headers == headers


def test_underscored_metadata_stays() -> None:
    headers = {**HOST, b"x-amz-meta-my_key": b"v", b"x_amz_meta_other": b"w"}
    assert parsed(headers=headers).headers == {**HOST, b"x-amz-meta-my_key": b"v"}


# ---- path ----


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        (b"/bucket/k", b"/bucket/k"),
        (b"/bucket/%7Ek", b"/bucket/~k"),
        (b"/bucket/%c3%a4", b"/bucket/%C3%A4"),
        (b"/bucket/!'()*", b"/bucket/%21%27%28%29%2A"),
        (b"/bucket/a+b", b"/bucket/a%2Bb"),
        (b"/bucket/a%2Fb", b"/bucket/a/b"),
        (b"/bucket//a//b/", b"/bucket//a//b/"),
        (b"/bucket/%25", b"/bucket/%25"),
        (b"/bucket/a;b", b"/bucket/a%3Bb"),
    ],
)
def test_the_canonical_path_is_decoded_once_encoded_once_and_never_normalized(path: bytes, canonical: bytes) -> None:
    request = parsed(path)
    assert request.canonical_path == canonical
    assert request.raw_path == path


@pytest.mark.parametrize("path", [b"/bucket/%", b"/bucket/%4", b"/bucket/%zz", b"/bucket/%u0041"])
def test_a_broken_escape_is_refused(path: bytes) -> None:
    assert refusal(path) is Code.INVALID_URI


# ---- query ----


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        (b"", {}),
        (b"&&", {}),
        (b"delete", {b"delete": b""}),
        (b"delete=", {b"delete": b""}),
        (b"a=1&b=2", {b"a": b"1", b"b": b"2"}),
        (b"&a=1&&b=2&", {b"a": b"1", b"b": b"2"}),
        (b"a=1;b=2", {b"a": b"1;b=2"}),
        (b"a=b=c", {b"a": b"b=c"}),
        (b"a=x+y%2Bz", {b"a": b"x y+z"}),
        (b"%61=%26%3D", {b"a": b"&="}),
        (b"a=?b", {b"a": b"?b"}),
        (b"a=%FF", {b"a": b"\xff"}),
        (b"A=1&a=2", {b"A": b"1", b"a": b"2"}),
    ],
)
def test_a_query_is_split_at_ampersands_and_first_equal_signs(query: bytes, parameters: dict[bytes, bytes]) -> None:
    request = parsed(b"/bucket/k?" + query)
    assert request.query == parameters
    assert request.raw_query == query


@pytest.mark.parametrize("query", [b"=1", b"a=1&=2", b"=", b"a=1&a=1", b"a&a", b"a=1&%61=2"])
def test_a_parameter_has_a_name_and_is_given_once(query: bytes) -> None:
    assert refusal(b"/bucket/k?" + query) is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("query", [b"a=%", b"%zz", b"a=%4"])
def test_a_broken_escape_in_the_query_is_refused(query: bytes) -> None:
    assert refusal(b"/bucket/k?" + query) is Code.INVALID_URI


@pytest.mark.parametrize(
    "name",
    [
        "prefix",
        "marker",
        "start-after",
        "key-marker",
        "continuation-token",
        "uploadId",
        "upload-id-marker",
        "versionId",
        "version-id-marker",
    ],
)
@pytest.mark.parametrize("value", ["../bbb/", "..%2Fbbb%2Fsecret", "x/%2e%2e/%2e%2e/bbb", "%00", "%FF"])
def test_a_parameter_cannot_walk_out_of_the_bucket(name: str, value: str) -> None:
    assert refusal(f"/bucket?{name}={value}".encode()) is Code.INVALID_ARGUMENT


def test_a_parameter_may_walk_where_the_store_keeps_names_opaque() -> None:
    opaque = PATH_STYLE._replace(dot_segments=True)
    assert parsed(b"/bucket?prefix=../x", addressing=opaque).query == {b"prefix": b"../x"}


def test_requests_without_a_query_share_no_state() -> None:
    assert parsed().query == {}
    assert parsed(b"/bucket?a=1").query == {b"a": b"1"}
    assert parsed().query == {}


# ---- laws ----


@given(st.binary(max_size=60))
def test_arbitrary_targets_parse_or_are_refused(tail: bytes) -> None:
    for target in (tail, b"/" + tail, b"/bucket/" + tail, b"/bucket/k?" + tail):
        try:
            request = parsed(target)
        except S3Error:
            continue
        assert request.raw_path + (b"?" + request.raw_query if b"?" in target else b"") == target


@given(st.binary(max_size=40).filter(lambda raw: b"\0" not in raw))
def test_an_object_key_arrives_byte_for_byte(object_key: bytes) -> None:
    try:
        request = parsed(b"/bucket/" + b"".join(b"%%%02x" % byte for byte in object_key))
    except S3Error:
        return
    assert request.object_key == object_key


@given(st.sampled_from([b"GET", b"PUT", b"x"]), st.dictionaries(st.binary(max_size=12), st.binary(max_size=12)))
def test_arbitrary_headers_raise_only_refusals(method: bytes, headers: dict[bytes, bytes]) -> None:
    with contextlib.suppress(S3Error):
        parsed(method=method, headers=headers, repeated=frozenset(headers))


@pytest.mark.parametrize("name", [b"partNumber", b"max-keys", b"max-parts", b"max-uploads", b"part-number-marker"])
@pytest.mark.parametrize("value", [b"..%2F..%2Fother%2Fk", b"-1", b"1%2F", b"x", b"12345678901"])
def test_what_is_a_number_is_forwarded_as_a_number_only(name: bytes, value: bytes) -> None:
    """File-backed stores name the files of parts by it."""
    assert refusal(b"/bucket/k?uploadId=u&" + name + b"=" + value) is Code.INVALID_ARGUMENT
    assert parsed(b"/bucket/k?uploadId=u&" + name + b"=10").query[name] == b"10"
