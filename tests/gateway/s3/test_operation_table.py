"""The table against the service model that botocore ships: no operation of S3 without a row and an answer."""

import gzip
import json
from pathlib import Path
from typing import Any

import botocore
import pytest

from gateway.header_policy import VERDICTS
from gateway.s3.errors import Code, S3Error
from gateway.s3.operation import classify
from gateway.s3.operation_table import ALIASES, OPERATIONS, UNADDRESSABLE, Body, Level, Operation
from gateway.s3.profile import PROFILES
from keystore.scope import AllBuckets, BucketGrant, Permission, Rights, Scope, SpecificBuckets
from tests.support.admitted import admit, parsed

ROWS = {row.name: row for row in OPERATIONS}
# Headers of the model that S3 also takes as parameters are no parameters here; these have no URI place of their own.
LEVELS = {"": Level.SERVICE, "/{Bucket}": Level.BUCKET, "/{Bucket}/{Key+}": Level.OBJECT}
# Picked by a parameter that the model lists among the members instead of in the URI.
BY_MEMBER = {"uploadId"}


def _model() -> dict[str, Any]:
    folder = Path(botocore.__file__).parent / "data" / "s3"
    newest = max(folder.iterdir())
    read: dict[str, Any] = json.loads(gzip.decompress((newest / "service-2.json.gz").read_bytes()))
    return read


MODEL = _model()
MODELLED = {name: shape for name, shape in MODEL["operations"].items() if name not in UNADDRESSABLE}
each_modelled = pytest.mark.parametrize("name", MODELLED)


def row_of(name: str) -> Operation:
    return ROWS[ALIASES.get(name, name)]


def members(name: str) -> dict[str, Any]:
    shape = MODELLED[name].get("input", {}).get("shape")
    found: dict[str, Any] = MODEL["shapes"][shape]["members"] if shape else {}
    return found


def parameters(name: str) -> set[bytes]:
    return {
        member["locationName"].encode() for member in members(name).values() if member.get("location") == "querystring"
    }


@each_modelled
def test_every_operation_of_the_model_has_a_row(name: str) -> None:
    assert ALIASES.get(name, name) in ROWS


@each_modelled
def test_a_row_has_the_method_and_the_level_of_the_model(name: str) -> None:
    http = MODELLED[name]["http"]
    path = http["requestUri"].partition("?")[0].rstrip("/")
    row = row_of(name)
    assert row.method.decode() == http["method"]
    assert row.level is LEVELS[path]


@each_modelled
def test_a_row_has_the_selector_of_the_model(name: str) -> None:
    query = MODELLED[name]["http"]["requestUri"].partition("?")[2]
    row = row_of(name)
    if query:
        first = query.split("&")[0].partition("=")[0].encode()
        assert row.selector == first
    else:
        assert row.selector is None or row.selector in parameters(name) or row.selector.decode() in BY_MEMBER


def fixed_query(name: str) -> set[str]:
    """The query that stands in the URI of the model: `list-type=2`, `acl`, …"""
    return set(filter(None, MODELLED[name]["http"]["requestUri"].partition("?")[2].split("&")))


def requested(name: str, *, every_parameter: bool) -> tuple[str, str, dict[str, str]]:
    """(method, target, headers) as the model has them: with what it requires, or with all it knows."""
    shape = MODELLED[name].get("input", {}).get("shape")
    required = set(MODEL["shapes"][shape].get("required", ())) if shape else set()
    query, headers = fixed_query(name), {}
    for member, described in members(name).items():
        if described.get("location") == "querystring" and (every_parameter or member in required | ALWAYS_SENT):
            query.add(described["locationName"] + "=1")
        elif described.get("location") == "header" and member == "CopySource":
            headers["x-amz-copy-source"] = "/bucket/k"
    row = row_of(name)
    path = {Level.SERVICE: "/", Level.BUCKET: "/bucket", Level.OBJECT: "/bucket/k"}[row.level]
    return row.method.decode(), f"{path}?{'&'.join(sorted(query))}", headers


# Not required by the model, and yet what tells the request from that of ListBuckets.
ALWAYS_SENT = {"MaxDirectoryBuckets"}


@each_modelled
@pytest.mark.parametrize("every_parameter", [False, True])
def test_a_request_of_the_model_finds_its_row_by_its_sub_resource(name: str, every_parameter: bool) -> None:
    assert classify(parsed(*requested(name, every_parameter=every_parameter))) is row_of(name)


