"""Documents that configure a bucket or lock an object: expiry, encryption, object lock, retention, legal hold.

Each element that may stand in one has a writer here and is written anew, in S3's order. What has none refuses the
document: with 403 where it names a place or a key outside the bucket, with 501 where S3 knows it and nobody here
offers it. It knows no bucket, no clock and no store; whether a date lies ahead is the store's to say.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from itertools import chain
from typing import Final
from xml.etree.ElementTree import Element  # the type; parsing is in `xml`

from gateway.s3.addressing import MAX_OBJECT_KEY, check_reference
from gateway.s3.errors import Code, S3Error
from gateway.s3.xml import document, element, local_name, malformed, root_named

Writer = Callable[[Element], str]  # gives an element back written anew, or raises S3Error
MAX_RULES: Final = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
MAX_RULE_ID: Final = 255  # characters: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
MAX_NEWER_VERSIONS: Final = 100  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_NoncurrentVersionExpiration.html
MAX_TAGS: Final = 10  # of one object: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
MAX_LOCK_YEARS, MAX_LOCK_DAYS = 100, 36_500
_INTEGER, _LONG = 2**31 - 1, 2**63 - 1  # as the service model has them

# A storage class to move objects to, a key of the store's own KMS.
_ELSEWHERE: Final = frozenset({"Transition", "NoncurrentVersionTransition", "KMSMasterKeyID"})
# S3 knows these; a store that does not would answer 200 and neither block nor hold anything.
_NOT_OFFERED: Final = frozenset({"BlockedEncryptionTypes", "DefaultEventHold", "EventHold", "EventHoldDuration"})
_ALGORITHMS_OF_KMS: Final = frozenset({"aws:kms", "aws:kms:dsse", "aws:fsx", "aws:backup"})

_NUMBER: Final = re.compile(r"(?:0|-?[1-9][0-9]{0,18})\Z")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII)
_BLANKS: Final = " \t\r\n"


def _invalid(message: str) -> S3Error:
    return S3Error(Code.INVALID_ARGUMENT, message=message)


def _unlisted(name: str) -> S3Error:
    if name in _NOT_OFFERED:
        return S3Error(Code.NOT_IMPLEMENTED, message=f"{name} is not implemented.")
    return malformed("an element that is unknown")


# ---- elements that hold elements ----


def _children(parent: Element, writers: dict[str, Writer], *, many: str = "") -> dict[str, list[str]]:
    """The children by name, written anew, in the order of `writers`; each once, `many` any number of times.

    Text beside them is refused: to read `<Filter>logs/</Filter>` as an empty filter would widen a rule to every object.
    """
    if parent.attrib or (parent.text or "").strip(_BLANKS):
        raise malformed("text or attributes where elements belong")
    found: dict[str, list[str]] = {name: [] for name in writers}
    for child in parent:
        name = local_name(child)
        if name not in writers:
            raise _unlisted(name)
        if (found[name] and name != many) or (child.tail or "").strip(_BLANKS):
            raise malformed("an element that is repeated, or text beside it")
        found[name].append(writers[name](child))
    return {name: written for name, written in found.items() if written}


def _inside(parts: dict[str, list[str]]) -> str:
    return "".join(chain.from_iterable(parts.values()))


def _around(found: Element, parts: dict[str, list[str]]) -> str:
    name = local_name(found)
    return f"<{name}>{_inside(parts)}</{name}>"


def _group(writers: dict[str, Writer], least: int, most: int, *needs: str) -> Writer:
    """`least` to `most` of these children, `needs` among them."""

    def write(found: Element) -> str:
        parts = _children(found, writers)
        if not least <= len(parts) <= most or not parts.keys() >= set(needs):
            raise malformed(f"{local_name(found)} lacks an element, or has two that exclude each other")
        return _around(found, parts)

    return write


def _root(body: bytes, name: str) -> Element:
    """What leads out of the bucket is refused first, wherever in the document it stands."""
    root = root_named(body, name)
    elsewhere = next((local_name(found) for found in root.iter() if local_name(found) in _ELSEWHERE), None)
    if elsewhere is not None:
        raise S3Error(Code.ACCESS_DENIED, message=f"Access Denied: {elsewhere} leads out of the bucket.")
    return root


# ---- elements that hold text ----


def _said(found: Element) -> str:
    if found.attrib or len(found):
        raise malformed("elements or attributes where text belongs")
    return found.text or ""


def _text(least: int, most: int) -> Writer:
    """`least` to `most` characters."""

    def write(found: Element) -> str:
        name, said = local_name(found), _said(found)
        if not least <= len(said) <= most:
            raise _invalid(f"{name} must have {least} to {most} characters.")
        return element(name, said)

    return write


def _one_of(*values: str) -> Writer:
    def write(found: Element) -> str:
        said = _said(found)
        if said not in values:
            raise malformed(f"{local_name(found)} is none of {', '.join(values)}")
        return element(local_name(found), said)

    return write


def _integer(least: int, most: int) -> Writer:
    def write(found: Element) -> str:
        name, said = local_name(found), _said(found)
        if not _NUMBER.match(said):
            raise malformed(f"{name} is no number")
        if not least <= int(said) <= most:
            raise _invalid(f"{name} must be {least} to {most}.")
        return element(name, str(int(said)))

    return write


def _prefix(found: Element) -> str:
    """File-backed stores make a path of it and walk there: no dot segments, whatever object keys may hold."""
    prefix = _said(found).encode()
    if len(prefix) > MAX_OBJECT_KEY:
        raise _invalid(f"Prefix must have at most {MAX_OBJECT_KEY} bytes.")
    check_reference(prefix, dot_segments=False)
    return element("Prefix", prefix.decode())


def _moment(said: str) -> datetime:
    """ISO 8601 with a zone, as UTC; what is finer than a microsecond is cut off."""
    if not _INSTANT.match(said):
        raise malformed("no ISO 8601 date and time with a zone")
    try:
        return datetime.fromisoformat(said).astimezone(UTC)
    except (ValueError, OverflowError):
        raise malformed("a date that does not exist") from None


def _instant(found: Element) -> str:
    return element(local_name(found), _moment(_said(found)).isoformat().replace("+00:00", "Z"))


def _midnight(found: Element) -> str:
    """Always midnight UTC: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleExpiration.html. A date alone
    means that."""
    said = _said(found)
    moment = _moment(f"{said}T00:00:00Z" if _DATE.match(said) else said)
    if moment.time() != time.min:
        raise _invalid("Date must be at midnight UTC.")
    return element("Date", moment.isoformat().replace("+00:00", "Z"))


def _algorithm(found: Element) -> str:
    """AES256: keys that the store makes and keeps. Every other algorithm is bound to a key of its KMS."""
    said = _said(found)
    if said in _ALGORITHMS_OF_KMS:
        raise S3Error(Code.NOT_IMPLEMENTED, said, message=f"{said} is not implemented; AES256 is.")
    return _one_of("AES256")(found)


# ---- lifecycle: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html ----

_BOOLEAN: Final = _one_of("true", "false")
_DAYS: Final = _integer(1, _INTEGER)
_TAG: Final = _group({"Key": _text(1, 128), "Value": _text(0, 256)}, 2, 2)
_SIZES: Final = {"ObjectSizeGreaterThan": _integer(0, _LONG), "ObjectSizeLessThan": _integer(1, _LONG)}


def _and(found: Element) -> str:
    parts = _children(found, {"Prefix": _prefix, "Tag": _TAG, **_SIZES}, many="Tag")
    if not parts:
        raise malformed("an And of nothing")
    if len(parts.get("Tag", ())) > MAX_TAGS:
        raise _invalid(f"And must have at most {MAX_TAGS} tags.")
    return _around(found, parts)


_ACTIONS: Final[dict[str, Writer]] = {
    "Expiration": _group({"Date": _midnight, "Days": _DAYS, "ExpiredObjectDeleteMarker": _BOOLEAN}, 1, 1),
    "NoncurrentVersionExpiration": _group(
        {"NoncurrentDays": _DAYS, "NewerNoncurrentVersions": _integer(1, MAX_NEWER_VERSIONS)}, 1, 2
    ),
    "AbortIncompleteMultipartUpload": _group({"DaysAfterInitiation": _DAYS}, 1, 1),
}
_RULE: Final[dict[str, Writer]] = {
    "ID": _text(0, MAX_RULE_ID),
    "Prefix": _prefix,
    "Filter": _group({"Prefix": _prefix, "Tag": _TAG, **_SIZES, "And": _and}, 0, 1),
    "Status": _one_of("Enabled", "Disabled"),
    **_ACTIONS,
}


def _rule(found: Element) -> str:
    parts = _children(found, _RULE)
    if "Status" not in parts or ("Filter" in parts) == ("Prefix" in parts):
        raise malformed("a rule without a status, or not with one of Filter and Prefix")
    if _ACTIONS.keys().isdisjoint(parts):
        message = "At least one action needs to be specified in a rule."
        raise S3Error(Code.INVALID_REQUEST, "a rule without an action", message=message)
    return _around(found, parts)


def lifecycle(body: bytes) -> bytes:
    """1 to 1,000 rules by which objects, old versions and unfinished uploads expire. None moves an object elsewhere.

    S3Error MALFORMED_XML, ACCESS_DENIED for a transition, INVALID_ARGUMENT for a value out of bounds or an id that came
    twice, INVALID_REQUEST for a rule without an action.
    """
    root = _root(body, "LifecycleConfiguration")
    if not 1 <= len(root) <= MAX_RULES:
        raise malformed(f"{len(root)} rules")
    parts = _children(root, {"Rule": _rule}, many="Rule")
    ids = [child.text for rule in root for child in rule if local_name(child) == "ID" and child.text]
    if len(set(ids)) < len(ids):
        raise _invalid("Rule ID must be unique.")
    return document("LifecycleConfiguration", _inside(parts))


# ---- encryption: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionRule.html ----

_DEFAULT: Final = "ApplyServerSideEncryptionByDefault"
_ENCRYPTION_RULE: Final = _group(
    {_DEFAULT: _group({"SSEAlgorithm": _algorithm}, 1, 1), "BucketKeyEnabled": _BOOLEAN}, 1, 2, _DEFAULT
)


def encryption(body: bytes) -> bytes:
    """One rule, AES256. S3Error MALFORMED_XML, NOT_IMPLEMENTED for another algorithm, ACCESS_DENIED for a KMS key."""
    parts = _children(_root(body, "ServerSideEncryptionConfiguration"), {"Rule": _ENCRYPTION_RULE})
    if not parts:
        raise malformed("an encryption without a rule")
    return document("ServerSideEncryptionConfiguration", _inside(parts))


# ---- locks: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DefaultRetention.html ----

_MODE: Final = _one_of("GOVERNANCE", "COMPLIANCE")
_PERIOD: Final = {"Days": _integer(1, MAX_LOCK_DAYS), "Years": _integer(1, MAX_LOCK_YEARS)}
_LOCK_RULE: Final = _group({"DefaultRetention": _group({"Mode": _MODE, **_PERIOD}, 2, 2, "Mode")}, 1, 1)
_OBJECT_LOCK: Final = {"ObjectLockEnabled": _one_of("Enabled"), "Rule": _LOCK_RULE}


def object_lock(body: bytes) -> bytes:
    """Enabled, with or without a default retention. S3Error MALFORMED_XML, INVALID_ARGUMENT, NOT_IMPLEMENTED."""
    parts = _children(_root(body, "ObjectLockConfiguration"), _OBJECT_LOCK)
    if "ObjectLockEnabled" not in parts:
        raise malformed("an object lock that is not enabled")
    return document("ObjectLockConfiguration", _inside(parts))


def retention(body: bytes) -> bytes:
    """Mode and date; neither takes a governance retention away. S3Error MALFORMED_XML, NOT_IMPLEMENTED."""
    parts = _children(_root(body, "Retention"), {"Mode": _MODE, "RetainUntilDate": _instant})
    if len(parts) == 1:
        raise malformed("a retention with a mode or a date alone")
    return document("Retention", _inside(parts))


def legal_hold(body: bytes) -> bytes:
    """ON or OFF. S3Error MALFORMED_XML."""
    parts = _children(_root(body, "LegalHold"), {"Status": _one_of("ON", "OFF")})
    if not parts:
        raise malformed("a legal hold without a status")
    return document("LegalHold", _inside(parts))
