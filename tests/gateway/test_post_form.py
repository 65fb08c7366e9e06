"""Whole forms down the road, as bytes: botocore signs them, urllib3 writes them, what is handed in decides."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authorize import Policy
from gateway.payload.mode import PayloadMode
from gateway.pipeline import Lookups, Rules, admit_again
from gateway.post_form import AdmittedForm, FormRequest, admit_form, open_form
from gateway.s3.addressing import Addressing
from gateway.s3.errors import Code, S3Error
from gateway.s3.form_data import FormReader
from gateway.s3.post_answer import Success
from gateway.s3.post_policy import LengthRange
from gateway.s3.profile import PROFILES
from gateway.s3.request import RequestHead
from keystore.access_key import KnownKey, Status
from keystore.errors import KeystoreUnavailable, NotKnownYet, RecordRefused
from keystore.scope import AllBuckets, BucketGrant, Rights, Scope, SpecificBuckets
from tests.support.admitted import lookups_of
from tests.support.forms import form_body, form_fields, form_head
from tests.support.requests import DUMMY, HOST, NOW, RULES, known_key

ADDRESSING = Addressing((), frozenset(), dot_segments=False)
ROAD = Rules(ADDRESSING, RULES, Policy(PROFILES["generic"], frozenset(), dot_segments=False), DUMMY)
DATE = b"20260921"
ONE: Scope = SpecificBuckets((BucketGrant("bucket"),))


class Directory:
    """One record that the test may change."""

    def __init__(self, **changed: Any) -> None:
        self.known: KnownKey | None = known_key(DATE, **{"scope": ONE, **changed})
        self.asked: list[tuple[str, bytes]] = []

    def find(self, access_key_id: str, date: bytes) -> KnownKey | None:
        self.asked.append((access_key_id, date))
        return self.known

    @property
    def lookups(self) -> Lookups:
        return lookups_of(self.find)


def opened(head: RequestHead, rules: Rules = ROAD) -> FormRequest:
    form = open_form(head, rules)
    assert form is not None
    return form


def read(body: bytes, form: FormRequest) -> FormReader:
    reader = FormReader(form.boundary)
    reader.feed(body)
    return reader


def admitted(
    fields: dict[bytes, bytes],
    directory: Directory | None = None,
    *,
    head: RequestHead | None = None,
    content: bytes = b"content",
    filename: str = "a.txt",
    now: float = NOW,
    rules: Rules = ROAD,
) -> AdmittedForm:
    form = opened(head or form_head(), rules)
    reader = read(form_body(fields, content, filename), form)
    return admit_form(form, reader.fields, reader.filename, (directory or Directory()).lookups, now, rules)


def refusal(fields: dict[bytes, bytes], directory: Directory | None = None, **more: Any) -> S3Error:
    with pytest.raises(S3Error) as caught:
        admitted(fields, directory, **more)
    return caught.value


# ---- the road ----


def test_a_form_becomes_the_upload_it_asks_for() -> None:
    fields = form_fields(
        "user/${filename}",
        {"acl": "private", "Content-Type": "image/png", "x-amz-meta-my_key": " v ", "success_action_status": "201"},
        [
            {"acl": "private"},
            ["starts-with", "$Content-Type", "image/"],
            ["eq", "$x-amz-meta-my_key", " v "],
            ["eq", "$success_action_status", "201"],
            ["content-length-range", 1, 4096],
        ],
    )
    authorized, length_range, success = admitted(fields, filename="C:\\é b.png")
    request = authorized.request
    assert authorized.operation.name == "PutObject"
    assert (request.method, request.bucket, request.object_key) == (b"PUT", "bucket", "user/é b.png".encode())
    assert request.raw_path == request.canonical_path == b"/bucket/user/%C3%A9%20b.png"
    assert (request.query, request.raw_query) == ({}, b"")
    assert authorized.headers == [
        (b"x-amz-acl", b"private"),
        (b"content-type", b"image/png"),
        (b"x-amz-meta-my_key", b"v"),
    ]
    assert authorized.authenticated.payload.mode is PayloadMode.UNSIGNED
    assert (length_range, success) == (LengthRange(1, 4096), Success(201, None))


def test_a_form_may_name_its_bucket_in_the_host() -> None:
    rules = ROAD._replace(addressing=ADDRESSING._replace(domains=(b"s3.example",)))
    head = form_head("/", {"host": "bucket.s3.example"})
    authorized = admitted(form_fields("a b"), head=head, rules=rules).authorized
    assert authorized.request.virtual_hosted
    assert (authorized.request.bucket, authorized.request.canonical_path) == ("bucket", b"/a%20b")


def test_nothing_of_the_forms_own_head_reaches_the_upload_but_the_host() -> None:
    head = form_head(headers={"cache-control": "no-store", "content-encoding": "gzip", "range": "bytes=0-1"})
    request = admitted(form_fields("k"), head=head).authorized.request
    assert request.headers == request.all_headers == {b"host": HOST.encode()}
    assert request.names.lowered == (b"host",)


def test_a_key_is_looked_up_once_for_the_day_of_the_form() -> None:
    directory = Directory()
    admitted(form_fields("k", lasts=604_800), directory, now=NOW + 604_799)
    assert [date for _, date in directory.asked] == [DATE]


@pytest.mark.parametrize("after", [-901, 604_801])
def test_a_form_out_of_its_time_is_refused_before_the_directory_is_asked(after: int) -> None:
    directory = Directory()
    assert refusal(form_fields("k", lasts=9e5), directory, now=NOW + after).code is Code.ACCESS_DENIED
    assert directory.asked == []


@pytest.mark.parametrize("error", [KeystoreUnavailable("gone"), RecordRefused("tampered")])
def test_a_keystore_that_cannot_answer_a_form_is_503(error: Exception) -> None:
    directory = Directory()

    def find(access_key_id: str, date: bytes) -> KnownKey | None:
        raise error

    directory.find = find  # type: ignore[method-assign]  # this directory only fails
    refused = refusal(form_fields("k"), directory)
    assert (refused.code, refused.retry_after) == (Code.SERVICE_UNAVAILABLE, 1)


@pytest.mark.parametrize("asked", ["find", "tenure_of"])
def test_what_is_not_known_yet_passes_so_that_the_form_waits(asked: str) -> None:
    def not_yet(*asked: object) -> Any:
        raise NotKnownYet("it", lambda told: None)

    fields = form_fields("k")
    form = opened(form_head(), ROAD)
    reader = read(form_body(fields, b"content", "a.txt"), form)
    with pytest.raises(NotKnownYet):
        admit_form(form, reader.fields, reader.filename, Directory().lookups._replace(**{asked: not_yet}), NOW, ROAD)


# ---- who signed ----


@pytest.mark.parametrize("signature", [b"0" * 64, form_fields("other")[b"x-amz-signature"]])
def test_a_garbage_signature_opens_no_form(signature: bytes) -> None:
    assert refusal({**form_fields("k"), b"x-amz-signature": signature}).code is Code.SIGNATURE_DOES_NOT_MATCH


def test_a_policy_that_was_widened_after_it_was_signed_is_refused() -> None:
    fields = form_fields("k")
    policy = json.loads(base64.b64decode(fields[b"policy"]))
    policy["conditions"][1] = ["starts-with", "$key", ""]
    widened = base64.b64encode(json.dumps(policy).encode())
    assert refusal({**fields, b"policy": widened}).code is Code.SIGNATURE_DOES_NOT_MATCH


def test_nothing_of_a_policy_is_read_before_its_signature_held() -> None:
    assert refusal({**form_fields("k"), b"policy": b"no policy"}).code is Code.SIGNATURE_DOES_NOT_MATCH
    directory = Directory(status=Status.REVOKED)
    error = refusal({**form_fields("k", lasts=-1), b"x-amz-signature": b"0" * 64}, directory)
    assert (error.code, "revoked" in error.message) == (Code.INVALID_ACCESS_KEY_ID, False)


def test_an_unknown_key_signs_no_form() -> None:
    directory = Directory()
    directory.known = None
    assert refusal(form_fields("k"), directory).code is Code.INVALID_ACCESS_KEY_ID


def test_a_revoked_key_signs_no_form_and_every_form_it_signed_is_dead() -> None:
    error = refusal(form_fields("k"), Directory(status=Status.REVOKED))
    assert error.code is Code.INVALID_ACCESS_KEY_ID
    assert error.code.status == 403
    assert "revoked" in error.message


def test_a_sigv2_form_is_a_form() -> None:
    assert admitted(form_fields("k", sigv2=True)).authorized.request.object_key == b"k"


def test_a_sigv2_form_of_a_revoked_key_is_dead() -> None:
    assert refusal(form_fields("k", sigv2=True), Directory(status=Status.REVOKED)).code is Code.INVALID_ACCESS_KEY_ID


def test_a_sigv2_form_for_more_than_seven_days_is_refused() -> None:
    assert admitted(form_fields("k", sigv2=True, lasts=604_800))
    assert refusal(form_fields("k", sigv2=True, lasts=604_801)).code is Code.INVALID_POLICY_DOCUMENT


def test_a_sigv2_form_is_held_to_its_policy() -> None:
    fields = form_fields("k", sigv2=True)
    assert refusal({**fields, b"x-amz-meta-a": b"1"}).code is Code.ACCESS_DENIED
    assert refusal({**fields, b"key": b"other"}).code is Code.ACCESS_DENIED


def test_a_session_token_in_a_form_is_refused() -> None:
    fields = form_fields("k", {"x-amz-security-token": "t"}, [{"x-amz-security-token": "t"}])
    assert refusal(fields).code is Code.INVALID_TOKEN


def test_an_anonymous_form_is_denied() -> None:
    assert refusal({b"key": b"k"}).code is Code.ACCESS_DENIED


# ---- what was allowed ----


@pytest.mark.parametrize("scope", [AllBuckets(), SpecificBuckets((BucketGrant("bucket"), BucketGrant("other")))])
def test_a_policy_for_one_bucket_is_none_for_another_though_the_key_may_write_there(scope: Scope) -> None:
    directory = Directory(scope=scope)
    admitted(form_fields("k", bucket="other"), directory, head=form_head("/other"))
    error = refusal(form_fields("k", bucket="other"), directory)
    assert error.code is Code.ACCESS_DENIED
    assert "bucket" in error.message


def test_a_field_bucket_does_not_move_the_upload() -> None:
    fields = {**form_fields("k", {"bucket": "other"}, bucket="other")}
    assert refusal(fields, Directory(scope=AllBuckets())).code is Code.ACCESS_DENIED


@pytest.mark.parametrize(
    "field", [b"acl", b"x-amz-acl", b"content-type", b"x-amz-meta-a", b"success_action_redirect", b"submit"]
)
def test_a_field_without_a_condition_is_refused(field: bytes) -> None:
    error = refusal({**form_fields("k"), field: b"private"})
    assert error.code is Code.ACCESS_DENIED
    assert field.decode() in error.message


def test_an_object_key_that_the_policy_does_not_allow_is_refused() -> None:
    assert refusal({**form_fields("user/${filename}"), b"key": b"admin/x"}).code is Code.ACCESS_DENIED


def test_an_expired_policy_is_refused_at_its_second() -> None:
    fields = form_fields("k", lasts=60)
    admitted(fields, now=NOW + 59.9)
    error = refusal(fields, now=NOW + 60)
    assert (error.code, error.message) == (Code.ACCESS_DENIED, "Invalid according to Policy: Policy expired.")


@pytest.mark.parametrize(
    ("object_key", "filename"),
    [("../other/k", "a"), ("a/../../other/k", "a"), ("./k", "a"), ("user/${filename}", ".."), ("${filename}", ".")],
)
def test_an_object_key_with_dot_segments_is_refused_though_the_policy_allows_it(object_key: str, filename: str) -> None:
    assert refusal(form_fields(object_key), filename=filename).code is Code.INVALID_URI


def test_the_policys_start_of_a_key_does_not_help_a_filename_out_of_it() -> None:
    request = admitted(form_fields("user/${filename}"), filename="../../other/k").authorized.request
    assert request.object_key == b"user/k"


@pytest.mark.parametrize(("length", "code"), [(1024, None), (1025, Code.KEY_TOO_LONG)])
def test_the_length_of_an_object_key_counts_after_the_filename_is_put_in(length: int, code: Code | None) -> None:
    fields = form_fields("user/${filename}")
    if code is None:
        admitted(fields, filename="a" * (length - 5))
    else:
        assert refusal(fields, filename="a" * (length - 5)).code is code


def test_a_field_given_twice_is_refused() -> None:
    form = opened(form_head())
    body = form_body(form_fields("k"), b"")
    part = b'--B-o\r\nContent-Disposition: form-data; name="Key"\r\n\r\nother\r\n'
    with pytest.raises(S3Error) as caught:
        read(part + body, form)
    assert caught.value.code is Code.INVALID_REQUEST


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"x-amz-copy-source": "/other/k"}, Code.INVALID_REQUEST),
        ({"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, Code.INVALID_REQUEST),
        ({"x-amz-decoded-content-length": "1"}, Code.INVALID_REQUEST),
        ({"If-None-Match": "*"}, Code.INVALID_REQUEST),
        ({"acl": "public-read"}, Code.ACCESS_DENIED),
        ({"x-amz-grant-read": "uri=x"}, Code.ACCESS_DENIED),
        ({"x-amz-write-offset-bytes": "1"}, Code.NOT_IMPLEMENTED),
        ({"x-amz-meta-snowball-auto-extract": "true"}, Code.NOT_IMPLEMENTED),
        ({"x-amz-meta-a b": "v"}, Code.INVALID_ARGUMENT),
        ({"x-amz-meta-a": "v\r\nx-amz-acl: public-read"}, Code.INVALID_ARGUMENT),
        ({"content-type": "a/b\r\nx: y"}, Code.INVALID_ARGUMENT),
        ({"x-amz-object-lock-mode": "GOVERNANCE"}, Code.ACCESS_DENIED),
    ],
)
def test_a_policy_allows_nothing_that_an_upload_may_not_say(fields: dict[str, str], code: Code) -> None:
    """The holder of a key can sign anything; the rules for headers hold all the same."""
    assert refusal(form_fields("k", fields, [dict([field]) for field in fields.items()])).code is code


# ---- what the key may do ----


@pytest.mark.parametrize(
    "scope",
    [
        SpecificBuckets((BucketGrant("elsewhere"),)),
        SpecificBuckets((BucketGrant("bucket", Rights.READ_ONLY),)),
        AllBuckets(Rights.READ_ONLY),
    ],
)
def test_a_form_does_no_more_than_its_key_may(scope: Scope) -> None:
    error = refusal(form_fields("k"), Directory(scope=scope))
    assert (error.code, error.message) == (Code.ACCESS_DENIED, Code.ACCESS_DENIED.message)


def test_a_write_only_key_may_sign_forms() -> None:
    admitted(form_fields("k"), Directory(scope=AllBuckets(Rights.WRITE_ONLY)))


def test_a_form_whose_key_is_unchanged_is_admitted_again_as_it_was() -> None:
    directory = Directory()
    authorized = admitted(form_fields("k"), directory).authorized
    assert admit_again(authorized, directory.lookups, ROAD) is authorized


def test_a_form_whose_key_was_only_renamed_is_admitted_again() -> None:
    directory = Directory()
    authorized = admitted(form_fields("k"), directory).authorized
    directory.known = known_key(DATE, scope=ONE, label="renamed")
    again = admit_again(authorized, directory.lookups, ROAD)
    assert again.access_key.label == "renamed"
    assert (again.request, again.headers) == (authorized.request, authorized.headers)


@pytest.mark.parametrize(
    "changed", [{"status": Status.REVOKED}, {"scope": SpecificBuckets((BucketGrant("elsewhere"),))}, None]
)
def test_a_key_revoked_or_narrowed_or_deleted_meanwhile_commits_no_form(changed: dict[str, Any] | None) -> None:
    directory = Directory()
    authorized = admitted(form_fields("k"), directory).authorized
    directory.known = None if changed is None else known_key(DATE, **{"scope": ONE, **changed})
    with pytest.raises(S3Error) as caught:
        admit_again(authorized, directory.lookups, ROAD)
    assert caught.value.code.status == 403


@given(st.dictionaries(st.sampled_from([*form_fields("k"), b"acl", b"x-amz-acl", b"bucket"]), st.binary(max_size=30)))
def test_no_field_can_be_changed_but_to_what_it_was(changed: dict[bytes, bytes]) -> None:
    fields = form_fields("k")
    form = opened(form_head())
    if changed.items() <= {**fields, b"bucket": b"bucket"}.items() and b"bucket" not in changed:
        admit_form(form, {**fields, **changed}, None, Directory().lookups, NOW, ROAD)
        return
    with pytest.raises(S3Error):
        admit_form(form, {**fields, **changed}, None, Directory().lookups, NOW, ROAD)


def test_a_record_replaced_under_the_same_id_is_the_one_that_counts() -> None:
    directory = Directory()
    assert directory.known is not None
    directory.known.access_key = replace(directory.known.access_key, expires_at=NOW)
    assert refusal(form_fields("k"), directory).code is Code.INVALID_ACCESS_KEY_ID


def test_b36_a_form_of_a_key_with_source_networks_is_good_from_there_only() -> None:
    directory = Directory(source_cidrs=("192.0.2.0/24",))
    for peer, allowed in (("192.0.2.7", True), ("198.51.100.7", False), ("", False)):
        form = open_form(form_head(), ROAD, peer)
        assert form is not None
        try:
            admit_form(form, form_fields("k"), None, directory.lookups, NOW, ROAD)
        except S3Error as error:
            assert error.code is Code.ACCESS_DENIED  # noqa: PT017 – one of the two must not raise
            assert not allowed
        else:
            assert allowed