@each_modelled
def test_a_row_knows_every_parameter_of_the_model_open_or_refused(name: str) -> None:
    fixed = {query.partition("=")[0].encode() for query in fixed_query(name)}
    assert parameters(name) | fixed <= row_of(name).parameters


@each_modelled
def test_a_row_that_is_open_forwards_no_parameter_beside_the_model(name: str) -> None:
    row = row_of(name)
    if row.permission is not None:
        assert row.parameters - parameters(name) - {row.selector} <= TOLERATED.get(row.name, frozenset())


# Parameters that clients send although the model does not list them; harmless where they are not understood.
TOLERATED: dict[str, frozenset[bytes]] = {"ListParts": frozenset({b"encoding-type"})}


@each_modelled
def test_checksum_headers_describe_the_body_where_the_model_says_so(name: str) -> None:
    row = row_of(name)
    if row.permission is not None:
        described = "requestAlgorithmMember" in MODELLED[name].get("httpChecksum", {})
        assert row.checksum_in_headers == (described and row.body is not Body.NONE)


@each_modelled
def test_a_row_streams_what_the_model_streams_and_reads_what_it_structures(name: str) -> None:
    row = row_of(name)
    input_shape = MODELLED[name].get("input", {}).get("shape")
    payload = MODEL["shapes"][input_shape].get("payload") if input_shape else None
    if payload is not None:
        shape = MODEL["shapes"][members(name)[payload]["shape"]]
        assert row.body is (Body.OBJECT if shape["type"] == "blob" else Body.CONTROL)
    elif row.permission is not None:
        assert row.body is Body.NONE


def test_no_two_rows_share_a_name_or_stand_in_one_place() -> None:
    assert len(ROWS) == len(OPERATIONS)
    places = [(row.method, row.level, row.selector, row.copies, row.needs) for row in OPERATIONS]
    assert len(set(places)) == len(places)


def test_no_row_but_those_of_the_model_and_post_forms() -> None:
    assert set(ROWS) - {ALIASES.get(name, name) for name in MODELLED} == {"PostObject"}


def test_only_copies_name_a_second_bucket() -> None:
    """A new operation with a copy source must be a row that is authorized for both buckets."""
    naming = {name for name in MODELLED if any(_names_a_source(member) for member in members(name).values())}
    assert naming == {"CopyObject", "UploadPartCopy", "RenameObject"}
    assert {row.name for row in OPERATIONS if row.copies} == {"CopyObject", "UploadPartCopy"}
    assert row_of("RenameObject").permission is None


def _names_a_source(member: dict[str, Any]) -> bool:
    return member.get("locationName", "").lower() in {"x-amz-copy-source", "x-amz-rename-source"}


# ---- headers ----

# Headers of S3 that no row of the header policy lets pass: 501, unless their operation is refused first.
REFUSED_HEADERS = {
    # name a second object, a directory bucket's session or the end of an object, none of which is offered
    "x-amz-rename-source", "x-amz-rename-source-if-match", "x-amz-rename-source-if-none-match",
    "x-amz-rename-source-if-modified-since", "x-amz-rename-source-if-unmodified-since", "x-amz-client-token",
    "x-amz-create-session-mode", "x-amz-write-offset-bytes",
    # a code for the store's own second factor: it would be the gateway's there, not the client's
    "x-amz-mfa",
    # names of buckets are what scopes are made of: no second name space of them
    "x-amz-bucket-namespace",
    # annotations of objects are not offered, so neither is what to do with them
    "x-amz-object-annotation-directive", "x-amz-object-if-match",
    # locks that no store behind a profile knows: passed on and not understood, nothing would be locked
    "x-amz-object-lock-event-hold", "x-amz-object-lock-event-hold-duration-days",
    "x-amz-object-lock-event-hold-duration-years",
    # of configurations that are refused for every key
    "x-amz-confirm-remove-self-bucket-access", "x-amz-skip-destination-validation",
    # handed out by the support of AWS, to lock a bucket that was made without
    "x-amz-bucket-object-lock-token",
}  # fmt: skip


