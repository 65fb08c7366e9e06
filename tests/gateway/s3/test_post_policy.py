import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import Code, S3Error
from gateway.s3.post_fields import Expanded, expand
from gateway.s3.post_policy import (
    MAX_CONDITIONS,
    MAX_POLICY,
    LengthRange,
    PostPolicy,
    check,
    read_policy,
)

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC).timestamp()
BUCKET = {"bucket": "photos"}
KEY = ["starts-with", "$key", "user/"]


def document(*conditions: Any, **more: Any) -> dict[str, Any]:
    return {"expiration": "2026-09-21T12:00:01Z", "conditions": list(conditions), **more}


def encoded(policy: Any) -> bytes:
    return base64.b64encode(policy if isinstance(policy, bytes) else json.dumps(policy).encode())


def read(*conditions: Any, **more: Any) -> PostPolicy:
    return read_policy(encoded(document(*conditions, **more)))


def fields_of(fields: dict[str, str]) -> Expanded:
    return Expanded({name.encode(): value.encode() for name, value in {"key": "user/a", **fields}.items()})


def checked(
    *conditions: Any, fields: dict[str, str] | None = None, bucket: str = "photos", now: float = NOW
) -> LengthRange:
    return check(read(BUCKET, KEY, *conditions), fields_of(fields or {}), bucket, now)


def denied(*conditions: Any, fields: dict[str, str] | None = None, bucket: str = "photos", now: float = NOW) -> str:
    with pytest.raises(S3Error) as caught:
        checked(*conditions, fields=fields, bucket=bucket, now=now)
    assert caught.value.code is Code.ACCESS_DENIED
    start, _, rest = caught.value.message.partition(": ")
    assert start == "Invalid according to Policy"
    return rest


def invalid(policy: Any) -> str:
    with pytest.raises(S3Error) as caught:
        read_policy(policy if isinstance(policy, bytes) else encoded(policy))
    assert caught.value.code is Code.INVALID_POLICY_DOCUMENT
    return caught.value.message


# ---- reading ----


def test_the_policy_of_the_documentation_is_read_once_it_is_json() -> None:
    policy = read_policy(
        encoded(
            b'{ "expiration": "2007-12-01T12:00:00.000Z", "conditions": [ {"acl": "public-read" }, '
            b'{"bucket": "johnsmith" }, ["starts-with", "$key", "user/eric/"] ] }'
        )
    )
    assert policy.expiration == datetime(2007, 12, 1, 12, tzinfo=UTC).timestamp()
    assert [(one.operator.value, one.field, one.value) for one in policy.conditions] == [
        ("eq", b"acl", b"public-read"),
        ("eq", b"bucket", b"johnsmith"),
        ("starts-with", b"key", b"user/eric/"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"e30",  # without padding
        b"e30=\n",
        b" e30=",
        b"e30=e30=",
        b"-_-_",  # the other alphabet
        b"\xff",
        encoded(b"\xff"),
        encoded(b"\xef\xbb\xbf{}"),
        encoded(b""),
        encoded(b"[]"),
        encoded(b"null"),
        encoded(b"{}"),
        encoded(b"["),
        encoded(b"[" * 15_000),
        encoded(b'{"a":' * 3_000),
        b"A" * (MAX_POLICY + 4),
    ],
)
def test_what_is_no_json_object_in_strict_base64_is_refused(text: bytes) -> None:
    assert invalid(text).startswith("Invalid Policy: ")


@pytest.mark.parametrize("noise", [b"\n", b" ", b"!", b"=", b"\0"])
def test_noise_in_the_base64_of_a_right_policy_is_refused(noise: bytes) -> None:
    text = encoded(document(BUCKET))
    read_policy(text)
    for changed in (noise + text, text[:8] + noise + text[8:], text + noise):
        assert invalid(changed) == "Invalid Policy: not UTF-8 in Base64."


def test_a_policy_is_as_long_as_a_form_at_most() -> None:
    size = MAX_POLICY // 4 * 3
    text = json.dumps(document(BUCKET)).encode()
    read_policy(encoded(text.ljust(size)))
    assert invalid(encoded(text.ljust(size + 3))) == "Invalid Policy: too long."


