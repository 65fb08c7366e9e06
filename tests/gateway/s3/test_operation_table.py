"""The table against the service model that botocore ships: no operation of S3 without a row and an answer."""

import gzip
import json
from pathlib import Path
from typing import Any

import botocore
import pytest

from gateway.s3.operation_table import ALIASES, OPERATIONS, UNADDRESSABLE, Body, Level, Operation

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


@each_modelled
def test_a_row_that_is_open_forwards_every_parameter_of_the_model(name: str) -> None:
    row = row_of(name)
    if row.permission is not None:
        assert parameters(name) <= row.parameters


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


@pytest.mark.parametrize(
    "name",
    "PutObjectAcl GetObjectAcl PutBucketAcl PutBucketPolicy GetBucketPolicy PutPublicAccessBlock PutBucketWebsite "
    "PutBucketCors PutBucketReplication PutBucketLogging PutBucketNotificationConfiguration CreateSession "
    "PutBucketInventoryConfiguration PutBucketAnalyticsConfiguration PutBucketOwnershipControls".split(),
)
def test_what_opens_data_or_names_a_sink_is_refused_for_every_access_key(name: str) -> None:
    assert ROWS[name].permission is None
