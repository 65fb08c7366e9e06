"""A key for a part of a bucket: object keys, lists, copies and deletes stay within the prefix."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authorize import authorize_body, still_holds
from gateway.s3.control import Refused
from gateway.s3.errors import Code, S3Error
from keystore.scope import BucketGrant, Rights, SpecificBuckets
from tests.support.admitted import admit

TEAM = SpecificBuckets((BucketGrant("aaa", Rights.FULL, "team/"), BucketGrant("bbb")))


def allowed(method: str, target: str, headers: dict[str, str] | None = None) -> bool:
    try:
        admit(method, target, headers, scope=TEAM)
    except S3Error as error:
        if error.code is not Code.ACCESS_DENIED:
            raise
        return False
    return True


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("object_key", "within"),
    [
        *(("team/a", True), ("team/", True), ("team/b/c", True), ("team%2Fa", True), ("%74eam/a", True)),
        *(("team", False), ("teams/a", False), ("Team/a", False), ("xteam/a", False), ("/team/a", False), ("a", False)),
    ],
)
def test_an_object_key_begins_with_the_prefix(method: str, object_key: str, within: bool) -> None:
    assert allowed(method, f"/aaa/{object_key}") is within
    assert allowed(method, f"/bbb/{object_key}")


@pytest.mark.parametrize("query", ["tagging", "uploadId=u", "attributes"])
def test_what_belongs_to_an_object_is_under_its_object_key(query: str) -> None:
    assert allowed("GET", f"/aaa/team/a?{query}")
    assert not allowed("GET", f"/aaa/other?{query}")


@pytest.mark.parametrize("listing", ["", "list-type=2", "versions", "uploads"])
@pytest.mark.parametrize(
    ("prefix", "within"),
    [("team/", True), ("team/a", True), ("team%2Fa%20b", True), ("team", False), ("", False), ("teams/", False)],
)
def test_the_prefix_of_a_list_begins_with_the_prefix(listing: str, prefix: str, within: bool) -> None:
    assert allowed("GET", f"/aaa?{listing}&prefix={prefix}") is within


@pytest.mark.parametrize("listing", ["", "list-type=2", "versions", "uploads"])
def test_a_list_without_a_prefix_is_refused(listing: str) -> None:
    assert not allowed("GET", f"/aaa?{listing}")
    assert allowed("GET", f"/bbb?{listing}")


@pytest.mark.parametrize(
    ("source", "within"),
    [("/aaa/team/a", True), ("/aaa/other", False), ("/bbb/other", True), ("/aaa/team%2Fa?versionId=v", True)],
)
def test_a_copy_source_is_within_the_prefix_of_its_bucket(source: str, within: bool) -> None:
    assert allowed("PUT", "/aaa/team/b", {"x-amz-copy-source": source}) is within
    assert allowed("PUT", "/aaa/team/b?uploadId=u&partNumber=1", {"x-amz-copy-source": source}) is within
    assert not allowed("PUT", "/aaa/other", {"x-amz-copy-source": source})


def test_the_bucket_itself_is_not_configured_by_a_key_for_a_part_of_it() -> None:
    for method, target in (("DELETE", "/aaa"), ("GET", "/aaa?tagging"), ("DELETE", "/aaa?tagging")):
        assert not allowed(method, target)
    for method, target in (("HEAD", "/aaa"), ("GET", "/aaa?location"), ("GET", "/aaa?versioning")):
        assert allowed(method, target)


DELETE = ("POST", "/aaa?delete", {"content-md5": "x"})


def document(*object_keys: str) -> bytes:
    objects = "".join(f"<Object><Key>{object_key}</Key></Object>" for object_key in object_keys)
    return f"<Delete>{objects}</Delete>".encode()


def test_deletes_are_decided_object_by_object() -> None:
    authorized = admit(*DELETE, scope=TEAM)
    sent = authorize_body(authorized, document("team/a", "other", "team/b", "teams"), b"us-east-1")
    assert sent.count(b"<Object>") == 2
    assert b"other" not in sent
    assert authorized.refused == (Refused("other", ""), Refused("teams", ""))


def test_where_every_object_is_refused_nothing_goes_to_the_store() -> None:
    authorized = admit(*DELETE, scope=TEAM)
    assert authorize_body(authorized, document("other"), b"us-east-1") == b""
    assert authorized.refused


def test_a_decided_delete_does_not_go_out_under_another_record() -> None:
    planned, again = admit(*DELETE, scope=TEAM), admit(*DELETE, scope=TEAM)
    assert still_holds(planned, planned)
    assert not still_holds(planned, again)
    assert still_holds(admit("GET", "/bbb/k", scope=TEAM), admit("GET", "/bbb/k", scope=TEAM))


names = st.text(st.sampled_from("te/am."), max_size=8)


@given(names, names)
def test_a_longer_prefix_never_allows_more(prefix: str, object_key: str) -> None:
    narrow = [segment for segment in prefix.split("/") if segment.strip(".")]
    for depth in range(len(narrow)):
        wide = SpecificBuckets((BucketGrant("aaa", prefix="".join(f"{one}/" for one in narrow[:depth])),))
        within = SpecificBuckets((BucketGrant("aaa", prefix="".join(f"{one}/" for one in narrow[: depth + 1])),))
        try:
            admit("GET", f"/aaa/{object_key}x", scope=within)
        except S3Error:
            continue
        admit("GET", f"/aaa/{object_key}x", scope=wide)
