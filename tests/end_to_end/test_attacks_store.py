"""Attacks on what a store offers beside objects: its administration, its tokens, its archives, its policies."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.attacks import OURS, OURS_WITH_BODY, forwarded, names, presigned_head, recorded_gateway, refusal
from tests.support.house import Recorded
from tests.support.posted import posted_form
from tests.support.raw_client import Signer
from tests.support.recording_upstream import canned, ok

pytestmark = pytest.mark.server  # many, and some with a gateway of their own

DENIED = (403, "AccessDenied")
NOT_IMPLEMENTED = (501, "NotImplemented")
NOT_ALLOWED = (405, "MethodNotAllowed")
NO_BUCKET = (400, "InvalidBucketName")


def _head(signer: Signer, method: str, target: str, *headers: tuple[str, str]) -> bytes:
    return signer.head(method, target, headers, body=b"" if method in ("PUT", "POST") else None)


# ---- methods ----

OVERRIDES = [
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-HTTP-Method", "DELETE"),
    ("X-Method-Override", "DELETE"),
    ("X-Original-Method", "DELETE"),
    ("_method", "DELETE"),
]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_b16_a_header_does_not_change_the_method(recorded: Recorded, method: str) -> None:
    request = forwarded(recorded, _head(recorded.scoped, method, "/aaa/k", *OVERRIDES))
    assert request.line == b"%b /aaa/k HTTP/1.1" % method.encode()
    assert names(request) == (OURS_WITH_BODY if method == "PUT" else OURS)


@pytest.mark.parametrize("query", ["_method=DELETE", "method=DELETE", "X-HTTP-Method-Override=DELETE"])
def test_b16_a_parameter_does_not_change_the_method(recorded: Recorded, query: str) -> None:
    assert refusal(recorded, _head(recorded.scoped, "GET", f"/aaa/k?{query}")) == NOT_IMPLEMENTED


@pytest.mark.parametrize("method", ["delete", "Delete", "PATCH", "TRACE", "PROPFIND", "MOVE", "COPY", "LOCK"])
def test_b16_another_method_is_405(recorded: Recorded, method: str) -> None:
    for target in ("/aaa/k", "/aaa", "/"):
        assert refusal(recorded, _head(recorded.signer, method, target)) == NOT_ALLOWED


# ---- administration ----

MINIO = (
    "/minio/admin/v3/info", "/minio/admin/v3/add-user", "/minio/health/live", "/minio/v2/metrics/cluster",
    "/minio/kms/v1/key/create", "/minio/bootstrap/v1/verify", "/minio/storage/bbb", "/minio", "/minio-console/api",
    "/.minio.sys", "/.minio.sys/config/iam/users/root/identity.json",
)  # fmt: skip
RGW = (
    "/admin", "/admin/", "/admin/user", "/admin/bucket", "/admin/usage", "/admin/metadata/user", "/admin/log",
    "/swift/v1", "/swift/v1/bbb/k", "/swift/info", "/auth", "/auth/v1.0",
)  # fmt: skip
SEAWEEDFS = ("/status", "/healthz", "/readyz", "/buckets", "/buckets/bbb/k", "/metrics")
GARAGE = ("/v1", "/v1/key", "/v1/bucket/bbb", "/v2/GetClusterStatus", "/metrics", "/health")
AWS = ("/WriteGetObjectResponse",)
SURFACES = {"minio": MINIO, "rgw": RGW, "seaweedfs": SEAWEEDFS, "garage": GARAGE}


@pytest.mark.parametrize("profile", ["generic", *SURFACES])
def test_b17_the_administration_of_a_store_is_no_bucket_not_even_for_a_key_for_all(
    tmp_path: Path, profile: str
) -> None:
    own = SURFACES.get(profile) or (*MINIO, *RGW, *SEAWEEDFS, *GARAGE)
    with recorded_gateway(tmp_path, profile=profile) as recorded:
        signer = recorded.signer
        for target in (*own, *AWS):
            for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
                assert refusal(recorded, _head(signer, method, target)) == NO_BUCKET, (method, target)
        # nor is anything copied out of it or posted to it
        name = own[0].split("/")[1]
        source = ("x-amz-copy-source", f"/{name}/secret")
        assert refusal(recorded, _head(signer, "PUT", "/aaa/to", source)) == NO_BUCKET
        credential = (signer.access_key_id, signer.secret_access_key)
        form = posted_form(recorded.gateway.host, credential, b"file", bucket=name)
        assert refusal(recorded, form.request()) == NO_BUCKET


@pytest.mark.parametrize("target", [*MINIO, *RGW, *SEAWEEDFS, *GARAGE, *AWS])
def test_b17_a_key_for_one_bucket_reaches_no_administration_whatever_the_profile(
    recorded: Recorded, target: str
) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert refusal(recorded, _head(recorded.scoped, method, target)) in (DENIED, NO_BUCKET)


@pytest.mark.parametrize(
    ("method", "target", "answer"),
    [
        ("POST", "/", NOT_ALLOWED),
        ("POST", "/?Action=AssumeRole&Version=2011-06-15", NOT_ALLOWED),
        ("GET", "/?Action=ListTopics", NOT_IMPLEMENTED),
        ("GET", "/?Action=GetSessionToken&Version=2011-06-15", NOT_IMPLEMENTED),
        ("GET", "/?usage=", NOT_IMPLEMENTED),
        ("GET", "/?format=json", NOT_IMPLEMENTED),
        ("GET", "/?acl=", NOT_IMPLEMENTED),
        ("GET", "/?session=", NOT_IMPLEMENTED),
        ("GET", "/?events=", NOT_IMPLEMENTED),
        ("GET", "/?max-directory-buckets=9", NOT_IMPLEMENTED),
        ("HEAD", "/", NOT_ALLOWED),
        ("PUT", "/", NOT_ALLOWED),
        ("PUT", "/?policy=", NOT_ALLOWED),
        ("DELETE", "/", NOT_ALLOWED),
        ("POST", "/?delete=", NOT_ALLOWED),
        ("OPTIONS", "/", DENIED),
    ],
)
def test_b18_on_the_service_itself_there_is_nothing_but_list_buckets(
    recorded: Recorded, method: str, target: str, answer: tuple[int, str]
) -> None:
    assert refusal(recorded, _head(recorded.signer, method, target)) == answer


@pytest.mark.parametrize("action", [b"Action=ListTopics", b"Action=AssumeRole&RoleArn=r", b"Action=CreateAccessKey"])
def test_b18_a_form_of_sts_iam_or_sns_never_reaches_the_store(recorded: Recorded, action: bytes) -> None:
    urlencoded = [("Content-Type", "application/x-www-form-urlencoded")]
    for target in ("/", "/?Version=2011-06-15"):
        sent = recorded.signer.head("POST", target, urlencoded, body=action) + action
        assert refusal(recorded, sent) == NOT_ALLOWED
        for service in (b"sts", b"iam", b"sns"):
            other = sent.replace(b"/us-east-1/s3/", b"/us-east-1/%b/" % service, 1)
            if service == b"sns" or target != "/":
                assert refusal(recorded, other) == (400, "AuthorizationHeaderMalformed")
            else:  # the control plane's to answer
                reply = recorded.ask(other)
                assert (reply.status, b"<Code>SignatureDoesNotMatch</Code>" in reply.body) == (403, True)
                recorded.upstream.assert_untouched()


@pytest.mark.parametrize("service", ["iam", "sts"])
@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/aaa/k"), ("PUT", "/aaa/k"), ("DELETE", "/aaa/k"), ("GET", "/"), ("POST", "/aaa?delete="), ("PUT", "/")],
)
def test_b31_a_true_signature_for_iam_or_sts_opens_no_bucket(
    recorded: Recorded, service: str, method: str, target: str
) -> None:
    signer = replace(recorded.signer, service=service)
    assert refusal(recorded, _head(signer, method, target)) == (400, "AuthorizationHeaderMalformed")
    presigned = presigned_head(recorded.signer, method, target).replace(b"%2Fs3%2F", b"%%2F%b%%2F" % service.encode())
    assert refusal(recorded, presigned) == (400, "AuthorizationQueryParametersError")


def test_b18_list_buckets_leaves_as_itself_with_nothing_of_the_client_s_query(recorded: Recorded) -> None:
    document = b"<ListAllMyBucketsResult><Buckets><Bucket><Name>aaa</Name></Bucket><Bucket><Name>bbb</Name></Bucket>"
    recorded.upstream.reset(canned(ok(document + b"</Buckets></ListAllMyBucketsResult>")))
    reply = recorded.ask(_head(recorded.scoped, "GET", "/?prefix=&x-id=ListBuckets"))
    assert reply.status == 200
    assert b"<Name>aaa</Name>" in reply.body
    assert b"bbb" not in reply.body
    request = recorded.upstream.only_request()
    assert (request.line, names(request)) == (b"GET / HTTP/1.1", OURS)


# ---- tokens, archives, parameters of one store ----


def test_b19_no_session_and_no_token_of_the_store_is_handed_out(recorded: Recorded) -> None:
    for signer in (recorded.scoped, recorded.signer):
        assert refusal(recorded, _head(signer, "GET", "/aaa?session=")) == DENIED
        mode = ("x-amz-create-session-mode", "ReadWrite")
        assert refusal(recorded, _head(signer, "GET", "/aaa?session=", mode)) == DENIED
        assert refusal(recorded, _head(signer, "HEAD", "/aaa?session=")) == NOT_IMPLEMENTED
        assert refusal(recorded, presigned_head(signer, "GET", "/aaa?session=")) == DENIED


@pytest.mark.parametrize(
    "name",
    [
        "x-amz-meta-snowball-auto-extract",
        "X-Amz-Meta-Snowball-Auto-Extract",
        "x-amz-meta-snowball_auto_extract",
        "x-amz-meta-minio-snowball",
        "x-amz-meta-minio-snowball-prefix",
        "x-amz-meta-minio-snowball-ignore-dirs",
        "x-amz-meta-snowball-prefix",
        "x-amz-snowball-auto-extract",
        "x-amz-snowball-extract",
    ],
)
def test_b20_an_archive_is_not_unpacked_into_object_keys_nobody_checked(recorded: Recorded, name: str) -> None:
    assert refusal(recorded, _head(recorded.scoped, "PUT", "/aaa/k.tar", (name, "true"))) == NOT_IMPLEMENTED
    assert refusal(recorded, _head(recorded.scoped, "POST", "/aaa/k.tar?uploads=", (name, "true"))) == NOT_IMPLEMENTED
    hoisted = presigned_head(recorded.scoped, "PUT", f"/aaa/k.tar?{name}=true", unsigned=[("Content-Length", "0")])
    assert refusal(recorded, hoisted) == NOT_IMPLEMENTED
    signer = recorded.scoped
    credential = (signer.access_key_id, signer.secret_access_key)
    form = posted_form(recorded.gateway.host, credential, b"a tar", bucket="aaa", fields={name: "true"})
    assert refusal(recorded, form.request()) == NOT_IMPLEMENTED


OF_ONE_STORE = [
    ("x-minio-extract", "true"),
    ("x-minio-force-delete", "true"),
    ("x-minio-source-mtime", "0"),
    ("x-minio-source-replication-request", "true"),
    ("X-Minio-Replication-Server-Side-Encryption-Iv", "iv"),
    ("X-Minio-Internal-Server-Side-Encryption-Iv", "iv"),
    ("x-rgw-copy-source", "/bbb/secret"),
    ("rgwx-uid", "root"),
    ("x-rgw-quota", "1"),
    ("x-auth-token", "t"),
    ("x-storage-token", "t"),
    ("x-container-read", ".r:*"),
    ("x-object-manifest", "bbb/secret"),
    ("x-goog-copy-source", "/bbb/secret"),
    ("x-oss-copy-source", "/bbb/secret"),
    ("seaweed-owner", "root"),
]


@pytest.mark.parametrize("signed", [True, False])
def test_b20_headers_of_one_store_s_own_never_reach_it(recorded: Recorded, signed: bool) -> None:
    sent = OF_ONE_STORE if signed else ()
    head = recorded.scoped.head("PUT", "/aaa/k", sent, body=b"", unsigned=() if signed else OF_ONE_STORE)
    request = forwarded(recorded, head)
    assert (request.line, names(request)) == (b"PUT /aaa/k HTTP/1.1", OURS_WITH_BODY)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/aaa/k?lambdaArn=arn%3Aminio%3As3-object-lambda%3A%3Ax%3Awebhook"),
        ("GET", "/aaa?events="),
        ("GET", "/aaa?events=s3%3AObjectCreated%3A%2A"),
        ("PUT", "/aaa?replication-reset="),
        ("GET", "/aaa?replication-metrics="),
        ("GET", "/aaa?replication-check="),
        ("GET", "/aaa?metadata=true"),
        ("GET", "/aaa/k?zip=x"),
        ("PUT", "/aaa/k?append=&position=0"),
        ("GET", "/aaa?mdsearch="),
        ("PUT", "/aaa/k?foo="),
        ("DELETE", "/aaa/k?foo="),
        ("DELETE", "/aaa?foo="),
        ("PUT", "/aaa?inventorY="),
        ("PUT", "/aaa?Policy="),
        ("DELETE", "/aaa?cascade=true"),
        ("DELETE", "/aaa?force=true"),
        ("GET", "/aaa/k?rgwx-uid=root"),
        ("GET", "/aaa/k?rgwx-prepend-metadata=true"),
        ("PUT", "/aaa/k?rgwx-copy-if-newer=true"),
    ],
)
def test_b21_a_parameter_of_one_store_s_own_is_refused_and_never_dropped(
    recorded: Recorded, method: str, target: str
) -> None:
    for signer in (recorded.scoped, recorded.signer):
        assert refusal(recorded, _head(signer, method, target)) == NOT_IMPLEMENTED


# ---- what opens data to the world, or sends it elsewhere ----


@pytest.mark.parametrize(
    "acl", ["public-read", "public-read-write", "authenticated-read", "PUBLIC-READ", "aws-exec-read"]
)
@pytest.mark.parametrize("target", ["/aaa/k", "/aaa"])
def test_b22_no_canned_acl_opens_data_to_readers_without_a_key(recorded: Recorded, target: str, acl: str) -> None:
    assert refusal(recorded, _head(recorded.signer, "PUT", target, ("x-amz-acl", acl))) == DENIED


@pytest.mark.parametrize("who", ["read", "write", "read-acp", "write-acp", "full-control"])
def test_b22_no_grant_opens_data(recorded: Recorded, who: str) -> None:
    grant = (f"x-amz-grant-{who}", 'uri="http://acs.amazonaws.com/groups/global/AllUsers"')
    for method, target in (("PUT", "/aaa/k"), ("PUT", "/aaa"), ("POST", "/aaa/k?uploads=")):
        assert refusal(recorded, _head(recorded.signer, method, target, grant)) == DENIED


def test_b22_an_upload_form_cannot_open_its_object(recorded: Recorded) -> None:
    credential = (recorded.signer.access_key_id, recorded.signer.secret_access_key)
    for field in ("acl", "x-amz-acl"):
        form = posted_form(recorded.gateway.host, credential, b"x", bucket="aaa", fields={field: "public-read"})
        assert refusal(recorded, form.request()) == DENIED


@pytest.mark.parametrize("selector", ["acl", "policy", "publicAccessBlock", "ownershipControls", "website", "cors"])
def test_b22_what_makes_a_bucket_public_is_refused_for_every_key(recorded: Recorded, selector: str) -> None:
    body = b"<x/>"
    for signer in (recorded.scoped, recorded.signer):
        assert refusal(recorded, signer.head("PUT", f"/aaa?{selector}=", body=body) + body) == DENIED
        if selector != "acl":
            assert refusal(recorded, _head(signer, "DELETE", f"/aaa?{selector}=")) == DENIED
    assert refusal(recorded, _head(recorded.scoped, "GET", f"/bbb?{selector}=")) == DENIED


@pytest.mark.parametrize("target", ["/aaa/k?acl=", "/aaa/k?acl=&versionId=1", "/bbb/k?acl="])
def test_b22_the_acl_of_an_object_is_refused_for_every_key(recorded: Recorded, target: str) -> None:
    body = b"<AccessControlPolicy/>"
    assert refusal(recorded, recorded.signer.head("PUT", target, body=body) + body) == DENIED
    assert refusal(recorded, recorded.scoped.head("PUT", target, body=body) + body) == DENIED


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/aaa?replication=", DENIED),
        ("/aaa?logging=", DENIED),
        ("/aaa?inventory=&id=1", DENIED),
        ("/aaa?analytics=&id=1", DENIED),
        ("/aaa?notification=", DENIED),
        ("/aaa?website=", DENIED),
        ("/aaa?metrics=&id=1", NOT_IMPLEMENTED),
        ("/aaa?metadataInventoryTable=", DENIED),
        ("/aaa?metadataJournalTable=", DENIED),
        ("/aaa?accelerate=", NOT_IMPLEMENTED),
        ("/aaa?intelligent-tiering=&id=1", NOT_IMPLEMENTED),
        ("/aaa/k?restore=", NOT_IMPLEMENTED),
        ("/aaa/k?select=&select-type=2", NOT_IMPLEMENTED),
    ],
)
def test_b23_a_configuration_that_names_another_bucket_or_sink_is_refused(
    recorded: Recorded, target: str, answer: tuple[int, str]
) -> None:
    body = b"<Configuration><Bucket>arn:aws:s3:::bbb</Bucket></Configuration>"
    method = "POST" if "?restore" in target or "?select" in target else "PUT"
    for signer in (recorded.scoped, recorded.signer):
        assert refusal(recorded, signer.head(method, target, body=body) + body) == answer


@pytest.mark.parametrize("target", ["/aaa?lifecycle=", "/aaa?encryption=", "/aaa?object-lock="])
def test_b23_a_configuration_that_full_may_write_names_no_other_bucket(recorded: Recorded, target: str) -> None:
    """What it may say is in test_bucket_documents."""
    body = b"<Configuration><Bucket>arn:aws:s3:::bbb</Bucket></Configuration>"
    for signer, answer in ((recorded.scoped, DENIED), (recorded.signer, (400, "MalformedXML"))):
        assert refusal(recorded, signer.head("PUT", target, body=body) + body) == answer


@pytest.mark.parametrize("name", ["x-amz-website-redirect-location", "x-amz-copy-source-bucket", "x-amz-outpost-id"])
def test_b23_a_header_that_names_a_sink_is_no_way_out_of_the_bucket(recorded: Recorded, name: str) -> None:
    reply = recorded.ask(_head(recorded.scoped, "PUT", "/aaa/k", (name, "/bbb/secret")))
    if reply.status == 200:  # a redirect is metadata of the object, which a website, refused above, would follow
        request = recorded.upstream.only_request()
        assert (request.line, request.header(name.encode())) == (b"PUT /aaa/k HTTP/1.1", b"/bbb/secret")
        assert name == "x-amz-website-redirect-location"
    else:
        assert reply.status == 501
        recorded.upstream.assert_untouched()