def headers_of(name: str) -> set[str]:
    """Lower-case; `x-amz-meta-` stands for all metadata."""
    return {
        member["locationName"].lower()
        for member in members(name).values()
        if member.get("location") in ("header", "headers")
    }


@each_modelled
def test_every_header_of_the_model_has_a_verdict_is_metadata_or_is_refused_on_purpose(name: str) -> None:
    assert {header.encode() for header in headers_of(name) - REFUSED_HEADERS - {"x-amz-meta-"}} <= VERDICTS.keys()


def test_no_header_is_refused_on_purpose_that_has_a_verdict_or_that_s3_does_not_know() -> None:
    assert not {header.encode() for header in REFUSED_HEADERS} & VERDICTS.keys()
    assert set().union(*map(headers_of, MODELLED)) >= REFUSED_HEADERS


@pytest.mark.parametrize(
    ("name", "header"), [(name, header) for name in MODELLED for header in sorted(headers_of(name) & REFUSED_HEADERS)]
)
def test_a_header_that_is_refused_on_purpose_stops_every_operation_that_has_it(name: str, header: str) -> None:
    method, target, headers = requested(name, every_parameter=False)
    digest = {"content-md5": "x"} if name == "DeleteObjects" else {}
    with pytest.raises(S3Error) as refused:
        admit(method, target, {**headers, **digest, header: "1"})
    if row_of(name).permission is None:
        assert refused.value.code in (Code.NOT_IMPLEMENTED, Code.ACCESS_DENIED)
    else:
        assert (refused.value.code, header in refused.value.message) == (Code.NOT_IMPLEMENTED, True)


# ---- what is refused ----


@pytest.mark.parametrize(
    "name",
    "PutObjectAcl GetObjectAcl PutBucketAcl PutBucketPolicy GetBucketPolicy PutPublicAccessBlock PutBucketWebsite "
    "PutBucketCors PutBucketReplication PutBucketLogging PutBucketNotificationConfiguration CreateSession "
    "PutBucketInventoryConfiguration PutBucketAnalyticsConfiguration PutBucketOwnershipControls".split(),
)
def test_what_opens_data_or_names_a_sink_is_refused_for_every_access_key(name: str) -> None:
    assert ROWS[name].permission is None


# ---- what Full is for ----

CONFIGURING = [row for row in OPERATIONS if row.permission is Permission.CONFIGURE]
each_configuring = pytest.mark.parametrize("row", CONFIGURING, ids=[row.name for row in CONFIGURING])


def admitted(row: Operation, scope: Scope, object_key: str = "team/k") -> bool:
    """Whether a key with this scope may ask for it in the bucket `aaa`, of a store that offers it."""
    place = f"/aaa/{object_key}" if row.level is Level.OBJECT else "/aaa"
    selector = f"?{row.selector.decode()}" if row.selector else ""
    try:
        admit(row.method.decode(), place + selector, scope=scope)
    except S3Error as error:
        if error.code is not Code.ACCESS_DENIED:
            raise
        return False
    return True


def test_configuration_is_what_the_product_says_it_is() -> None:
    written = {row.name for row in CONFIGURING if row.method != b"GET"}
    assert written == set(
        "DeleteBucket PutBucketVersioning PutBucketTagging DeleteBucketTagging PutBucketLifecycleConfiguration "
        "DeleteBucketLifecycle PutBucketEncryption DeleteBucketEncryption PutObjectLockConfiguration "
        "PutObjectRetention PutObjectLegalHold".split()
    )


@each_configuring
def test_a_bucket_is_configured_by_full_alone_and_in_its_own_scope(row: Operation) -> None:
    if row.name not in PROFILES["aws"].offered:
        return
    assert admitted(row, SpecificBuckets((BucketGrant("aaa", Rights.FULL),)))
    assert not admitted(row, SpecificBuckets((BucketGrant("bbb", Rights.FULL),)))
    for rights in set(Rights) - {Rights.FULL}:
        assert not admitted(row, AllBuckets(rights))


@each_configuring
def test_a_key_for_a_part_of_a_bucket_configures_no_bucket_and_locks_its_own_objects(row: Operation) -> None:
    if row.name not in PROFILES["aws"].offered:
        return
    team = SpecificBuckets((BucketGrant("aaa", Rights.FULL, "team/"),))
    assert admitted(row, team) is (row.level is Level.OBJECT)
    assert not admitted(row, team, "other/k")
