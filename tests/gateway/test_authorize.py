"""May this access key do this? Each attack of the catalogue that ends here has its test."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authorize import SERVICE, Authorized, Demand, all_granted, demands
from gateway.s3.errors import Code, S3Error
from gateway.s3.operation import OPERATIONS, Level, Operation
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Permission, Rights, Scope, SpecificBuckets
from tests.support.admitted import access_key, admit, unclaimed

AAA = SpecificBuckets((BucketGrant("aaa", Rights.FULL),))
READ_ONLY = SpecificBuckets((BucketGrant("aaa", Rights.READ_ONLY),))
WRITE_ONLY = SpecificBuckets((BucketGrant("aaa", Rights.WRITE_ONLY),))
READ_WRITE = SpecificBuckets((BucketGrant("aaa", Rights.READ_WRITE),))
AAA_AND_BBB_TO_READ = SpecificBuckets((BucketGrant("aaa"), BucketGrant("bbb", Rights.READ_ONLY)))

Request = tuple[str, str, dict[str, str]]
COPY: dict[str, str] = {"x-amz-copy-source": "/bbb/secret"}
# One request per offered kind of demand, all on bucket aaa.
READS: list[Request] = [
    ("GET", "/aaa/k", {}),
    ("HEAD", "/aaa/k", {}),
    ("GET", "/aaa", {}),
    ("GET", "/aaa?list-type=2", {}),
    ("GET", "/aaa?versions", {}),
    ("GET", "/aaa?uploads", {}),
    ("GET", "/aaa/k?uploadId=u", {}),
    ("GET", "/aaa/k?tagging", {}),
]
WRITES: list[Request] = [
    ("PUT", "/aaa/k", {}),
    ("POST", "/aaa/k?uploads", {}),
    ("PUT", "/aaa/k?uploadId=u&partNumber=1", {}),
    ("POST", "/aaa/k?uploadId=u", {}),
    ("DELETE", "/aaa/k?uploadId=u", {}),
    ("PUT", "/aaa/k?tagging", {}),
]
DELETES: list[Request] = [
    ("DELETE", "/aaa/k", {}),
    ("DELETE", "/aaa/k?versionId=v", {}),
    ("POST", "/aaa?delete", {"content-md5": "x"}),
]
CONFIGURES: list[Request] = [("DELETE", "/aaa", {})]
PROBES: list[Request] = [("HEAD", "/aaa", {}), ("GET", "/aaa?location", {})]
EVERYTHING = READS + WRITES + DELETES + CONFIGURES + PROBES


def refusal(request: Request, scope: Scope = AAA, account: str = "default") -> S3Error:
    method, target, headers = request
    with pytest.raises(S3Error) as refused:
        admit(method, target, headers, scope=scope, account=account, profile="aws")
    return refused.value


def allowed(request: Request, scope: Scope) -> bool:
    method, target, headers = request
    try:
        return isinstance(admit(method, target, headers, scope=scope, profile="aws"), Authorized)
    except S3Error as error:
        if error.code is not Code.ACCESS_DENIED:
            raise
        return False


@pytest.mark.parametrize(
    ("scope", "can", "cannot"),
    [
        (READ_ONLY, READS + PROBES, WRITES + DELETES + CONFIGURES),
        (WRITE_ONLY, WRITES + PROBES, READS + DELETES + CONFIGURES),
        (READ_WRITE, READS + WRITES + DELETES + PROBES, CONFIGURES),
        (AAA, EVERYTHING, []),
        (AllBuckets(Rights.READ_ONLY), READS + PROBES, WRITES + DELETES + CONFIGURES),
        (AllBuckets(), EVERYTHING, []),
    ],
)
def test_the_four_rights(scope: Scope, can: list[Request], cannot: list[Request]) -> None:
    assert [request for request in EVERYTHING if allowed(request, scope)] == [
        request for request in EVERYTHING if request in can
    ]
    assert not any(allowed(request, scope) for request in cannot)


def test_no_demand_is_refused_and_never_vacuously_granted() -> None:
    assert not all_granted((), access_key(AllBuckets()), unclaimed)


def test_every_row_of_the_table_makes_a_demand_or_is_refused() -> None:
    request = admit("GET", "/aaa/k").request
    for operation in OPERATIONS:
        if operation.permission is None:
            with pytest.raises(S3Error):
                demands(request, operation, None)
        else:
            asked = demands(request, operation, None)[0]
            assert (asked.permission, asked.bucket) == (operation.permission, "aaa")
            assert asked.begins == (b"k" if operation.level is Level.OBJECT else None if blind(operation) else b"")


def blind(operation: Operation) -> bool:
    """It touches no object, or names each in its body."""
    return operation.name in {"HeadBucket", "GetBucketLocation", "GetBucketVersioning", "CreateBucket", "DeleteObjects"}


def test_an_operation_on_no_bucket_is_not_granted_to_every_key() -> None:
    service = admit("GET", "/").request
    for operation in OPERATIONS:
        if operation.permission is not None and operation.name != "ListBuckets":
            with pytest.raises(S3Error):
                demands(service, operation, None)


def test_the_stand_in_for_the_service_cannot_be_a_bucket() -> None:
    with pytest.raises(ValueError):
        BucketGrant(SERVICE)


@pytest.mark.parametrize("scope", [AllBuckets(), READ_ONLY, WRITE_ONLY])
def test_every_key_may_list_buckets(scope: Scope) -> None:
    assert admit("GET", "/", scope=scope).operation.name == "ListBuckets"


@pytest.mark.parametrize("request_", EVERYTHING)
def test_a_key_of_another_account_reaches_no_bucket(request_: Request) -> None:
    assert refusal(request_, AllBuckets(), account="another").code is Code.ACCESS_DENIED


@pytest.mark.parametrize("request_", EVERYTHING)
@pytest.mark.parametrize("name", ["aa", "aaaa", "aab", "aaa.x", "a-a"])
def test_b11_a_scope_is_an_exact_name(request_: Request, name: str) -> None:
    method, target, headers = request_
    elsewhere = (method, target.replace("/aaa", f"/{name}x", 1), headers)
    assert refusal(elsewhere).code is Code.ACCESS_DENIED


# ---- copies ----


@pytest.mark.parametrize("target", ["/aaa/stolen", "/aaa/stolen?uploadId=u&partNumber=1"])
@pytest.mark.parametrize(
    "source", ["/bbb/secret", "bbb/secret", "bbb%2Fsecret", "%2Fbbb%2Fsecret", "/bbb/s?versionId=v"]
)
def test_b1_a_copy_needs_to_read_its_source(target: str, source: str) -> None:
    assert refusal(("PUT", target, {"x-amz-copy-source": source})).code is Code.ACCESS_DENIED
    authorized = admit("PUT", target, {"x-amz-copy-source": source}, scope=AAA_AND_BBB_TO_READ)
    assert authorized.copy_source is not None
    assert authorized.copy_source.bucket == "bbb"


def test_b1_a_copy_needs_to_write_its_destination() -> None:
    assert (
        refusal(("PUT", "/bbb/planted", {"x-amz-copy-source": "/aaa/k"}), AAA_AND_BBB_TO_READ).code
        is Code.ACCESS_DENIED
    )


def test_b1_a_key_that_may_only_write_copies_nothing_out_of_its_own_bucket() -> None:
    assert refusal(("PUT", "/aaa/k", {"x-amz-copy-source": "/aaa/from"}), WRITE_ONLY).code is Code.ACCESS_DENIED


@pytest.mark.parametrize(
    "source",
    [
        "//bbb/secret", "///bbb/secret", "http://aaa/bbb/secret", "aaa:/bbb/secret", "aaa/k#x", "/aaa/../bbb/secret",
        "/aaa/%2e%2e/bbb/secret", "aaa%00/k", "AAA/k", "", "/", "aaa", "/aaa/", "/aaa/%zz", "/aaa/%ff", "aaa/k?x=1",
        "aaa/k?versionId=1&versionId=2", "tenant:bbb/secret", "arn:aws:s3:::bbb/secret",
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/aaa/object/k",
    ],
)  # fmt: skip
def test_b2_b3_a_source_that_stores_read_differently_is_refused_even_to_all_buckets(source: str) -> None:
    error = refusal(("PUT", "/aaa/k", {"x-amz-copy-source": source}), AllBuckets())
    assert error.code.status == 400


def test_b17_a_copy_source_is_not_a_name_the_store_reserves() -> None:
    with pytest.raises(S3Error) as refused:
        admit("PUT", "/aaa/k", {"x-amz-copy-source": "/minio/k"}, profile="minio")
    assert refused.value.code is Code.INVALID_BUCKET_NAME


def test_b4_a_copy_source_with_underscores_is_an_ordinary_upload() -> None:
    authorized = admit("PUT", "/aaa/k", {"x_amz_copy_source": "/bbb/secret"}, scope=AAA)
    assert (authorized.operation.name, authorized.copy_source) == ("PutObject", None)


def test_b7_a_copy_source_in_the_query_of_an_ordinary_request_is_501() -> None:
    assert refusal(("PUT", "/aaa/k?x-amz-copy-source=%2Fbbb%2Fsecret", {})).code is Code.NOT_IMPLEMENTED


def test_b7_a_copy_source_hoisted_out_of_a_presigned_query_is_authorized_like_the_header() -> None:
    target = "/aaa/k?x-amz-copy-source=%2Fbbb%2Fsecret&x-amz-acl=private"
    hoisted = {"x-amz-copy-source": "/bbb/secret", "x-amz-acl": "private"}
    assert refusal(("PUT", target, hoisted)).code is Code.ACCESS_DENIED
    authorized = admit("PUT", target, hoisted, scope=AAA_AND_BBB_TO_READ)
    assert authorized.operation.name == "CopyObject"
    public = {"x-amz-acl": "public-read"}
    assert refusal(("PUT", "/aaa/k?x-amz-acl=public-read", public), AllBuckets()).code is Code.ACCESS_DENIED


def test_b28_a_foreign_bucket_and_a_missing_one_get_the_same_answer() -> None:
    for method, target, headers in [*EVERYTHING, ("PUT", "/aaa", {}), ("PUT", "/aaa/k", COPY)]:
        there = refusal((method, target.replace("/aaa", "/bbb", 1), headers))
        absent = refusal((method, target.replace("/aaa", "/nowhere", 1), headers))
        assert (there.code, there.message, there.extra) == (Code.ACCESS_DENIED, Code.ACCESS_DENIED.message, ())
        assert (absent.code, absent.message, absent.extra) == (there.code, there.message, there.extra)


def test_b28_the_rights_are_checked_before_the_headers() -> None:
    assert refusal(("PUT", "/bbb/k", {"x-amz-unheard-of": "x"})).code is Code.ACCESS_DENIED


# ---- creating buckets ----


def test_creating_a_bucket_needs_all_buckets_and_full_rights() -> None:
    assert admit("PUT", "/aaa", scope=AllBuckets()).only_probes is False
    assert refusal(("PUT", "/bbb", {}), AAA).code is Code.ACCESS_DENIED


@pytest.mark.parametrize("scope", [AAA, READ_ONLY, AllBuckets(Rights.READ_WRITE), AllBuckets(Rights.READ_ONLY)])
def test_creating_a_bucket_in_scope_without_the_right_only_asks_for_it(scope: Scope) -> None:
    assert admit("PUT", "/aaa", scope=scope).only_probes is True


def test_nothing_but_creating_a_bucket_is_turned_into_a_question() -> None:
    assert not any(admit(*request, profile="aws").only_probes for request in EVERYTHING)
    assert not allowed(("DELETE", "/aaa", {}), READ_WRITE)


# ---- what no key may do ----


opening = pytest.mark.parametrize(
    "target",
    [
        "/aaa?acl", "/aaa/k?acl", "/aaa?policy", "/aaa?publicAccessBlock", "/aaa?ownershipControls", "/aaa?website",
        "/aaa?cors", "/aaa?replication", "/aaa?logging", "/aaa?notification", "/aaa?inventory&id=i",
        "/aaa?analytics&id=i", "/aaa?analytics", "/aaa?inventory", "/aaa?abac",
    ],
)  # fmt: skip


@opening
def test_b22_b23_what_opens_data_or_names_a_sink_is_403_for_every_key(target: str) -> None:
    assert refusal(("PUT", target, {}), AllBuckets()).code is Code.ACCESS_DENIED


@opening
def test_b22_b23_to_read_it_is_501_in_scope_and_403_elsewhere(target: str) -> None:
    """s3cmd copies and shows objects only where there is no such thing; whether a bucket exists stays unsaid."""
    assert refusal(("GET", target, {}), AllBuckets()).code is Code.NOT_IMPLEMENTED
    assert refusal(("GET", target, {}), AAA).code is Code.NOT_IMPLEMENTED
    assert refusal(("GET", target.replace("/aaa", "/bbb"), {}), AAA).code is Code.ACCESS_DENIED


@pytest.mark.parametrize("selector", ["metadataConfiguration", "metadataTable"])
def test_b23_tables_of_metadata_are_403_for_every_key(selector: str) -> None:
    assert refusal(("POST", f"/aaa?{selector}", {}), AllBuckets()).code is Code.ACCESS_DENIED


def test_b19_a_session_is_403_for_every_key() -> None:
    assert refusal(("GET", "/aaa?session", {}), AllBuckets()).code is Code.ACCESS_DENIED


def test_b22_the_operator_may_allow_reading_it_and_never_writing_it_unread() -> None:
    allow = frozenset({"GetBucketAcl", "PutBucketAcl"})
    assert admit("GET", "/aaa?acl", allow_operations=allow).operation.name == "GetBucketAcl"
    with pytest.raises(S3Error):
        admit("GET", "/aaa?acl", allow_operations=allow, scope=READ_WRITE)
    with pytest.raises(S3Error):
        admit("PUT", "/aaa?acl", allow_operations=allow)


def test_b19_no_session_of_the_store_is_handed_out() -> None:
    assert refusal(("GET", "/aaa?session", {}), AllBuckets()).code in (Code.ACCESS_DENIED, Code.NOT_IMPLEMENTED)


@pytest.mark.parametrize(
    "target",
    [
        "/aaa/k?lambdaArn=arn", "/aaa?events=s3:*", "/aaa?replication-reset", "/aaa?metadata=true", "/aaa?usage",
        "/aaa/k?append&position=0", "/aaa?mdsearch", "/aaa/k?rgwx-uid=admin", "/aaa?Action=ListTopics", "/?usage",
        "/?Action=ListTopics", "/aaa?foo", "/aaa/k?foo",
    ],
)  # fmt: skip
def test_b21_b32_a_parameter_of_a_store_s_own_is_501(target: str) -> None:
    assert refusal(("GET", target, {}), AllBuckets()).code is Code.NOT_IMPLEMENTED


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_an_unknown_sub_resource_is_never_its_parent(method: str) -> None:
    assert refusal((method, "/aaa?foo", {}), AllBuckets()).code is Code.NOT_IMPLEMENTED
    assert refusal((method, "/aaa/k?foo", {}), AllBuckets()).code is Code.NOT_IMPLEMENTED


def test_what_the_profile_lacks_is_501() -> None:
    with pytest.raises(S3Error) as refused:
        admit("PUT", "/aaa/k?tagging", profile="generic")
    assert refused.value.code is Code.NOT_IMPLEMENTED
    assert admit("PUT", "/aaa/k?tagging", profile="aws").operation.name == "PutObjectTagging"


# ---- versions, bodies ----


def test_b27_reading_and_deleting_a_version_needs_the_same_right_as_the_object() -> None:
    version: Request = ("GET", "/aaa/k?versionId=null", {})
    assert allowed(version, READ_ONLY)
    assert not allowed(version, WRITE_ONLY)
    assert not allowed(("DELETE", "/aaa/k?versionId=v", {}), WRITE_ONLY)


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
def test_b27_an_empty_version_is_refused(method: str) -> None:
    if method != "HEAD":
        assert refusal((method, "/aaa/k?versionId=", {}), AllBuckets()).code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "headers", [{"content-length": "1"}, {"content-length": "10"}, {"transfer-encoding": "chunked"}]
)
@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/aaa/k"), ("HEAD", "/aaa/k"), ("DELETE", "/aaa/k"), ("GET", "/")]
)
def test_b33_a_body_where_none_belongs_is_refused(method: str, target: str, headers: dict[str, str]) -> None:
    assert refusal((method, target, headers), AllBuckets()).code is Code.INVALID_REQUEST


def test_a_declared_length_of_nothing_is_no_body() -> None:
    admit("DELETE", "/aaa/k", {"content-length": "0"})
    admit("PUT", "/aaa/k", {"x-amz-copy-source": "/aaa/k", "content-length": "0"})


def test_a_hash_of_something_without_a_body_is_refused() -> None:
    with pytest.raises(S3Error) as refused:
        admit("GET", "/aaa/k", sha256=b"0" * 64)
    assert refused.value.code is Code.XAMZ_CONTENT_SHA256_MISMATCH


@pytest.mark.parametrize("name", ["x-amz-checksum-mode", "x-amz-checksum-algorithm", "x-amz-checksum-type"])
def test_b25_what_only_speaks_of_checksums_is_no_digest(name: str) -> None:
    assert refusal(("POST", "/aaa?delete", {name: "v"})).code is Code.INVALID_REQUEST


def test_b25_deleting_many_needs_a_digest() -> None:
    assert refusal(("POST", "/aaa?delete", {}), AllBuckets()).code is Code.INVALID_REQUEST
    admit("POST", "/aaa?delete", {"x-amz-checksum-crc32": "AAAAAA=="})


# ---- the property ----

NAMES = ("aaa", "bbb", "ccc")
grants = st.lists(
    st.builds(BucketGrant, st.sampled_from(NAMES), st.sampled_from(Rights)),
    min_size=1,
    max_size=3,
    unique_by=lambda grant: grant.name,
)
requests = st.sampled_from(
    [
        (method, target.replace("/aaa", f"/{name}", 1), headers | extra)
        for name in NAMES
        for method, target, headers in [*EVERYTHING, ("PUT", "/aaa", {})]
        for extra in ({}, {"x-amz-copy-source": "/bbb/k"})
        if not extra or (method == "PUT" and target == "/aaa/k")
    ]
)


@given(granted=grants, request_=requests, data=st.data())
def test_removing_a_grant_never_allows_more(granted: list[BucketGrant], request_: Request, data: st.DataObject) -> None:
    removed = data.draw(st.integers(0, len(granted) - 1))
    fewer = granted[:removed] + granted[removed + 1 :]
    if fewer and allowed(request_, SpecificBuckets(tuple(fewer))):
        assert allowed(request_, SpecificBuckets(tuple(granted)))


@given(granted=grants, request_=requests)
def test_specific_buckets_never_allow_more_than_all_of_them(granted: list[BucketGrant], request_: Request) -> None:
    if allowed(request_, SpecificBuckets(tuple(granted))):
        assert allowed(request_, AllBuckets())


@given(granted=grants, request_=requests)
def test_what_is_allowed_had_every_demand_granted(granted: list[BucketGrant], request_: Request) -> None:
    scope = SpecificBuckets(tuple(granted))
    if not allowed(request_, scope):
        return
    method, target, headers = request_
    authorized = admit(method, target, headers, scope=scope, profile="aws")
    asked = demands(authorized.request, authorized.operation, authorized.copy_source)
    if authorized.only_probes:
        asked = (Demand(Permission.PROBE, authorized.request.bucket, b""),)
    for demand in asked:
        assert demand.permission in access_key(scope).granted(demand.bucket)


def test_a_key_for_no_bucket_lists_buckets_and_does_nothing_else() -> None:
    assert admit("GET", "/", scope=NoBuckets()).operation.name == "ListBuckets"
    for request in EVERYTHING:
        assert not allowed(request, NoBuckets())
    assert not allowed(("PUT", "/new-bucket", {}), NoBuckets())
