"""Control documents: what goes on is what was understood, written anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.control import MAX_DELETES, MAX_PARTS, Refused, delete_objects, rebuild_control
from gateway.s3.errors import Code, S3Error
from gateway.s3.operation import OPERATIONS, Body
from gateway.s3.xml import DECLARATION, NAMESPACE, escape, parse

DELETE = "DeleteObjects"
COMPLETE = "CompleteMultipartUpload"


def rebuilt(operation: str, body: str | bytes, *, dot_segments: bool = False, region: str = "us-east-1") -> str:
    raw = body.encode() if isinstance(body, str) else body
    if operation == DELETE:
        return delete_objects(raw, dot_segments=dot_segments, reaches=lambda object_key: True)[0].decode()
    return rebuild_control(operation, raw, upstream_region=region).decode()


def refusal(operation: str, body: str | bytes) -> Code:
    with pytest.raises(S3Error) as caught:
        rebuilt(operation, body)
    return caught.value.code


def written(root: str, inside: str) -> str:
    return f'{DECLARATION}<{root} xmlns="{NAMESPACE}">{inside}</{root}>'


# ---- DeleteObjects ----


def within_team(document: str) -> tuple[bytes, tuple[Refused, ...]]:
    return delete_objects(document.encode(), dot_segments=False, reaches=lambda key: key.startswith(b"team/"))


def test_objects_out_of_reach_are_left_out_and_named() -> None:
    inside, outside = "<Object><Key>team/a</Key></Object>", "<Object><Key>teams</Key><VersionId>v</VersionId></Object>"
    document, refused = within_team(f"<Delete><Quiet>true</Quiet>{outside}{inside}</Delete>")
    assert document.decode() == written("Delete", f"<Quiet>true</Quiet>{inside}")
    assert refused == (Refused("teams", "v"),)


def test_where_every_object_is_out_of_reach_the_store_gets_no_document() -> None:
    assert within_team("<Delete><Object><Key>k</Key></Object></Delete>") == (b"", (Refused("k", ""),))


def test_objects_out_of_reach_count_too() -> None:
    many = "<Object><Key>k</Key></Object>" * (MAX_DELETES + 1)
    with pytest.raises(S3Error):
        within_team(f"<Delete>{many}</Delete>")


@pytest.mark.parametrize("namespace", ["", f' xmlns="{NAMESPACE}"'])
def test_a_delete_is_written_anew_with_or_without_the_namespace(namespace: str) -> None:
    body = f"<?xml version='1.0'?><!-- c -->\n<Delete{namespace}>\n <Object><Key>a&amp;b</Key></Object></Delete>"
    assert rebuilt(DELETE, body) == written("Delete", "<Object><Key>a&amp;b</Key></Object>")


def test_a_delete_keeps_versions_conditions_and_quiet() -> None:
    entry = "<Object><Key>k</Key><VersionId>v</VersionId><ETag>e</ETag><Size>3</Size></Object>"
    assert rebuilt(DELETE, f"<Delete>{entry}<Quiet>True</Quiet></Delete>") == written(
        "Delete", f"<Quiet>true</Quiet>{entry}"
    )
    assert rebuilt(DELETE, f"<Delete><Quiet>false</Quiet>{entry}</Delete>") == written(
        "Delete", f"<Quiet>false</Quiet>{entry}"
    )


def test_an_object_key_keeps_its_blanks_and_line_ends() -> None:
    body = "<Delete><Object><Key> a&#13;&#10;&#9;b </Key></Object></Delete>"
    assert parse(rebuilt(DELETE, body).encode())[0][0].text == " a\r\n\tb "


@pytest.mark.parametrize("object_key", ["../b/secret", "a/../b", "./a", "a/.", ".."])
def test_a_dot_segment_in_a_delete_is_refused(object_key: str) -> None:
    body = f"<Delete><Object><Key>good</Key></Object><Object><Key>{object_key}</Key></Object></Delete>"
    assert refusal(DELETE, body) is Code.INVALID_URI
    assert "good" in rebuilt(DELETE, body, dot_segments=True)


def test_a_version_that_walks_out_of_the_bucket_is_refused() -> None:
    body = "<Delete><Object><Key>k</Key><VersionId>x/../../../bbb/secret</VersionId></Object></Delete>"
    assert refusal(DELETE, body) is Code.INVALID_ARGUMENT


def test_an_object_key_that_is_too_long_is_refused() -> None:
    assert refusal(DELETE, f"<Delete><Object><Key>{'ä' * 513}</Key></Object></Delete>") is Code.KEY_TOO_LONG


@pytest.mark.parametrize(
    "body",
    [
        "<Delete/>",
        "<Delete><Quiet>true</Quiet></Delete>",
        "<Delete><Object/></Delete>",
        "<Delete><Object><Key/></Object></Delete>",
        "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        "<Delete><Object><Key>a<b/></Key></Object></Delete>",
        "<Delete><Object><Key>a</Key><Bucket>bbb</Bucket></Object></Delete>",
        "<Delete><Bucket>bbb</Bucket><Object><Key>a</Key></Object></Delete>",
        "<Delete><Quiet><Key>x</Key></Quiet><Object><Key>a</Key></Object></Delete>",
        "<Delete><Quiet>true</Quiet><Quiet>false</Quiet><Object><Key>a</Key></Object></Delete>",
        '<Delete xmlns="http://example.org/"><Object><Key>a</Key></Object></Delete>',
        '<Delete><Object xmlns="http://example.org/"><Key>a</Key></Object></Delete>',
        "<Tagging><Object><Key>a</Key></Object></Tagging>",
        '<!DOCTYPE a [<!ENTITY x "y">]><Delete><Object><Key>&x;</Key></Object></Delete>',
        "",
        "not xml",
    ],
)
def test_a_delete_that_says_anything_else_is_malformed(body: str) -> None:
    assert refusal(DELETE, body) is Code.MALFORMED_XML


def test_a_delete_names_at_most_1000_objects() -> None:
    entry = "<Object><Key>k</Key></Object>"
    assert rebuilt(DELETE, f"<Delete>{entry * MAX_DELETES}</Delete>").count(entry) == 1000
    assert refusal(DELETE, f"<Delete>{entry * (MAX_DELETES + 1)}</Delete>") is Code.MALFORMED_XML


# ---- CompleteMultipartUpload ----


def test_parts_keep_number_etag_and_checksums() -> None:
    part = (
        "<Part><ETag>&quot;e&quot;</ETag><PartNumber>1</PartNumber><ChecksumCRC64NVME>c=</ChecksumCRC64NVME>"
        "<ChecksumSHA256>s=</ChecksumSHA256></Part>"
    )
    body = f'<CompleteMultipartUpload xmlns="{NAMESPACE}">{part * 2}</CompleteMultipartUpload>'
    assert rebuilt(COMPLETE, body) == written("CompleteMultipartUpload", part * 2)


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<Part/>",
        "<Part><PartNumber>1</PartNumber></Part>",
        "<Part><ETag>e</ETag></Part>",
        "<Part><PartNumber>+1</PartNumber><ETag>e</ETag></Part>",
        "<Part><PartNumber>１</PartNumber><ETag>e</ETag></Part>",
        "<Part><PartNumber>1</PartNumber><ETag>e</ETag><X/></Part>",
        "<Part><PartNumber>1</PartNumber><ETag>e</ETag><ETag>f</ETag></Part>",
        "<Object><PartNumber>1</PartNumber><ETag>e</ETag></Object>",
    ],
)
def test_parts_that_say_anything_else_are_malformed(inside: str) -> None:
    assert refusal(COMPLETE, f"<CompleteMultipartUpload>{inside}</CompleteMultipartUpload>") is Code.MALFORMED_XML


def test_an_upload_has_at_most_10000_parts() -> None:
    part = "<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>"
    body = f"<CompleteMultipartUpload>{part * MAX_PARTS}</CompleteMultipartUpload>"
    assert rebuilt(COMPLETE, body).count("<Part>") == 10_000
    assert refusal(COMPLETE, body.replace("</Complete", f"{part}</Complete")) is Code.MALFORMED_XML


def test_the_longest_upload_with_three_checksums_a_part_is_within_the_limit_on_tags() -> None:
    sums = "<ChecksumCRC32>a</ChecksumCRC32><ChecksumSHA1>b</ChecksumSHA1><ChecksumMD5>c</ChecksumMD5>"
    part = f"<Part><PartNumber>1</PartNumber><ETag>e</ETag>{sums}</Part>"
    body = f"<CompleteMultipartUpload>{part * MAX_PARTS}</CompleteMultipartUpload>"
    assert rebuilt(COMPLETE, body).count("<ChecksumMD5>") == 10_000


# ---- CreateBucket ----

LOCATION = "<CreateBucketConfiguration><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>"


@pytest.mark.parametrize("body", ["", "  \n", LOCATION.format("eu-west-1"), LOCATION.format("")])
def test_the_clients_region_is_consumed_and_the_stores_is_written(body: str) -> None:
    assert rebuilt("CreateBucket", body) == ""
    assert rebuilt("CreateBucket", body, region="garage") == written(
        "CreateBucketConfiguration", "<LocationConstraint>garage</LocationConstraint>"
    )


@pytest.mark.parametrize(
    "inside", ["<Bucket><Type>Directory</Type></Bucket>", "<Tags/>", "<Location><Name>x</Name></Location>"]
)
def test_any_other_bucket_configuration_is_not_implemented(inside: str) -> None:
    body = f"<CreateBucketConfiguration>{inside}</CreateBucketConfiguration>"
    assert refusal("CreateBucket", body) is Code.NOT_IMPLEMENTED


# ---- tags and versioning ----


@pytest.mark.parametrize("operation", ["PutObjectTagging", "PutBucketTagging"])
def test_tags_are_written_anew(operation: str) -> None:
    tag = "<Tag><Key>a&lt;</Key><Value>b</Value></Tag>"
    body = f"<Tagging>\n<TagSet>{tag}<!-- c -->{tag}</TagSet></Tagging>"
    assert rebuilt(operation, body) == written("Tagging", f"<TagSet>{tag}{tag}</TagSet>")
    assert rebuilt(operation, "<Tagging><TagSet/></Tagging>") == written("Tagging", "<TagSet></TagSet>")


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<TagSet/><TagSet/>",
        "<Tag/>",
        "<TagSet><Tag><Value>b</Value></Tag></TagSet>",
        "<TagSet><X><Key>a</Key></X></TagSet>",
        "<TagSet><Tag><Key>a</Key><Value>b</Value><Bucket>c</Bucket></Tag></TagSet>",
    ],
)
def test_tags_that_say_anything_else_are_malformed(inside: str) -> None:
    assert refusal("PutObjectTagging", f"<Tagging>{inside}</Tagging>") is Code.MALFORMED_XML


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
@pytest.mark.parametrize("mfa", ["", "<MfaDelete>Disabled</MfaDelete>"])
def test_versioning_is_enabled_or_suspended(status: str, mfa: str) -> None:
    body = f"<VersioningConfiguration><Status>{status}</Status>{mfa}</VersioningConfiguration>"
    assert rebuilt("PutBucketVersioning", body) == written("VersioningConfiguration", f"<Status>{status}</Status>")


def test_versioning_takes_nothing_else() -> None:
    for inside in ("", "<Status>enabled</Status>", "<Status>Enabled</Status><X/>"):
        body = f"<VersioningConfiguration>{inside}</VersioningConfiguration>"
        assert refusal("PutBucketVersioning", body) is Code.MALFORMED_XML
    body = "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>"
    assert refusal("PutBucketVersioning", body) is Code.NOT_IMPLEMENTED


# ---- configuration and locks: each by its own document, see bucket_documents ----

CONFIGURING = {
    "PutBucketLifecycleConfiguration": "<LifecycleConfiguration><Rule><Prefix>logs/</Prefix><Status>Enabled</Status>"
    "<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
    "PutBucketEncryption": "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
    "<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>"
    "</ServerSideEncryptionConfiguration>",
    "PutObjectLockConfiguration": "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
    "</ObjectLockConfiguration>",
    "PutObjectRetention": "<Retention></Retention>",
    "PutObjectLegalHold": "<LegalHold><Status>OFF</Status></LegalHold>",
}


@pytest.mark.parametrize("operation", CONFIGURING)
def test_a_configuration_is_rebuilt_by_the_rule_of_its_operation(operation: str) -> None:
    for other, body in CONFIGURING.items():
        if other == operation:
            root = body[1:].partition(">")[0]
            assert rebuilt(operation, f"<!-- c -->{body}") == written(root, body[len(root) + 2 : -len(root) - 3])
        else:
            assert refusal(operation, body) is Code.MALFORMED_XML


# ---- laws ----


def test_every_open_operation_with_a_document_has_a_rule_for_it() -> None:
    for row in OPERATIONS:
        if row.body is Body.CONTROL and row.permission is not None:
            assert row.name == "CreateBucket" or refusal(row.name, "no document") is Code.MALFORMED_XML


def test_an_operation_without_a_rule_forwards_nothing() -> None:
    assert refusal("PutBucketPolicy", "<Policy/>") is Code.NOT_IMPLEMENTED
    assert refusal("PutObject", "<Delete><Object><Key>a</Key></Object></Delete>") is Code.NOT_IMPLEMENTED


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="."), min_size=1, max_size=20).filter(
    escape
)
REBUILT = [
    *(DELETE, COMPLETE, "PutObjectTagging", "PutBucketVersioning", "CreateBucket", "PutBucketLifecycleConfiguration"),
    *("PutBucketEncryption", "PutObjectLockConfiguration", "PutObjectRetention", "PutObjectLegalHold"),
]


@given(st.lists(texts, min_size=1, max_size=5))
def test_object_keys_arrive_as_they_were_said(said: list[str]) -> None:
    rows = "".join(f"<Object><Key>{escape(text)}</Key></Object>" for text in said)
    document = rebuilt(DELETE, f"<Delete>{rows}</Delete>")
    holdable = [parse(f"<a>{escape(text)}</a>".encode()).text for text in said]
    assert [entry[0].text for entry in parse(document.encode())] == holdable


@given(st.binary(max_size=60), st.sampled_from(REBUILT))
def test_arbitrary_bytes_are_rebuilt_or_refused(body: bytes, operation: str) -> None:
    for document in (body, b"<Delete>%b</Delete>" % body, b"<Delete><Object><Key>%b</Key></Object></Delete>" % body):
        try:
            result = rebuilt(operation, document)
        except S3Error:
            continue
        assert result == "" or rebuilt(operation, result) == result
