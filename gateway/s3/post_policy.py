"""POST policies: what the holder of an access key allowed a form to upload, read strictly and matched completely.

It knows fields and one bucket name, not who signed: the caller MUST have verified the signature over the base64 text,
exactly as sent, before any of this is believed, and enforce the length range on the file before it is committed.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from enum import Enum
from typing import Final, NamedTuple, NoReturn

from gateway.s3.errors import Code, S3Error
from gateway.s3.form_data import MAX_BEFORE_FILE
from gateway.s3.post_fields import Expanded

MAX_POLICY: Final = MAX_BEFORE_FILE  # bytes of base64: it is one of the fields
MAX_CONDITIONS: Final = 256  # a form has at most 100 fields, and some have two conditions
_EXPIRATION: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?Z\Z"  # ISO 8601, UTC only
)
_SIZE: Final = re.compile(r"[0-9]{1,15}\Z")  # up to a petabyte less one byte; S3 takes them as strings too
# The last two: of a SigV2 form, where they are the claim; beside another claim a form with them is refused.
_EXEMPT: Final = frozenset({b"x-amz-signature", b"file", b"policy", b"awsaccesskeyid", b"signature"})
_IGNORED: Final = b"x-ignore-"
_BUCKET: Final = b"bucket"
_CONTENT_TYPE: Final = b"content-type"
# The documentation's table gives these exact matching only. A bucket that need only start with "" is any bucket.
_EXACT: Final = frozenset({_BUCKET, b"x-amz-algorithm", b"x-amz-credential", b"x-amz-date"})
_SSE_C: Final = b"x-amz-server-side-encryption-customer-"


class Operator(Enum):
    EQ = "eq"
    STARTS_WITH = "starts-with"


class Condition(NamedTuple):
    """`field`: lower case, without `$`. `spelled`: as the policy spells it."""

    operator: Operator
    field: bytes
    value: bytes
    spelled: str

    def holds(self, actual: bytes) -> bool:
        """A Content-Type with commas is a list, and starts-with must hold for each; no other field is one."""
        if self.operator is Operator.EQ:
            return actual == self.value
        if self.field == _CONTENT_TYPE:
            return all(one.strip(b" \t").startswith(self.value) for one in actual.split(b","))
        return actual.startswith(self.value)


class LengthRange(NamedTuple):
    """Sizes of the file in bytes, both ends included. `maximum`: None = the policy sets none."""

    minimum: int = 0
    maximum: int | None = None

    def refuse_over(self, size: int) -> None:
        """For every block of the file: `size` so far. S3Error ENTITY_TOO_LARGE."""
        if self.maximum is not None and size > self.maximum:
            raise S3Error(
                Code.ENTITY_TOO_LARGE,
                "over the content-length-range of the policy",
                extra=(("ProposedSize", str(size)), ("MaxSizeAllowed", str(self.maximum))),
            )

    def check(self, size: int) -> None:
        """For the whole file, before it is committed. S3Error ENTITY_TOO_LARGE, ENTITY_TOO_SMALL."""
        self.refuse_over(size)
        if size < self.minimum:
            raise S3Error(
                Code.ENTITY_TOO_SMALL,
                "under the content-length-range of the policy",
                extra=(("ProposedSize", str(size)), ("MinSizeAllowed", str(self.minimum))),
            )


class PostPolicy(NamedTuple):
    """`expiration`: Unix seconds."""

    expiration: float
    conditions: tuple[Condition, ...]
    length_range: LengthRange

    def __repr__(self) -> str:
        return f"PostPolicy({len(self.conditions)} conditions)"


def _invalid(what: str) -> NoReturn:
    raise S3Error(Code.INVALID_POLICY_DOCUMENT, what, message=f"Invalid Policy: {what}")


# ---- reading ----


def read_policy(base64_text: bytes) -> PostPolicy:
    """The field `policy`. S3Error INVALID_POLICY_DOCUMENT for whatever is not exactly a policy."""
    document = _document(base64_text)
    if not isinstance(document, dict):
        _invalid("it must be a JSON object.")
    unexpected = document.keys() - {"expiration", "conditions"}
    if unexpected:
        _invalid("unexpected member beside expiration and conditions.")
    if "expiration" not in document:
        _invalid("Policy missing expiration.")
    conditions = document.get("conditions")
    if not isinstance(conditions, list):
        _invalid("Policy missing conditions, or they are not a list.")
    if len(conditions) > MAX_CONDITIONS:
        _invalid(f"more than {MAX_CONDITIONS} conditions.")
    found: list[Condition] = []
    length_range = LengthRange()
    for condition in conditions:
        if isinstance(condition, dict):
            found.append(_simple(condition))
        elif isinstance(condition, list):
            operator, *operands = condition or [None]
            if isinstance(operator, str) and operator.lower() == "content-length-range":
                length_range = _narrowed(length_range, operands)
            else:
                found.append(_matching(operator, operands))
        else:
            _invalid("Invalid condition: must be a List or Object.")
    return PostPolicy(_expiration(document["expiration"]), tuple(found), length_range)


def _document(base64_text: bytes) -> object:
    if len(base64_text) > MAX_POLICY:
        _invalid("too long.")
    try:
        text = base64.b64decode(base64_text, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        _invalid("not UTF-8 in Base64.")
    try:
        document: object = json.loads(
            text, object_pairs_hook=_members, parse_float=_not_in_policies, parse_constant=_not_in_policies
        )
    except (ValueError, RecursionError):
        _invalid("Invalid JSON.")
    return document


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of two members with one name, readers take the first or the last."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member given twice")
    return members


def _not_in_policies(number: str) -> NoReturn:
    raise ValueError("a number that is no size")


def _expiration(value: object) -> float:
    match = _EXPIRATION.match(value) if isinstance(value, str) else None
    if match is None:
        _invalid("Invalid 'expiration' value.")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        _invalid("Invalid 'expiration' value.")
    return moment.timestamp() + float(match[7] or 0)


def _simple(condition: dict[str, object]) -> Condition:
    if len(condition) != 1:
        _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
    [(name, value)] = condition.items()
    if not isinstance(value, str):
        _invalid("Invalid Simple-Condition: value must be a string.")
    return _condition(Operator.EQ, name, value)


def _matching(operator: object, operands: list[object]) -> Condition:
    """Operators are compared without case, as the names of fields are."""
    if not isinstance(operator, str):
        _invalid("Invalid Condition: missing operation identifier.")
    try:
        known = Operator(operator.lower())
    except ValueError:
        _invalid("Invalid Condition: unknown operation.")
    match operands:
        case [str(name), str(value)] if name.startswith("$"):
            return _condition(known, name[1:], value)
    _invalid(f"Invalid {known.value}: it takes a $field and a value, both strings.")


def _condition(operator: Operator, spelled: str, value: str) -> Condition:
    try:
        # Lower-cased as bytes: of the letters beyond ASCII, some have an ASCII letter as their lower case.
        field, wanted = spelled.encode().lower(), value.encode()
    except UnicodeEncodeError:
        _invalid("Invalid JSON.")
    if not field:
        _invalid("Invalid Condition: a field without a name.")
    if operator is Operator.STARTS_WITH and field in _EXACT:
        _invalid(f"Invalid starts-with: {field.decode()} must match exactly.")
    return Condition(operator, field, wanted, spelled)


def _narrowed(before: LengthRange, operands: list[object]) -> LengthRange:
    """Of several ranges each must hold."""
    if len(operands) != 2:
        _invalid("Invalid content-length-range: wrong number of arguments.")
    minimum, maximum = _size(operands[0]), _size(operands[1])
    if minimum > maximum:
        _invalid("Invalid content-length-range: the minimum is above the maximum.")
    if before.maximum is not None:
        maximum = min(maximum, before.maximum)
    return LengthRange(max(minimum, before.minimum), maximum)


def _size(operand: object) -> int:
    text = str(operand) if type(operand) is int else operand
    if not isinstance(text, str) or not _SIZE.match(text):
        _invalid("Invalid content-length-range: a size is a whole number of bytes.")
    return int(text)


# ---- matching ----


def check(policy: PostPolicy, fields: Expanded, bucket: str, now: float) -> LengthRange:
    """Does the form do what the policy allows, and nothing beside it? `bucket`: of path or Host. `now`: Unix seconds.
    Returns the sizes that the file may have; they are not checked yet.

    Matched is what a field says once `${filename}` is replaced: "All variables within the form are expanded prior to
    validating the POST policy. Therefore, all condition matching should be against the expanded form fields."
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html#sigv4-PolicyConditions

    S3Error ACCESS_DENIED: expired; a condition that does not hold, or is on a field that is absent; a field without a
    condition; a policy without a bucket, or a bucket that is not the one posted to.
    """
    if now >= policy.expiration:
        raise _refusal("Policy expired.", "policy expired")
    covered = {condition.field for condition in policy.conditions}
    if _BUCKET not in covered:  # CVE-2023-43040, CVE-2023-28434: such a policy would hold for every bucket
        raise _extra(_BUCKET)
    actual = {**fields, _BUCKET: bucket.encode()}
    for condition in policy.conditions:
        found = actual.get(condition.field)
        if found is None or not condition.holds(found):
            raise _failed(condition)
    for field, value in fields.items():
        if field == _BUCKET and value != actual[_BUCKET]:
            raise _refusal("the field bucket is not the bucket of the URL.", "another bucket in the form")
        if field not in covered and field not in _EXEMPT and not field.startswith(_IGNORED):
            raise _extra(field)
    return policy.length_range


def _refusal(message: str, reason: str) -> S3Error:
    return S3Error(Code.ACCESS_DENIED, reason, message=f"Invalid according to Policy: {message}")


def _extra(field: bytes) -> S3Error:
    shown = field.decode("ascii", "replace")
    return _refusal(f"Extra input fields: {shown}", f"no condition on {shown}")


def _failed(condition: Condition) -> S3Error:
    """The condition as S3 shows it to the client, whose policy it is; a key to encrypt with is not shown."""
    value = "…" if condition.field.startswith(_SSE_C) else condition.value.decode()
    shown = json.dumps([condition.operator.value, f"${condition.spelled}", value], ensure_ascii=False)
    name = condition.field[:64].decode("ascii", "replace")
    return _refusal(f"Policy Condition failed: {shown}", f"a condition on {name} does not hold")
