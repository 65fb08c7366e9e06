"""Attacks in upload forms, in control documents, and through uploads and versions named by id."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from xml.etree import ElementTree

import pytest

from tests.support.attacks import OURS, OURS_WITH_BODY, forwarded, names, refusal
from tests.support.house import Recorded
from tests.support.posted import PostedForm, posted_form
from tests.support.raw_client import Signer
from tests.support.recording_upstream import canned, ok

pytestmark = pytest.mark.server  # many, and some with a gateway of their own

DENIED = (403, "AccessDenied")
MALFORMED = (400, "MalformedXML")
BAD_URI = (400, "InvalidURI")
versions = pytest.mark.parametrize("version", ["s3v4", "s3"])


@dataclass(frozen=True, slots=True)
class Narrow:
    """Keys for the bucket `aaa` alone."""

    reader: Signer
    writer: Signer


@pytest.fixture(scope="module")
def narrow(_recorded: Recorded) -> Narrow:
    gateway = _recorded.gateway
    return Narrow(*[gateway.signer(gateway.create_key("aaa", rights=which)) for which in ("read_only", "write_only")])


# ---- upload forms ----


def _form(recorded: Recorded, signer: Signer, **more: object) -> PostedForm:
    credential = (signer.access_key_id, signer.secret_access_key)
    return posted_form(recorded.gateway.host, credential, b"file", **{"bucket": "aaa", **more})  # type: ignore[arg-type]


@versions
def test_b24_a_policy_for_one_bucket_opens_no_other(recorded: Recorded, version: str) -> None:
    for signer in (recorded.scoped, recorded.signer):
        form = _form(recorded, signer, signature_version=version)
        assert refusal(recorded, replace(form, bucket="bbb").request()) == DENIED


@versions
def test_b24_a_policy_of_a_key_for_another_bucket_opens_none(recorded: Recorded, version: str) -> None:
    form = _form(recorded, recorded.scoped, bucket="bbb", signature_version=version)
    assert refusal(recorded, form.request()) == DENIED
    for path in ("//bbb", "/%62bb", "/bbb%2F", "/BBB"):
        sent = form.request().replace(b"POST /bbb ", b"POST %b " % path.encode(), 1)
        assert refusal(recorded, sent) == (400, "InvalidBucketName")


def test_b24_a_field_bucket_does_not_move_the_upload(recorded: Recorded) -> None:
    form = _form(recorded, recorded.scoped)
    for name in ("bucket", "Bucket"):
        moved = replace(form, fields={name: "bbb", **form.fields})
        assert refusal(recorded, moved.request()) == DENIED


@versions
@pytest.mark.parametrize(
    ("object_key", "filename"),
    [
        ("../bbb/k", "f"),
        ("a/../../bbb/k", "f"),
        ("..", "f"),
        ("${filename}", ".."),
        ("a/${filename}", "."),
        ("../${filename}", "bbb"),
        ("./k", "f"),
    ],
)
def test_b24_an_object_key_in_a_form_does_not_climb_out_of_the_bucket(
    recorded: Recorded, object_key: str, filename: str, version: str
) -> None:
    form = _form(recorded, recorded.scoped, object_key=object_key, filename=filename, signature_version=version)
    assert refusal(recorded, form.request()) == BAD_URI


@pytest.mark.parametrize("filename", ["../../bbb/k", "..\\..\\bbb\\k", "/bbb/k", "C:\\bbb\\k"])
def test_b24_a_path_in_a_file_s_name_is_cut_off(recorded: Recorded, filename: str) -> None:
    form = _form(recorded, recorded.scoped, object_key="a/${filename}", filename=filename)
    assert recorded.ask(form.request()).status == 204
    request = recorded.upstream.only_request()
    assert request.line == b"PUT /aaa/a/k HTTP/1.1"
    assert names(request) == OURS_WITH_BODY


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"x-amz-copy-source": "/bbb/secret"}, (400, "InvalidRequest")),
        ({"X-Amz-Copy-Source": "/aaa/mine"}, (400, "InvalidRequest")),
        ({"x-amz-rename-source": "/bbb/secret"}, (501, "NotImplemented")),
        ({"x-amz-security-token": "t"}, (400, "InvalidToken")),
        ({"x-amz-meta-a": "v\r\nx-amz-copy-source: /bbb/secret"}, (400, "InvalidArgument")),
    ],
)
def test_b24_a_field_of_a_form_is_no_way_to_copy_or_to_write_headers(
    recorded: Recorded, fields: Mapping[str, str], answer: tuple[int, str]
) -> None:
    assert refusal(recorded, _form(recorded, recorded.scoped, fields=fields).request()) == answer


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("x-amz-copy-source: /bbb/secret", (400, "InvalidRequest")),
        ("x-amz-acl: public-read", DENIED),
        ("x-amz-meta-a: b", DENIED),
    ],
)
def test_b24_a_header_beside_a_form_is_not_signed_by_it(
    recorded: Recorded, header: str, answer: tuple[int, str]
) -> None:
    assert refusal(recorded, _form(recorded, recorded.signer).request(headers=[header])) == answer


# ---- DeleteObjects ----

XXE = '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>'
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
KEY = "<Object><Key>k</Key></Object>"
DOCUMENTS: dict[str, tuple[bytes, tuple[int, str]]] = {
    "billion laughs": (
        f'<!DOCTYPE d [<!ENTITY l0 "lol">{LAUGHS}]><Delete><Object><Key>&l9;</Key></Object></Delete>'.encode(),
        MALFORMED,
    ),
    "an external entity": (XXE.encode(), MALFORMED),
    "an external entity in UTF-16": (('<?xml version="1.0" encoding="UTF-16"?>' + XXE).encode("utf-16"), MALFORMED),
    "a parameter entity": (f'<!DOCTYPE d SYSTEM "http://127.0.0.1/d"><Delete>{KEY}</Delete>'.encode(), MALFORMED),
    "another bucket": (b"<Delete><Bucket>bbb</Bucket>" + KEY.encode() + b"</Delete>", MALFORMED),
    "another bucket in an object": (b"<Delete><Object><Bucket>bbb</Bucket><Key>k</Key></Object></Delete>", MALFORMED),
    "two object keys": (b"<Delete><Object><Key>k</Key><Key>../bbb</Key></Object></Delete>", MALFORMED),
    "an element inside an object key": (b"<Delete><Object><Key>k<b/>../bbb</Key></Object></Delete>", MALFORMED),
    "1001 objects": (f"<Delete>{KEY * 1001}</Delete>".encode(), MALFORMED),
    "no object": (b"<Delete></Delete>", MALFORMED),
    "no object key": (b"<Delete><Object><Key></Key></Object></Delete>", MALFORMED),
    "another namespace": (b'<Delete xmlns="urn:x"><Object><Key>k</Key></Object></Delete>', MALFORMED),
    "another root": (b"<Tagging><TagSet/></Tagging>", MALFORMED),
    "dot segments": (b"<Delete><Object><Key>../bbb/k</Key></Object></Delete>", BAD_URI),
    "encoded dot segments": (b"<Delete><Object><Key>a/&#46;&#x2e;/bbb</Key></Object></Delete>", BAD_URI),
    "a dot segment behind a good one": (f"<Delete>{KEY}<Object><Key>a/./b</Key></Object></Delete>".encode(), BAD_URI),
    "NUL": (b"<Delete><Object><Key>a&#0;b</Key></Object></Delete>", MALFORMED),
    "dot segments in a version": (
        b"<Delete><Object><Key>k</Key><VersionId>../../bbb/k</VersionId></Object></Delete>",
        (400, "InvalidArgument"),
    ),
}  # fmt: skip


def _document(signer: Signer, body: bytes, *headers: tuple[str, str], target: str = "/aaa?delete=") -> bytes:
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    return signer.head("POST", target, [("Content-MD5", md5), *headers], body=body) + body


@pytest.mark.parametrize("name", DOCUMENTS)
def test_b25_a_document_that_reaches_beyond_its_bucket_or_costs_too_much_is_refused(
    recorded: Recorded, name: str
) -> None:
    body, answer = DOCUMENTS[name]
    assert refusal(recorded, _document(recorded.scoped, body)) == answer


def test_b25_deleting_many_needs_the_bucket_the_right_and_a_digest(recorded: Recorded, narrow: Narrow) -> None:
    body = f"<Delete>{KEY}</Delete>".encode()
    assert refusal(recorded, _document(recorded.scoped, body, target="/bbb?delete=")) == DENIED
    for signer in (narrow.reader, narrow.writer):
        assert refusal(recorded, _document(signer, body)) == DENIED
    bypass = ("x-amz-bypass-governance-retention", "true")
    assert refusal(recorded, _document(recorded.scoped, body, bypass)) == DENIED
    bare = recorded.scoped.head("POST", "/aaa?delete=", body=body) + body
    assert refusal(recorded, bare) == (400, "InvalidRequest")
    other = _document(recorded.scoped, body).replace(b"<Key>k</Key>", b"<Key>j</Key>", 1)
    assert refusal(recorded, other)[1] in ("BadDigest", "XAmzContentSHA256Mismatch")


def test_b25_the_store_gets_the_document_written_anew(recorded: Recorded) -> None:
    recorded.upstream.reset(canned(ok(b"<DeleteResult></DeleteResult>")))
    named = b"<Object><Key><![CDATA[a&b/]]>c<!-- x --></Key><VersionId>v</VersionId></Object>"
    hidden = b"<?php x?><!-- ../bbb/secret -->" + named
    reply = recorded.ask(_document(recorded.scoped, b"<Delete>" + hidden + b"</Delete>"))
    request = recorded.upstream.only_request()
    assert (reply.status, request.line) == (200, b"POST /aaa?delete= HTTP/1.1")
    assert names(request) == OURS_WITH_BODY | {b"content-md5"}
    sent = bytes(request.body)
    assert not any(mark in sent for mark in (b"<!", b"php", b"secret"))
    assert [
        (found.tag.rpartition("}")[2], found.text) for found in ElementTree.fromstring(sent).iter() if found.text
    ] == [
        ("Key", "a&b/c"),
        ("VersionId", "v"),
    ]
    assert request.header(b"content-md5") == base64.b64encode(hashlib.md5(sent).digest())


# ---- multipart uploads and versions ----

COMPLETE = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
UPLOAD_STEPS = {
    "start": ("POST", "/{}/k?uploads=", b""),
    "send a part": ("PUT", "/{}/k?partNumber=1&uploadId=u", b"part"),
    "complete": ("POST", "/{}/k?uploadId=u", COMPLETE),
    "abort": ("DELETE", "/{}/k?uploadId=u", None),
    "list the parts": ("GET", "/{}/k?uploadId=u", None),
    "list the uploads": ("GET", "/{}?uploads=", None),
}


def _step(signer: Signer, name: str, bucket: str) -> bytes:
    method, target, body = UPLOAD_STEPS[name]
    return signer.head(method, target.format(bucket), body=body) + (body or b"")


@pytest.mark.parametrize("step", UPLOAD_STEPS)
def test_b26_an_upload_id_is_no_key_to_another_bucket(recorded: Recorded, step: str) -> None:
    assert refusal(recorded, _step(recorded.scoped, step, "bbb")) == DENIED


@pytest.mark.parametrize("step", UPLOAD_STEPS)
def test_b26_every_step_of_an_upload_needs_its_own_right(recorded: Recorded, narrow: Narrow, step: str) -> None:
    signer = narrow.writer if step.startswith("list") else narrow.reader
    assert refusal(recorded, _step(signer, step, "aaa")) == DENIED


@pytest.mark.parametrize(
    "upload_id", ["..%2F..%2Fbbb%2Fk", "a%2F..%2F..%2Fbbb", "..", ".%2Fx", "%00", "%ff", "u%00%2F..%2Fbbb"]
)
def test_b26_an_upload_id_that_walks_is_refused(recorded: Recorded, upload_id: str) -> None:
    for name in ("partNumber=1&uploadId=", "uploadId="):
        method, body = ("PUT", b"") if name.startswith("part") else ("DELETE", None)
        head = recorded.scoped.head(method, f"/aaa/k?{name}{upload_id}", body=body)
        assert refusal(recorded, head) == (400, "InvalidArgument")


@pytest.mark.parametrize("number", ["..", "1%2F..%2F..%2Fbbb", "-1", "%2B1", "1_0", "0x1", "%201"])
def test_b26_a_part_number_is_a_number(recorded: Recorded, number: str) -> None:
    head = recorded.scoped.head("PUT", f"/aaa/k?partNumber={number}&uploadId=u", body=b"")
    assert refusal(recorded, head) == (400, "InvalidArgument")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_b27_an_empty_version_or_one_that_walks_is_refused(recorded: Recorded, method: str) -> None:
    for version in ("", "..%2F..%2Fbbb%2Fk", "..", "a%00b", "%ff"):
        head = recorded.scoped.head(method, f"/aaa/k?versionId={version}")
        assert refusal(recorded, head) == (400, "InvalidArgument")


def test_b27_a_version_needs_the_right_and_the_bucket_of_its_object(recorded: Recorded, narrow: Narrow) -> None:
    for version in ("null", "v1"):
        target = f"/aaa/k?versionId={version}"
        assert refusal(recorded, narrow.writer.head("GET", target)) == DENIED
        assert refusal(recorded, narrow.reader.head("DELETE", target)) == DENIED
        assert refusal(recorded, recorded.scoped.head("GET", f"/bbb/k?versionId={version}")) == DENIED
        recorded.upstream.reset()
        request = forwarded(recorded, narrow.reader.head("GET", target))
        assert (request.line, names(request)) == (b"GET %b HTTP/1.1" % target.encode(), OURS)
