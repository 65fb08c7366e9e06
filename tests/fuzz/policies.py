"""POST policies: refused as such or read as JSON says, and the same when written anew."""

import base64
import json

from gateway.s3.errors import Code, S3Error
from gateway.s3.post_fields import Expanded
from gateway.s3.post_policy import Operator, PostPolicy, check, read_policy
from tests.fuzz.case import Target, case_of, reached, seed

ENCODED = 1  # the material is Base64 already
NOW = 1_790_000_000.0  # 2026-09-21
FIELDS = Expanded({b"key": b"user/a", b"content-type": b"image/png, image/gif", b"x-ignore-me": b""})


def policy_target(octets: bytes) -> None:
    case = case_of(octets)
    text = case.material if case.has(ENCODED) else base64.b64encode(case.material)
    policy = refusal = None
    try:
        policy = read_policy(text)
    except S3Error as error:
        refusal = error.code
    if policy is None:
        assert refusal is Code.INVALID_POLICY_DOCUMENT
        return
    reached["policy"] += 1
    document = json.loads(base64.b64decode(text))
    assert document.keys() == {"expiration", "conditions"}
    _check_conditions(policy, document["conditions"])
    assert read_policy(_written(policy, document["expiration"])) == policy
    _check_allowed(policy)


def _check_allowed(policy: PostPolicy) -> None:
    sizes = refusal = None
    try:
        sizes = check(policy, FIELDS, "photos", NOW)
    except S3Error as error:
        refusal = error.code
    if sizes is None:
        assert refusal is Code.ACCESS_DENIED
        return
    reached["allowed"] += 1
    assert sizes == policy.length_range
    assert policy.expiration > NOW
    covered = {condition.field for condition in policy.conditions}
    assert covered | {b"x-ignore-me"} == {*FIELDS, b"bucket"}  # each must be named; what is not there holds nothing


def _check_conditions(policy: PostPolicy, conditions: list[dict[str, str] | list[str | int]]) -> None:
    found = iter(policy.conditions)
    ranges: list[tuple[int, int | None]] = [(0, None)]
    for one in conditions:
        if isinstance(one, list) and str(one[0]).lower() == "content-length-range":
            ranges.append((int(one[1]), int(one[2])))
            continue
        operator, spelled, value = ("eq", *next(iter(one.items()))) if isinstance(one, dict) else one
        condition = next(found)
        assert condition.operator.value == str(operator).lower()
        name = str(spelled) if isinstance(one, dict) else str(spelled).removeprefix("$")
        assert condition.field == name.encode().lower()
        assert condition.value == str(value).encode()
    assert next(found, None) is None
    assert policy.length_range.minimum == max(least for least, _ in ranges)
    assert policy.length_range.maximum == min((most for _, most in ranges if most is not None), default=None)


def _written(policy: PostPolicy, expiration: str) -> bytes:
    """Each condition in its list form, the ranges as one; a range that no size fits cannot be written as one."""
    conditions: list[object] = [
        [one.operator.value, f"${one.spelled}", one.value.decode()] for one in policy.conditions
    ]
    minimum, maximum = policy.length_range
    if maximum is not None:
        conditions += [["content-length-range", 0, maximum], ["content-length-range", minimum, max(minimum, maximum)]]
    return base64.b64encode(json.dumps({"expiration": expiration, "conditions": conditions}).encode())


def _policy(*conditions: object) -> bytes:
    return json.dumps({"expiration": "2027-01-01T00:00:00.5Z", "conditions": conditions}).encode()


KEY = [Operator.STARTS_WITH.value, "$key", "user/"]
SEEDS = (
    seed(_policy({"bucket": "photos"}, KEY, ["starts-with", "$Content-Type", "image/"])),
    seed(_policy({"bucket": "photos"}, ["EQ", "$Key", "ü"], ["content-length-range", 1, "10"])),
    seed(_policy({"bucket": "photos"}, ["eq", "$\u212aey", "user/a"])),
    seed(_policy(["content-length-range", 5, 5], ["content-length-range", "0", 9])),
    seed(base64.b64encode(_policy({"bucket": "photos"}, KEY)), ENCODED),
)
WORDS = (
    *(
        b'"',
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"\\u212a",
        b"\\ud800",
        b"1e9",
        b"NaN",
        b"-1",
        b"null",
        b"true",
        b"0000",
    ),
    *(b'"starts-with"', b'"eq"', b'"content-length-range"', b'"$key"', b'{"bucket": "photos"}', b'"expiration"', b"$"),
    *(b"2026-02-30T24:60:60Z", b"0001-01-01T00:00:00Z", b"=", b"W10=", b"\xef\xbb\xbf", b"[" * 200),
)
POLICY_TARGET = Target(policy_target, SEEDS, WORDS, frozenset({"policy", "allowed"}))
