"""The road of an upload form: one way, no way back. Pure: the fields, `find` and `now` are handed in.

A form carries its claim in its body, so its fields are read before anything is believed: `open_form` for the head, then
a bounded `FormReader` for the fields, then `admit_form`. What comes out is the PutObject that the form asks for, and it
is authorized as one; from there on nothing knows that it was a form, but for the answer.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from gateway.authorize import Authorized
from gateway.payload.reader import PayloadReader
from gateway.payload.verifier import body_verifier
from gateway.pipeline import Lookups, Rules, authorize_holder, passed_on, read_request
from gateway.s3.errors import Code, S3Error
from gateway.s3.form_data import Block, FormReader
from gateway.s3.form_file import FormFile
from gateway.s3.form_head import boundary_of
from gateway.s3.header_names import HeaderNames
from gateway.s3.operation import classify
from gateway.s3.post_answer import Success, read_success
from gateway.s3.post_fields import as_put_headers, expand, object_key_of
from gateway.s3.post_policy import LengthRange, check, read_policy
from gateway.s3.request import NOTHING_HOISTED, RequestHead, S3Request
from gateway.s3.uri import encode
from gateway.sigv4.claim import check_time
from gateway.sigv4.post_claim import read_post_claim
from gateway.sigv4.terms import MAX_EXPIRES, Form
from gateway.sigv4.verify import as_upload, authenticate
from gateway.source import NOWHERE
from keystore.errors import KeystoreError

_POST: Final = b"POST"
_FORM_TYPE: Final = b"multipart/form-data"
LINE_END: Final = 2  # bytes: by no more a file is longer than its size as the last field
_LABEL: Final = frozenset({b"x-id"})  # of SDKs, for humans
_ONE_MECHANISM: Final = (
    "Only one auth mechanism allowed; a form that is signed by its fields must carry neither an Authorization header "
    "nor query parameters"
)
_TOO_LONG: Final = "Invalid Policy: the expiration of a form signed with SigV2 must be at most seven days ahead."
_TOKENS: Final = (b"x-amz-security-token", b"x-amz-s3session-token")
# Said of the whole form, or a condition on it: what the upload would do without is not dropped unseen.
_UNSUPPORTED: Final = (b"content-md5", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since")


class FormRequest(NamedTuple):
    """The head of an upload form; nobody has signed it. `boundary`: for the `FormReader`."""

    request: S3Request
    boundary: bytes


class AdmittedForm(NamedTuple):
    """`authorized`: the PutObject. `length_range`: sizes the file may have; not checked yet, see `form_payload`.
    `success`: what the client wants to be answered."""

    authorized: Authorized
    length_range: LengthRange
    success: Success


def open_form(head: RequestHead, rules: Rules, peer: str = NOWHERE) -> FormRequest | None:
    """None unless it is `POST /bucket` with multipart/form-data: any other request is admitted as it is.

    To be asked before a claim is read: a form has none in its head. S3Error INVALID_ARGUMENT (another mechanism
    beside the form), INVALID_TOKEN, ACCESS_DENIED (an x-amz-* header, which nobody signed), NOT_IMPLEMENTED (a
    condition or Content-MD5), MALFORMED_POST_REQUEST (no boundary), and those of parsing and classifying.
    """
    if head.method != _POST:
        return None
    content_type = head.headers.get(b"content-type", b"")
    if content_type[: len(_FORM_TYPE)].lower() != _FORM_TYPE:
        return None
    request = read_request(head, peer, rules)
    if request.object_key or not request.bucket or classify(request).name != "PostObject":
        return None
    if b"authorization" in request.all_headers or request.query.keys() - _LABEL:
        raise S3Error(Code.INVALID_ARGUMENT, "a form and another mechanism", message=_ONE_MECHANISM)
    _check_headers(request.headers)
    return FormRequest(request, boundary_of(content_type))


def _check_headers(headers: Mapping[bytes, bytes]) -> None:
    if any(name in headers for name in _TOKENS):
        raise S3Error(Code.INVALID_TOKEN, "a session token beside a form")
    unsigned = [name for name in headers if name.startswith(b"x-amz-")]
    if unsigned:
        shown = ", ".join(sorted(name.decode("latin-1") for name in unsigned))
        raise S3Error(
            Code.ACCESS_DENIED,
            f"not signed: {shown}",
            message="There were headers present in the request which were not signed",
            extra=(("HeadersNotSigned", shown),),
        )
    for name in _UNSUPPORTED:
        if name in headers:
            shown = name.decode()
            raise S3Error(
                Code.NOT_IMPLEMENTED,
                f"header {shown} on a form",
                message=f"A header you provided implies functionality that is not implemented: {shown}.",
                extra=(("Header", shown),),
            )


def admit_form(
    form: FormRequest, fields: Mapping[bytes, bytes], filename: bytes | None, lookups: Lookups, now: float, rules: Rules
) -> AdmittedForm:
    """fields → Claim → AccessKey → Authenticated → PostPolicy → S3Request of the upload → Authorized, or the S3Error
    that refuses it.

    `fields`, `filename`: as `FormReader` has them once the file has begun. `now`: Unix seconds. What a field says is
    read only after the signature held, but for the claim.
    """
    request = form.request
    claim = read_post_claim(fields, rules.claim)
    check_time(claim, now)
    try:
        known = lookups.find(claim.access_key_id, claim.date)
        authenticated = authenticate(request, claim, known, now, rules.dummy_date_key)
    except KeystoreError as error:
        raise passed_on(error) from None
    policy = read_policy(claim.policy)
    expanded = expand(fields, filename)
    if claim.form is Form.POST_V2 and policy.expiration > now + MAX_EXPIRES:
        raise S3Error(Code.INVALID_POLICY_DOCUMENT, "a SigV2 form for more than seven days", message=_TOO_LONG)
    length_range = check(policy, expanded, request.bucket, now)
    object_key = object_key_of(expanded, dot_segments=rules.addressing.dot_segments)
    upload = _upload(request, object_key, as_put_headers(expanded))
    try:
        authorized = authorize_holder(as_upload(authenticated, upload), lookups, rules)
    except KeystoreError as error:
        raise passed_on(error) from None
    return AdmittedForm(authorized, length_range, read_success(expanded))


def _upload(form: S3Request, object_key: bytes, headers: Mapping[bytes, bytes]) -> S3Request:
    """The PutObject: of the form's head it has the Host and nothing else, of its fields those that are headers."""
    upload = S3Request()
    upload.method = b"PUT"
    written = encode(object_key, keep_slash=True)
    path = b"/" + written if form.virtual_hosted else b"/%b/%b" % (form.bucket.encode(), written)
    upload.raw_path = upload.canonical_path = path
    upload.raw_query = b""
    upload.query = {}
    upload.hoisted = NOTHING_HOISTED
    upload.headers = upload.all_headers = {b"host": form.headers[b"host"], **headers}
    upload.names = HeaderNames(tuple(upload.headers))  # remembered by nobody: strangers choose these names
    upload.http_minor = form.http_minor
    upload.bucket = form.bucket
    upload.object_key = object_key
    upload.virtual_hosted = form.virtual_hosted
    upload.source = form.source
    upload.trace = form.trace
    return upload


def form_payload(
    admitted: AdmittedForm, reader: FormReader, begun: list[Block], content_length: int | None, held: int
) -> PayloadReader:
    """The file as a payload; `begun`: pieces of it that came with the last of the fields, to be had by `feed(b"")`.

    `content_length`: of the whole body, None in chunked coding. `held`: bytes of a file that may wait until they are
    all here; of such a one `length` is None. A larger file must be the last field: its length is promised to the store.
    S3Error for what its fields declare wrongly of the file; ENTITY_TOO_LARGE, ENTITY_TOO_SMALL where its size is known.
    """
    authorized, length_range, _ = admitted
    size = None
    if content_length is not None:
        size = reader.size_if_last(content_length)
        if size + LINE_END <= held:
            size = None
        else:
            length_range.check(size)
    verifier = body_verifier(authorized.request, authorized.authenticated.payload, checksum_in_headers=True)
    return PayloadReader(verifier, size, FormFile(reader, begun, length_range, size))