@pytest.mark.parametrize(
    "text",
    [
        b'{"expiration":"2026-09-21T12:00:01Z","expiration":"2030-01-01T00:00:00Z","conditions":[]}',
        b'{"expiration":"2026-09-21T12:00:01Z","conditions":[],"conditions":[]}',
        b'{"expiration":"2026-09-21T12:00:01Z","conditions":[{"bucket":"photos","bucket":"other"}]}',
        b'{"expiration":"2026-09-21T12:00:01Z","conditions":[{"bucket":"photos"},]}',
        b'{"expiration":"2026-09-21T12:00:01Z","conditions":[["content-length-range",0,512.0]]}',
        b'{"expiration":"2026-09-21T12:00:01Z","conditions":[["content-length-range",0,1e3]]}',
        b'{"expiration":"2026-09-21T12:00:01Z","conditions":[["content-length-range",0,NaN]]}',
        b'{"expiration":"2026-09-21T12:00:01Z","conditions":[["content-length-range",0,Infinity]]}',
        b'{"expiration":"2026-09-21T12:00:01Z","conditions":[["content-length-range",0,' + b"9" * 5_000 + b"]]}",
        b'{"expiration":"2026-09-21T12:00:01Z","conditions":[["eq","$key","\\$a"]]}',
        b'{"expiration":"2026-09-21T12:00:01Z","conditions":[{"key":"\\ud800"}]}',
        b'{"expiration":"2026-09-21T12:00:01Z","conditions":[]} trailing',
    ],
)
def test_json_that_two_readers_could_read_differently_is_refused(text: bytes) -> None:
    assert invalid(encoded(text)) == "Invalid Policy: Invalid JSON."


@pytest.mark.parametrize(
    "policy",
    [
        {"conditions": []},
        {"expiration": "2026-09-21T12:00:01Z"},
        {"Expiration": "2026-09-21T12:00:01Z", "conditions": []},
        {"expiration": "2026-09-21T12:00:01Z", "CONDITIONS": []},
        document(Version="2012-10-17"),
        document() | {"conditions": {}},
        document() | {"conditions": "x"},
        document(*[["eq", "$a", ""]] * (MAX_CONDITIONS + 1)),
    ],
)
def test_a_policy_is_an_expiration_and_conditions_and_nothing_else(policy: dict[str, Any]) -> None:
    assert invalid(policy)


@pytest.mark.parametrize(
    "expiration",
    [
        "2026-09-21T14:00:00+02:00",
        "2026-09-21 12:00:00Z",
        "2026-09-21T12:00:00",
        "2026-09-21T12:00:00z",
        "20260921T120000Z",
        "2026-02-30T12:00:00Z",
        "2026-09-21T24:00:00Z",
        "2026-09-21T12:00:60Z",
        "0000-01-01T00:00:00Z",
        "２０２６-09-21T12:00:00Z",
        "2026-09-21T12:00:00Z\n",
        "2026-09-21T12:00:00.Z",
        "",
        1790000000,
        None,
    ],
)
def test_an_expiration_is_a_moment_in_utc(expiration: Any) -> None:
    assert invalid(document() | {"expiration": expiration}) == "Invalid Policy: Invalid 'expiration' value."


def test_an_expiration_may_have_fractions() -> None:
    assert read(expiration="1970-01-01T00:00:01.500Z").expiration == 1.5


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"a": "1", "b": "2"},
        {"a": 1},
        {"a": None},
        {"": "x"},
        [],
        [None],
        [["eq"], "$a", "x"],
        ["ends-with", "$key", "x"],
        ["in", "$key", ["x"]],
        ["eq"],
        ["eq", "$key"],
        ["eq", "$key", "x", "y"],
        ["eq", "key", "x"],
        ["eq", "$", "x"],
        ["eq", "$key", 1],
        ["eq", 1, "x"],
        ["eq", "$key", None],
        ["starts-with", "$bucket", ""],
        ["starts-with", "$BUCKET", "p"],
        ["starts-with", "$x-amz-credential", ""],
        ["starts-with", "$x-amz-date", ""],
        ["starts-with", "$x-amz-algorithm", ""],
        ["content-length-range"],
        ["content-length-range", 0],
        ["content-length-range", 0, 1, 2],
        ["content-length-range", -1, 0],
        ["content-length-range", 2, 1],
        ["content-length-range", True, 2],
        ["content-length-range", 0, None],
        ["content-length-range", "", "1"],
        ["content-length-range", " 1", "1"],
        ["content-length-range", "٣", "9"],
        ["content-length-range", 0, 10**15],
        123,
        "eq",
        None,
    ],
)
def test_a_condition_of_another_form_is_refused(condition: Any) -> None:
    assert invalid(document(BUCKET, condition)).startswith("Invalid Policy: ")


def test_operators_and_fields_are_read_without_case() -> None:
    conditions = read(["StArTs-WiTh", "$KeY", "foo"], {"AcL": "Private"}, ["EQ", "$Content-Type", "a"]).conditions
    assert [(one.field, one.value) for one in conditions] == [
        (b"key", b"foo"),
        (b"acl", b"Private"),
        (b"content-type", b"a"),
    ]


def test_a_letter_beyond_ascii_is_no_case_of_one_within() -> None:
    assert read({"\u212aey": "x"}).conditions[0].field == "\u212aey".encode()


