"""Copy sources and control documents: what goes to the store is what was checked, whatever the spelling."""

import re
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

from gateway.s3.control import delete_objects, rebuild_control
from gateway.s3.copy_source import parse_copy_source, render
from gateway.s3.errors import S3Error
from gateway.s3.xml import NAMESPACE, element, parse, read_error
from tests.fuzz.case import Case, Target, case_of, reached, seed

DOTS = 1
BUCKET = re.compile(rb"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")


def copy_source_target(octets: bytes) -> None:
    case = case_of(octets)
    value = case.material
    try:
        source = parse_copy_source(value, dot_segments=case.has(DOTS))
    except S3Error:
        return
    reached["source"] += 1
    written = render(source)
    assert parse_copy_source(written, dot_segments=case.has(DOTS)) == source
    assert re.fullmatch(rb"/[A-Za-z0-9._~/%-]+(\?versionId=[A-Za-z0-9._~%-]+)?", written)
    bucket, object_key, version_id = _plainly_read(value)
    assert BUCKET.match(bucket)
    assert source.bucket.encode() == bucket
    assert source.object_key == object_key
    assert (source.version_id or b"") == version_id
    # A store that takes the path apart before it decodes, or decodes it whole, sees this bucket and no other.
    path = written.partition(b"?")[0]
    assert unquote_to_bytes(path.split(b"/")[1]) == unquote_to_bytes(path).split(b"/")[1] == bucket
    object_key.decode("utf-8")
    assert b"\0" not in object_key
    if not case.has(DOTS):
        assert not {b".", b".."} & {*object_key.split(b"/"), *version_id.split(b"/")[:-1]}
    if version_id:
        reached["version"] += 1


def _plainly_read(value: bytes) -> tuple[bytes, bytes, bytes]:
    """Decoded once, after the version is cut off and before anything else."""
    path, _, query = value.partition(b"?")
    decoded = unquote_to_bytes(path.replace(b"+", b" "))
    bucket, _, object_key = (decoded[1:] if decoded[:1] == b"/" else decoded).partition(b"/")
    return bucket, object_key, unquote_to_bytes(query.partition(b"=")[2])


# ---- control documents ----

OPERATIONS = (
    *("DeleteObjects", "CompleteMultipartUpload", "PutObjectTagging", "PutBucketVersioning", "CreateBucket", "PutAcl"),
    *("", "text"),  # what is no operation: a store's error document; text that is written
    *("PutBucketLifecycleConfiguration", "PutBucketEncryption", "PutObjectLockConfiguration", "PutObjectRetention"),
    *("PutObjectLegalHold", *["PutAcl"] * 3),
)
WHICH, REGION = 15, 16  # WHICH: four bits; DOTS is another one here
CONTROL_DOTS = 32


def control_target(octets: bytes) -> None:
    case = case_of(octets)
    operation = OPERATIONS[case.flags & WHICH]
    if operation == "text":
        _check_text(case.material)
        return
    try:
        if not operation:
            read_error(case.material)
            return
        rebuilt = _rebuilt(case, operation, case.material)
    except S3Error:
        return
    assert operation != "PutAcl"
    reached[operation] += 1
    if not rebuilt:
        assert operation == "CreateBucket"
        return
    assert _rebuilt(case, operation, rebuilt) == rebuilt
    root = ElementTree.fromstring(rebuilt)
    assert {found.tag.partition("}")[0] for found in root.iter()} == {"{" + NAMESPACE}
    if operation == "CreateBucket":
        return
    before = ElementTree.fromstring(case.material.decode())
    assert _leaves(root) == _leaves(before)
    if operation == "DeleteObjects" and not case.has(CONTROL_DOTS):
        for text in _leaves(root).get("Key", []):
            assert not {".", ".."} & set(text.split("/"))
            assert 1 <= len(text.encode()) <= 1024


def _rebuilt(case: Case, operation: str, body: bytes) -> bytes:
    region = "eu-west-1" if case.has(REGION) else "us-east-1"
    if operation == "DeleteObjects":
        return delete_objects(body, dot_segments=case.has(CONTROL_DOTS), reaches=lambda object_key: True)[0]
    return rebuild_control(operation, body, upstream_region=region)


REWRITTEN = frozenset({"Quiet", "MfaDelete", "TagSet", "Date", "RetainUntilDate"})


def _leaves(root: ElementTree.Element) -> dict[str, list[str]]:
    """The texts of each kind of element, in order. Quiet is a boolean and written as one; MfaDelete is left out; dates
    are written in UTC."""
    leaves: dict[str, list[str]] = {}
    for found in root.iter():
        name = found.tag.rpartition("}")[2]
        if not len(found) and found is not root and name not in REWRITTEN:
            leaves.setdefault(name, []).append(found.text or "")
    return leaves


