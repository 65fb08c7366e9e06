"""What a key with Full may configure, and nothing that leads out of its bucket."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.bucket_documents import (
    MAX_LOCK_DAYS,
    MAX_LOCK_YEARS,
    encryption,
    legal_hold,
    lifecycle,
    object_lock,
    retention,
)
from gateway.s3.errors import Code, S3Error
from gateway.s3.xml import DECLARATION, NAMESPACE, parse
from tests.support.moments import BAD_DATES

DOCUMENTS: dict[str, Callable[[bytes], bytes]] = {
    "LifecycleConfiguration": lifecycle,
    "ServerSideEncryptionConfiguration": encryption,
    "ObjectLockConfiguration": object_lock,
    "Retention": retention,
    "LegalHold": legal_hold,
}
LIFECYCLE, ENCRYPTION, LOCK, RETENTION, HOLD = DOCUMENTS
EXPIRES = "<Expiration><Days>1</Days></Expiration>"
GOOD = {
    LIFECYCLE: f"<Rule><Filter></Filter><Status>Enabled</Status>{EXPIRES}</Rule>",
    ENCRYPTION: "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
    "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>",
    LOCK: "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode>"
    "<Days>1</Days></DefaultRetention></Rule>",
    RETENTION: "<Mode>COMPLIANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate>",
    HOLD: "<Status>ON</Status>",
}
each_document = pytest.mark.parametrize("root", DOCUMENTS)


def rebuilt(root: str, inside: str) -> str:
    return DOCUMENTS[root](f"<{root}>{inside}</{root}>".encode()).decode()


def inside_of(document: str, root: str) -> str:
    before, after = f'{DECLARATION}<{root} xmlns="{NAMESPACE}">', f"</{root}>"
    assert document.startswith(before)
    assert document.endswith(after)
    return document[len(before) : -len(after)]


def kept(root: str, inside: str) -> str:
    """What of `inside` is written anew."""
    return inside_of(rebuilt(root, inside), root)


def refusal(root: str, inside: str) -> Code:
    with pytest.raises(S3Error) as caught:
        rebuilt(root, inside)
    return caught.value.code


# ---- all of them ----


@each_document
def test_a_good_document_is_written_anew(root: str) -> None:
    spread = GOOD[root].replace("><", "> \r\n\t<!-- c --><?php x?><")
    for namespace in ("", f' xmlns="{NAMESPACE}"'):
        body = f"<?xml version='1.0'?>\n<!-- c --><{root}{namespace}>\n{spread}\n</{root}>"
        assert inside_of(DOCUMENTS[root](body.encode()).decode(), root) == GOOD[root]


def texts_and_elements(root: str) -> Iterator[str]:
    """The good document with something nobody listed in each of its places."""
    pieces = GOOD[root].split("<")
    for place in range(1, len(pieces) + 1):
        before, after = "<".join(pieces[:place]), "".join(f"<{piece}" for piece in pieces[place:])
        yield f"{before}<Bucket>bbb</Bucket>{after}"
        if not (before + "<").endswith(("Enabled<", "1<", "AES256<", "true<", "E<", "Z<", "ON<")):
            yield f"{before}bbb{after}"


@each_document
def test_an_element_or_text_that_nobody_listed_refuses_the_document_wherever_it_stands(root: str) -> None:
    changed = list(texts_and_elements(root))
    assert len(changed) > 2
    for inside in changed:
        assert refusal(root, inside) is Code.MALFORMED_XML, inside


@each_document
def test_an_attribute_refuses_the_document(root: str) -> None:
    names = {piece.partition(">")[0] for piece in GOOD[root].split("<")[1:] if not piece.startswith("/")}
    for name in names:
        assert refusal(root, GOOD[root].replace(f"<{name}>", f'<{name} a="bbb">', 1)) is Code.MALFORMED_XML
    with pytest.raises(S3Error):
        DOCUMENTS[root](f'<{root} a="b">{GOOD[root]}</{root}>'.encode())


@each_document
def test_an_element_that_comes_twice_refuses_the_document(root: str) -> None:
    for child in parse(f"<a>{GOOD[root]}</a>".encode()):
        start = GOOD[root].index(f"<{child.tag}>")
        end = GOOD[root].index(f"</{child.tag}>") + len(f"</{child.tag}>")
        if child.tag != "Rule" or root != LIFECYCLE:
            twice = GOOD[root][:end] + GOOD[root][start:end] + GOOD[root][end:]
            assert refusal(root, twice) is Code.MALFORMED_XML


@each_document
def test_another_root_another_namespace_or_a_dtd_is_malformed(root: str) -> None:
    for body in (
        f"<Configuration>{GOOD[root]}</Configuration>",
        f'<{root} xmlns="urn:x">{GOOD[root]}</{root}>',
        f'<{root}><a xmlns="urn:x"/>{GOOD[root]}</{root}>',
        f'<!DOCTYPE a [<!ENTITY x "y">]><{root}>{GOOD[root]}</{root}>',
        f"<{root}>{GOOD[root]}",
        "",
    ):
        with pytest.raises(S3Error) as caught:
            DOCUMENTS[root](body.encode())
        assert caught.value.code is Code.MALFORMED_XML


@pytest.mark.parametrize("root", [LIFECYCLE, ENCRYPTION, LOCK, HOLD])
def test_an_empty_document_is_malformed(root: str) -> None:
    assert refusal(root, "") is Code.MALFORMED_XML


# ---- what leads out of the bucket, what is not offered ----

KMS_KEY = "<KMSMasterKeyID>arn:aws:kms:eu-west-1:123456789012:key/k</KMSMasterKeyID>"


def encrypted(inside: str, beside: str = "") -> str:
    default = "ApplyServerSideEncryptionByDefault"
    return f"<Rule><{default}>{inside}</{default}>{beside}</Rule>"


@pytest.mark.parametrize("algorithm", ["AES256", "aws:kms", "aws:kms:dsse"])
def test_b23_no_key_of_the_store_is_named(algorithm: str) -> None:
    said = f"<SSEAlgorithm>{algorithm}</SSEAlgorithm>"
    for inside in (said + KMS_KEY, KMS_KEY + said, KMS_KEY):
        assert refusal(ENCRYPTION, encrypted(inside)) is Code.ACCESS_DENIED


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse", "aws:fsx", "aws:backup"])
def test_encryption_by_a_kms_is_not_implemented(algorithm: str) -> None:
    assert refusal(ENCRYPTION, encrypted(f"<SSEAlgorithm>{algorithm}</SSEAlgorithm>")) is Code.NOT_IMPLEMENTED


AES256 = "<SSEAlgorithm>AES256</SSEAlgorithm>"
BLOCKED = "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"
EVENT_HOLD = "<EventHoldDuration><Days>1</Days></EventHoldDuration>"


@pytest.mark.parametrize(
    ("root", "inside"),
    [
        (ENCRYPTION, encrypted(AES256, BLOCKED)),
        (LOCK, GOOD[LOCK].replace("</DefaultR", f"<DefaultEventHold>{EVENT_HOLD}</DefaultEventHold></DefaultR")),
        (RETENTION, "<EventHold>ON</EventHold>"),
        (RETENTION, GOOD[RETENTION] + EVENT_HOLD),
    ],
)
def test_what_a_store_would_take_and_not_do_is_not_implemented(root: str, inside: str) -> None:
    assert refusal(root, inside) is Code.NOT_IMPLEMENTED


def _elements_of_the_model(operation: str) -> set[str]:
    folder = Path(botocore.__file__).parent / "data" / "s3"
    model = json.loads(gzip.decompress((max(folder.iterdir()) / "service-2.json.gz").read_bytes()))
    shapes: dict[str, Any] = model["shapes"]
    found: set[str] = set()

    def walk(name: str) -> None:
        shape = shapes[name]
        if shape["type"] == "list":
            walk(shape["member"]["shape"])
        for member, described in shape.get("members", {}).items():
            found.add(described.get("locationName", member))
            walk(described["shape"])

    request = shapes[model["operations"][operation]["input"]["shape"]]
    walk(request["members"][request["payload"]]["shape"])
    return found


NOT_OF_OURS = {"BlockedEncryptionTypes", "EncryptionType", "DefaultEventHold", "EventHold", "EventHoldDuration"}
ELSEWHERE = {"Transition", "NoncurrentVersionTransition", "StorageClass", "KMSMasterKeyID"}


def test_no_element_of_the_model_is_without_an_answer() -> None:
    """A new element of S3 must be looked at: may a key say it, and does it lead out of the bucket?"""
    operations = {
        "PutBucketLifecycleConfiguration": set(
            "Rule ID Prefix Filter Status Expiration Date Days ExpiredObjectDeleteMarker NoncurrentVersionExpiration "
            "NoncurrentDays NewerNoncurrentVersions AbortIncompleteMultipartUpload DaysAfterInitiation Tag Key Value "
            "And ObjectSizeGreaterThan ObjectSizeLessThan".split()
        ),
        "PutBucketEncryption": {"Rule", "ApplyServerSideEncryptionByDefault", "SSEAlgorithm", "BucketKeyEnabled"},
        "PutObjectLockConfiguration": {"ObjectLockEnabled", "Rule", "DefaultRetention", "Mode", "Days", "Years"},
        "PutObjectRetention": {"Mode", "RetainUntilDate", "Days", "Years"},
        "PutObjectLegalHold": {"Status"},
    }
    for operation, ours in operations.items():
        assert _elements_of_the_model(operation) - ours <= NOT_OF_OURS | ELSEWHERE


# ---- encryption ----


@pytest.mark.parametrize("beside", ["", *(f"<BucketKeyEnabled>{on}</BucketKeyEnabled>" for on in ("true", "false"))])
def test_a_bucket_is_encrypted_with_keys_of_the_store_s_own_making(beside: str) -> None:
    assert kept(ENCRYPTION, encrypted(AES256, beside)) == encrypted(AES256, beside)


@pytest.mark.parametrize(
    "inside",
    [
        "<Rule/>",
        "<Rule><BucketKeyEnabled>true</BucketKeyEnabled></Rule>",
        encrypted(""),
        encrypted("<SSEAlgorithm></SSEAlgorithm>"),
        encrypted("<SSEAlgorithm>aes256</SSEAlgorithm>"),
        encrypted("<SSEAlgorithm>none</SSEAlgorithm>"),
        encrypted(AES256, "<BucketKeyEnabled>TRUE</BucketKeyEnabled>"),
        encrypted(AES256) * 2,
    ],
)
def test_an_encryption_that_says_anything_else_is_malformed(inside: str) -> None:
    assert refusal(ENCRYPTION, inside) is Code.MALFORMED_XML


# ---- locks ----

ENABLED = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"


def locked(inside: str) -> str:
    return f"{ENABLED}<Rule><DefaultRetention>{inside}</DefaultRetention></Rule>"


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
@pytest.mark.parametrize("period", [f"<Days>{MAX_LOCK_DAYS}</Days>", f"<Years>{MAX_LOCK_YEARS}</Years>"])
def test_a_default_retention_has_a_mode_and_days_or_years(mode: str, period: str) -> None:
    inside = locked(f"<Mode>{mode}</Mode>{period}")
    assert kept(LOCK, inside) == inside
    assert kept(LOCK, ENABLED) == ENABLED


@pytest.mark.parametrize(
    "inside",
    [
        "<ObjectLockEnabled>Disabled</ObjectLockEnabled>",
        f"{ENABLED}<Rule/>",
        GOOD[LOCK].removeprefix(ENABLED),
        locked(""),
        locked("<Mode>GOVERNANCE</Mode>"),
        locked("<Days>1</Days>"),
        locked("<Days>1</Days><Years>1</Years>"),
        locked("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>"),
        locked("<Mode>governance</Mode><Days>1</Days>"),
        locked("<Mode>GOVERNANCE</Mode><Days>x</Days>"),
    ],
)
def test_an_object_lock_that_says_anything_else_is_malformed(inside: str) -> None:
    assert refusal(LOCK, inside) is Code.MALFORMED_XML


@pytest.mark.parametrize("period", ["Days>0", "Days>-1", f"Days>{MAX_LOCK_DAYS + 1}", f"Years>{MAX_LOCK_YEARS + 1}"])
def test_a_default_retention_of_no_time_or_of_ages_is_refused(period: str) -> None:
    name = period.partition(">")[0]
    assert refusal(LOCK, locked(f"<Mode>GOVERNANCE</Mode><{period}</{name}>")) is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ("2030-01-01T12:34:56.789Z", "2030-01-01T12:34:56.789000Z"),
        ("2030-01-01T12:34:56.123456789Z", "2030-01-01T12:34:56.123456Z"),
        ("2030-01-01T00:30:00+01:00", "2029-12-31T23:30:00Z"),
    ],
)
def test_an_object_is_retained_until_a_moment_in_utc(said: str, written: str) -> None:
    assert kept(RETENTION, f"<RetainUntilDate>{said}</RetainUntilDate><Mode>GOVERNANCE</Mode>") == (
        f"<Mode>GOVERNANCE</Mode><RetainUntilDate>{written}</RetainUntilDate>"
    )


def test_a_retention_is_mode_and_date_or_nothing() -> None:
    assert kept(RETENTION, "") == ""
    for half in ("<Mode>GOVERNANCE</Mode>", "<RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate>"):
        assert refusal(RETENTION, half) is Code.MALFORMED_XML


def test_a_legal_hold_is_on_or_off() -> None:
    for status in ("ON", "OFF"):
        assert kept(HOLD, f"<Status>{status}</Status>") == f"<Status>{status}</Status>"
    for status in ("on", "", "Enabled", "ON "):
        assert refusal(HOLD, f"<Status>{status}</Status>") is Code.MALFORMED_XML


@pytest.mark.parametrize("said", BAD_DATES)
def test_what_is_no_moment_is_malformed(said: str) -> None:
    both = f"<Mode>GOVERNANCE</Mode><RetainUntilDate>{said}</RetainUntilDate>"
    assert refusal(RETENTION, both) is Code.MALFORMED_XML


# ---- laws ----


@given(
    st.datetimes(),
    st.integers(-14 * 60, 14 * 60),
)
def test_a_retention_written_anew_ends_at_the_same_moment(moment: Any, minutes: int) -> None:
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    date = f"{moment.isoformat()}{sign}{hours:02}:{rest:02}"
    try:
        document = rebuilt(RETENTION, f"<Mode>GOVERNANCE</Mode><RetainUntilDate>{date}</RetainUntilDate>")
    except S3Error:
        assert moment.year in (1, 9999)
        return
    again = parse(document.encode())[1].text or ""
    assert type(moment).fromisoformat(again) == type(moment).fromisoformat(date)
    assert retention(document.encode()).decode() == document


@given(st.sampled_from(list(DOCUMENTS)), st.binary(max_size=60), st.integers(0, 300), st.integers(0, 20))
def test_arbitrary_bytes_in_a_good_document_are_rebuilt_or_refused(
    root: str, junk: bytes, at: int, removed: int
) -> None:
    good = f"<{root}>{GOOD[root]}</{root}>".encode()
    for body in (junk, good[:at] + junk + good[at + removed :]):
        try:
            document = DOCUMENTS[root](body)
        except S3Error:
            continue
        assert DOCUMENTS[root](document) == document