def test_a_policy_shows_no_values() -> None:
    assert "photos" not in repr(read(BUCKET))


# ---- the size of the file ----


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], LengthRange(0, None)),
        ([["content-length-range", 5, 10]], LengthRange(5, 10)),
        ([["Content-Length-Range", "5", "10"]], LengthRange(5, 10)),
        ([["content-length-range", 5, 10], ["content-length-range", 0, 7]], LengthRange(5, 7)),
        ([["content-length-range", 0, 7], ["content-length-range", 5, 10]], LengthRange(5, 7)),
    ],
)
def test_the_range_of_lengths_is_returned(ranges: list[Any], expected: LengthRange) -> None:
    assert checked(*ranges) == expected


def test_both_ends_of_a_range_are_in_it() -> None:
    for size in (5, 10):
        LengthRange(5, 10).check(size)
    for limits, size, code, extra in [
        (LengthRange(5, 10), 11, Code.ENTITY_TOO_LARGE, (("ProposedSize", "11"), ("MaxSizeAllowed", "10"))),
        (LengthRange(5, 10), 4, Code.ENTITY_TOO_SMALL, (("ProposedSize", "4"), ("MinSizeAllowed", "5"))),
        (LengthRange(0, 0), 1, Code.ENTITY_TOO_LARGE, (("ProposedSize", "1"), ("MaxSizeAllowed", "0"))),
        (LengthRange(5, 2), 3, Code.ENTITY_TOO_LARGE, (("ProposedSize", "3"), ("MaxSizeAllowed", "2"))),
    ]:
        with pytest.raises(S3Error) as caught:
            limits.check(size)
        assert (caught.value.code, caught.value.extra) == (code, extra)


def test_a_file_too_large_is_refused_before_its_end() -> None:
    LengthRange(5, 10).refuse_over(4)
    with pytest.raises(S3Error):
        LengthRange(5, 10).refuse_over(11)
    LengthRange(0, None).refuse_over(1 << 50)


# ---- matching ----


def test_a_form_as_the_policy_wants_it_passes() -> None:
    checked({"acl": "private"}, fields={"acl": "private"})


@pytest.mark.parametrize("late", [0, 1, 1e9])
def test_an_expired_policy_allows_nothing(late: float) -> None:
    expiration = NOW + 1
    checked(now=expiration - 0.5)
    assert denied(now=expiration + late) == "Policy expired."


def test_cve_2023_43040_a_policy_without_a_bucket_allows_nothing() -> None:
    with pytest.raises(S3Error) as caught:
        check(read(KEY), fields_of({}), "photos", NOW)
    assert caught.value.message == "Invalid according to Policy: Extra input fields: bucket"
    with pytest.raises(S3Error):
        check(read(KEY), fields_of({"bucket": "photos"}), "photos", NOW)


def test_cve_2023_28434_a_policy_for_one_bucket_does_not_open_another() -> None:
    assert denied(bucket="other") == 'Policy Condition failed: ["eq", "$bucket", "photos"]'
    assert denied(bucket="other", fields={"bucket": "photos"}).startswith("Policy Condition failed")
    assert denied(["eq", "$bucket", "other"]).startswith("Policy Condition failed")
    assert denied(["eq", "$bucket", "other"], bucket="other").startswith("Policy Condition failed")


def test_a_bucket_field_must_be_the_bucket_posted_to() -> None:
    checked(fields={"bucket": "photos"})
    assert denied(fields={"bucket": "other"})


@pytest.mark.parametrize(
    "name", ["acl", "content-type", "x-amz-meta-a", "filename", "success_action_redirect", "ü", "a-x-ignore-b"]
)
def test_a_field_without_a_condition_is_refused(name: str) -> None:
    assert denied(fields={name: "v"}).startswith("Extra input fields: ")


@pytest.mark.parametrize("name", ["x-amz-signature", "policy", "x-ignore-a", "x-ignore-"])
def test_four_kinds_of_field_need_no_condition(name: str) -> None:
    checked(fields={name: "v"})


def test_a_condition_on_an_absent_field_fails_even_if_any_value_would_do() -> None:
    assert denied(["starts-with", "$acl", ""]) == 'Policy Condition failed: ["starts-with", "$acl", ""]'
    assert denied({"x-amz-meta-a": ""})


def test_every_condition_on_a_field_must_hold() -> None:
    both = [["starts-with", "$acl", "p"], ["eq", "$acl", "private"]]
    checked(*both, fields={"acl": "private"})
    assert denied(*both, fields={"acl": "public-read"})
    assert denied(*reversed(both), fields={"acl": "public-read"})