def _check_text(material: bytes) -> None:
    text = material.decode("utf-16-le", "surrogatepass")[:500] if len(material) % 2 == 0 else material.decode("latin-1")
    legal = "".join([char for char in text if char in "\t\n\r" or (char >= " " and char not in "\ufffe\uffff")])
    legal = "".join([char for char in legal if not "\ud800" <= char <= "\udfff"])
    assert (parse(element("Key", text).encode()).text or "") == legal
    reached["text"] += 1


# ---- good examples ----

COPY_SEEDS = (
    seed(b"/aaa/k%20%C3%BC+/x?versionId=a%2Bb"),
    seed(b"%2Fbbb%2Fsecret"),
    seed(b"bbb/x/../k%3FversionId=v", DOTS),
    seed(b"aaa/%2561%252e%252e"),
    seed(b"//aaa/bbb/secret"),
    seed(b"aaa/%2e%2e/bbb/secret"),
    seed(b"arn:aws:s3:eu-west-1:123456789012:accesspoint/x/object/k"),
)
COPY_WORDS = (
    *(
        b"%2F",
        b"%2f",
        b"%252F",
        b"%25",
        b"%2E",
        b"..",
        b"/",
        b"//",
        b"?versionId=",
        b"versionId",
        b"&",
        b"#",
        b"+",
        b":",
    ),
    *(b"%00", b"%3F", b"http:", b"%61", b"bbb", b"\xff", b"%C3%BC", b"%c0%ae"),
)
COPY_SOURCE_TARGET = Target(copy_source_target, COPY_SEEDS, COPY_WORDS, frozenset({"source", "version"}))

DELETE = (
    b"<Delete><Quiet> TRUE </Quiet><Object><Key> a&#13;&lt;b/\xc3\xbc</Key><VersionId>v</VersionId></Object></Delete>"
)
COMPLETE = b"<CompleteMultipartUpload xmlns='%b'>%b</CompleteMultipartUpload>" % (
    NAMESPACE.encode(),
    b'<Part><ETag>"e"</ETag><PartNumber>1</PartNumber><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>',
)
LIFECYCLE = (
    b"<LifecycleConfiguration><Rule><ID>i</ID><Filter><And><Prefix>a/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>"
    b"</And></Filter><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule><Rule><Prefix/>"
    b"<Status>Disabled</Status><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>"
    b"</NoncurrentVersionExpiration></Rule></LifecycleConfiguration>"
)
CONTROL_SEEDS = (
    seed(DELETE, 0),
    seed(b"<?xml version='1.0' encoding='latin-1'?><!-- c -->" + DELETE.replace(b"a&", b"../&"), CONTROL_DOTS),
    seed(DELETE.replace(b"<Key> a&#13;&lt;b", b"<Key>..")),
    seed(COMPLETE, 1),
    seed(b"<Tagging><TagSet><Tag><Key>k</Key><Value><![CDATA[<v>]]></Value></Tag></TagSet></Tagging>", 2),
    seed(b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", 3),
    seed(
        b"<CreateBucketConfiguration><LocationConstraint>x</LocationConstraint></CreateBucketConfiguration>", 4 | REGION
    ),
    seed(b"", 4),
    seed(b"<AccessControlPolicy/>", 5),
    seed(b"<Error><Code>NoSuchKey</Code><Message>m</Message></Error>", 6),
    seed(LIFECYCLE, 8),
    seed(LIFECYCLE.replace(b"<Days>9</Days>", b"<Date>2030-01-01T01:00:00.0+01:00</Date>"), 8),
    seed(
        b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256"
        b"</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>"
        b"</ServerSideEncryptionConfiguration>",
        9,
    ),
    seed(
        b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
        b"<Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
        10,
    ),
    seed(
        b"<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2030-01-01T00:00:00.5Z</RetainUntilDate></Retention>", 11
    ),
    seed(b"<LegalHold><Status>ON</Status></LegalHold>", 12),
    seed("a\0<&>\"'\r\n\t\ud800\ufffe😀".encode("utf-16-le", "surrogatepass"), 7),
)
CONTROL_WORDS = (
    *(b"<Key>", b"</Key>", b"<Object>", b"</Object>", b"<Part>", b"</Part>", b"<Tag>", b"<!DOCTYPE x [", b"<![CDATA["),
    *(
        b"]]>",
        b"<!--",
        b"-->",
        b"<?x?>",
        b"&#0;",
        b"&#xD800;",
        b"&#46;",
        b"&amp;",
        b"&x;",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
    ),
    *(
        b"xmlns='x'",
        b" xmlns:a='http://s3.amazonaws.com/doc/2006-03-01/'",
        b"<Key/>",
        b"../",
        b"\xd9\xa1",
        b"\0",
        b"\r",
        b"<Transition>",
        b"<Days>0</Days>",
        b"<Filter/>",
    ),
)
CONTROL_ENDS = frozenset({*OPERATIONS[:5], *OPERATIONS[8:13], "text"})
CONTROL_TARGET = Target(control_target, CONTROL_SEEDS, CONTROL_WORDS, CONTROL_ENDS)