@pytest.mark.parametrize("value", ["Private", "private ", "privat", "", "privateX"])
def test_eq_is_of_every_byte(value: str) -> None:
    assert denied({"acl": "private"}, fields={"acl": value}) == 'Policy Condition failed: ["eq", "$acl", "private"]'


def test_starts_with_is_of_the_beginning_and_any_value_when_empty() -> None:
    checked(["starts-with", "$a", "é"], fields={"a": "été"})
    checked(["starts-with", "$a", ""], fields={"a": "anything, at all"})
    assert denied(["starts-with", "$a", "user/"], fields={"a": "User/x"})


def test_a_content_type_with_commas_is_a_list() -> None:
    condition = ["starts-with", "$Content-Type", "image/"]
    checked(condition, fields={"content-type": "image/jpg,image/png, image/gif"})
    assert denied(condition, fields={"content-type": "image/jpg,text/plain"})
    checked(["starts-with", "$x-amz-meta-a", "image/"], fields={"x-amz-meta-a": "image/jpg,text/plain"})


def test_conditions_see_a_field_after_its_variable_was_replaced() -> None:
    policy = read(BUCKET, {"key": "user/a.txt"})
    check(policy, expand({b"key": b"user/${filename}"}, b"a.txt"), "photos", NOW)
    with pytest.raises(S3Error):
        check(policy, expand({b"key": b"user/${filename}"}, b"b.txt"), "photos", NOW)
    with pytest.raises(S3Error):
        check(read(BUCKET, {"key": "user/${filename}"}), expand({b"key": b"user/${filename}"}, b"a"), "photos", NOW)


def test_a_failed_condition_is_shown_as_the_policy_spells_it() -> None:
    fields = {"content-disposition": "x"}
    assert denied(["eq", "$Content-Disposition", 'filename="é.png"'], fields=fields) == (
        'Policy Condition failed: ["eq", "$Content-Disposition", "filename=\\"é.png\\""]'
    )


def test_a_key_to_encrypt_with_is_never_shown_and_no_value_is_logged() -> None:
    secret = "bm90IGEgc2VjcmV0"
    name = "x-amz-server-side-encryption-customer-key"
    with pytest.raises(S3Error) as caught:
        checked({name: secret}, fields={name: "other"})
    assert secret not in caught.value.message
    with pytest.raises(S3Error) as caught:
        checked({"acl": secret}, fields={"acl": "other"})
    assert secret not in caught.value.reason + str(caught.value)


# ---- any input ----

SCALAR = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["eq", "$key", "$bucket"])
CONDITION = st.lists(SCALAR, max_size=4) | st.dictionaries(st.text(max_size=6), SCALAR, max_size=2) | SCALAR


@given(st.binary(max_size=100))
def test_arbitrary_bytes_raise_only_the_documented_error(noise: bytes) -> None:
    for text in (noise, base64.b64encode(noise), base64.b64encode(b'{"expiration":"2026-09-21T12:00:00Z",' + noise)):
        with pytest.raises(S3Error) as caught:
            read_policy(text)
        assert caught.value.code is Code.INVALID_POLICY_DOCUMENT


@given(st.lists(CONDITION, max_size=4), st.dictionaries(st.sampled_from(["key", "acl", "é"]), st.text(max_size=5)))
def test_arbitrary_conditions_raise_only_documented_errors(conditions: list[Any], fields: dict[str, str]) -> None:
    allowed = {Code.ACCESS_DENIED, Code.INVALID_POLICY_DOCUMENT}
    encodable = {name.encode(): value.encode("utf-8", "replace") for name, value in fields.items()}
    try:
        check(read(*conditions), Expanded(encodable), "photos", NOW)
    except S3Error as error:
        code = error.code
    else:
        code = Code.ACCESS_DENIED
    assert code in allowed


@given(
    st.dictionaries(st.sampled_from("key acl a b c".split()), st.text("xy", max_size=3), max_size=5),
    st.lists(
        st.tuples(st.sampled_from(["eq", "starts-with"]), st.sampled_from("key acl a b c".split()), st.text("xy"))
    ),
)
def test_another_condition_never_allows_a_field_that_was_covered(
    fields: dict[str, str], conditions: list[tuple[str, str, str]]
) -> None:
    """Of two policies, the one with a condition more on a covered field allows no more."""

    def passes(rows: list[tuple[str, str, str]]) -> bool:
        policy = read(BUCKET, *[[operator, f"${name}", value] for operator, name, value in rows])
        try:
            check(policy, Expanded({name.encode(): value.encode() for name, value in fields.items()}), "photos", NOW)
        except S3Error:
            return False
        return True

    if conditions and conditions[-1][1] in {name for _, name, _ in conditions[:-1]}:
        assert passes(conditions[:-1]) or not passes(conditions)
