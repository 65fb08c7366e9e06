"""Is the request what the holder of the secret signed? The one place where an `Authenticated` is built.

The caller has read the claim and checked its time, and looked the access key up. What is left, in this order, each
step with its number in the code: (1) what must be signed is signed, (2) the signature, computed for unknown keys too,
(3) the key exists, (4) the signature holds, (5) the key is usable now, (6) the payload mode.
The caller MUST still authorize the operation and verify the body. Of an upload form only its policy is signed: what it
allows MUST be checked against every field before the form is taken for the upload it asks for (`as_upload`).
"""

import base64
import hmac
from typing import Final

from gateway.payload.mode import SIGNED_CHUNKS, UNFRAMED, Payload, PayloadMode, read_payload
from gateway.s3.errors import Code, S3Error
from gateway.s3.request import S3Request
from gateway.sigv4.canonical import Layout, canonical_block, canonical_query, canonical_request, layout, string_to_sign
from gateway.sigv4.presigned_v2 import is_hoisted_v2, string_to_sign_v2
from gateway.sigv4.signing import keyed_hmac
from gateway.sigv4.terms import Claim, Form
from keystore.access_key import AccessKey, Keyed, KnownKey, Status
from keystore.derived import derive_signing_key

MAX_KEYED: Final = 2  # per access key, 1.1 KB each: two days or two regions; more are derived again, which is 5 µs
_ACTIVE: Final = Status.ACTIVE  # an enum's member costs 0.08 µs each time it is looked up in its class
_PRESIGNED_V2: Final = Form.PRESIGNED_V2
_HEADER: Final = Form.HEADER
_POST: Final = Form.POST
_POST_V2: Final = Form.POST_V2
_UNSIGNED_BY_RULE: Final = b"x-amz-content-sha256"  # its value is the payload line, and so signed anyway
_QUERY_AUTH: Final = frozenset(
    b"x-amz-algorithm x-amz-credential x-amz-date x-amz-expires x-amz-signedheaders x-amz-signature "
    b"x-amz-content-sha256 x-amz-security-token".split()
)


class Authenticated:
    """Proof that an access key, usable `at` that Unix second, signed this request. Built only by `authenticate`.

    `keyed`: HMAC-SHA256 with the request's signing key, only where chunks are signed with it too.
    """

    __slots__ = ("access_key", "at", "claim", "keyed", "payload", "request")

    def __init__(
        self,
        request: S3Request,
        claim: Claim,
        access_key: AccessKey,
        payload: Payload,
        at: float = 0.0,
        keyed: Keyed | None = None,
    ) -> None:
        self.request = request
        self.claim = claim
        self.access_key = access_key
        self.payload = payload
        self.at = at
        self.keyed = keyed


def authenticate(
    request: S3Request, claim: Claim, known: KnownKey | None, now: float, dummy_date_key: bytes
) -> Authenticated:
    """`known`: the record looked up for the claim's id and date, None when there is none. `now`: Unix seconds.
    `dummy_date_key`: 32 bytes that no key has, so that an unknown id costs what a known one costs.

    S3Error ACCESS_DENIED (HeadersNotSigned), SIGNATURE_DOES_NOT_MATCH, INVALID_ACCESS_KEY_ID, and those of the payload
    mode.
    """
    # (1) what must be signed is signed; (2) the signature
    form = claim.form
    in_post = form is _POST or form is _POST_V2
    compare = _compare_post if in_post else _compare_v2 if form is _PRESIGNED_V2 else _compare
    holds, canonical, text = compare(request, claim, known, dummy_date_key)
    # (3) the key exists: the generic answer, which a revoked key with a bad signature gets too
    if known is None:
        raise _unknown(claim)
    access_key = known.access_key
    ended = unusable(access_key, now)
    # (4) the signature holds
    if not holds:
        if ended:
            reason = f"{claim.access_key_id} {ended}, bad signature"
            raise _about(access_key, S3Error(Code.INVALID_ACCESS_KEY_ID, reason, extra=_named(claim)))
        raise _about(access_key, _mismatch(claim, canonical, text))
    # (5) the key is usable now
    if ended:
        raise _about(access_key, _ended(request, claim, ended))
    # (6) the payload mode
    payload = read_payload(claim.payload_line)
    keyed = None
    if form is not _HEADER:
        payload = _promised(request, claim, payload)
        if request.query:
            _hoist(request, claim)
    elif payload.mode in SIGNED_CHUNKS:
        keyed = known.keyed[claim.scope]
    return Authenticated(request, claim, access_key, payload, now, keyed)


def renewed(authenticated: Authenticated, access_key: AccessKey | None) -> Authenticated:
    """The same proof under the record as it is now, as of when the request came. The signature that held holds, for a
    record has the same secret all its life.

    S3Error INVALID_ACCESS_KEY_ID when there is none any more, it may not be used, or it has another secret after all. A
    key that was revoked and drains lets what had been admitted finish.
    """
    claim = authenticated.claim
    if access_key is None or access_key.secret_version != authenticated.access_key.secret_version:
        raise _unknown(claim)
    ended = "" if access_key.drains else unusable(access_key, authenticated.at)
    if ended:
        raise _about(access_key, _ended(authenticated.request, claim, ended))
    again = authenticated
    return Authenticated(again.request, claim, access_key, again.payload, again.at, again.keyed)


def as_upload(form: Authenticated, upload: S3Request) -> Authenticated:
    """The same proof, for the PutObject that a form asks for. The caller MUST have checked the form against its policy.

    ValueError where `form` is none, or `upload` is more than a PUT of one object into the same bucket.
    """
    put = upload.method == b"PUT" and upload.object_key and not upload.query
    if form.claim.form not in (Form.POST, Form.POST_V2) or not put or upload.bucket != form.request.bucket:
        raise ValueError("not the upload of a form")
    return Authenticated(upload, form.claim, form.access_key, form.payload, form.at)


def _about(access_key: AccessKey, error: S3Error) -> S3Error:
    error.named, error.account = access_key.access_key_id, access_key.account
    return error


def _unknown(claim: Claim) -> S3Error:
    error = S3Error(Code.INVALID_ACCESS_KEY_ID, f"unknown access key {claim.access_key_id}", extra=_named(claim))
    error.named = claim.access_key_id
    return error


def _ended(request: S3Request, claim: Claim, ended: str) -> S3Error:
    """Said only to who has proven to hold the secret."""
    error = S3Error(
        Code.INVALID_ACCESS_KEY_ID,
        f"{claim.access_key_id} {ended}",
        message=f"The access key you provided {ended}.",
        extra=_named(claim),
    )
    error.holder, error.bucket = claim.access_key_id, request.bucket
    return error


def _named(claim: Claim) -> tuple[tuple[str, str], ...]:
    return (("AWSAccessKeyId", claim.access_key_id),)


# ---- (1) ----


def _signed(request: S3Request, claim: Claim) -> Layout:
    """How the signed headers were written, when all is signed that must be: concluded once for names and list."""
    names, listed = request.names, claim.signed_headers
    check_signed_headers(names.lowered, listed)
    written = layout(listed, listed)
    names.remember(listed, written)
    return written


def check_signed_headers(names: tuple[bytes, ...], listed: tuple[bytes, ...]) -> None:
    """`host` and every x-amz-* header present; and nothing may be listed that is not there. Content-Type need not be
    signed: minio-go's streaming signer leaves it out. `names`: what came as a header; hoisted parameters are signed
    with the query. S3Error ACCESS_DENIED or SIGNATURE_DOES_NOT_MATCH."""
    unsigned = set(names).difference(listed)
    unsigned.discard(_UNSIGNED_BY_RULE)
    missing = [name for name in unsigned if name.startswith(b"x-amz-") and _counts(name)]
    if b"host" not in listed:
        missing.append(b"host")
    if missing:
        shown = ", ".join(sorted(name.decode("latin-1") for name in missing))
        raise S3Error(
            Code.ACCESS_DENIED,
            f"not signed: {shown}",
            message="There were headers present in the request which were not signed",
            extra=(("HeadersNotSigned", shown),),
        )
    absent = set(listed).difference(names)
    if absent:
        shown = ", ".join(sorted(name.decode("latin-1") for name in absent))
        raise S3Error(Code.SIGNATURE_DOES_NOT_MATCH, f"signed headers that are not there: {shown}")


def _counts(name: bytes) -> bool:
    """Names with `_` are not there at all, metadata excepted."""
    return b"_" not in name or name.startswith(b"x-amz-meta-")


# ---- (2) ----


def _compare(
    request: S3Request, claim: Claim, known: KnownKey | None, dummy_date_key: bytes
) -> tuple[bool, bytes, bytes]:
    query = canonical_query(request.query, without=b"X-Amz-Signature") if request.query else b""
    written = request.names.memo.get(claim.signed_headers) or _signed(request, claim)
    block = canonical_block(written, request.all_headers)
    canonical = canonical_request(request.method, request.canonical_path, query, block, claim.payload_line)
    text = string_to_sign(claim.timestamp, claim.scope, canonical)
    keyed = known.keyed.get(claim.scope) if known is not None else None
    derived = keyed is None
    if keyed is None:
        date_key = known.date_keys[claim.date] if known is not None else dummy_date_key
        keyed = keyed_hmac(derive_signing_key(date_key, claim.region, claim.service))
    mac = keyed.copy()
    mac.update(text)
    holds = hmac.compare_digest(mac.hexdigest().encode(), claim.signature) and known is not None
    if holds and derived and known is not None:
        if len(known.keyed) >= MAX_KEYED:
            known.keyed.clear()
        known.keyed[claim.scope] = keyed
    return holds, canonical, text


def _compare_v2(
    request: S3Request, claim: Claim, known: KnownKey | None, dummy_date_key: bytes
) -> tuple[bool, bytes, bytes]:
    """Its string to sign holds every x-amz-* header there is, so nothing can be left out."""
    text = string_to_sign_v2(request, claim)
    return _holds_v2(text, claim, known, dummy_date_key), b"", text


def _holds_v2(text: bytes, claim: Claim, known: KnownKey | None, dummy_date_key: bytes) -> bool:
    digest = known.hmac_sha1(text) if known is not None else hmac.digest(dummy_date_key, text, "sha1")
    return hmac.compare_digest(base64.b64encode(digest), claim.signature) and known is not None


def _compare_post(
    request: S3Request, claim: Claim, known: KnownKey | None, dummy_date_key: bytes
) -> tuple[bool, bytes, bytes]:
    """The policy is signed, not decoded, not trimmed, no variable replaced; nothing of the request is."""
    if claim.form is _POST_V2:
        return _holds_v2(claim.policy, claim, known, dummy_date_key), b"", claim.policy
    date_key = known.date_keys[claim.date] if known is not None else dummy_date_key
    signing_key = derive_signing_key(date_key, claim.region, claim.service)
    computed = hmac.digest(signing_key, claim.policy, "sha256").hex().encode()
    holds = hmac.compare_digest(computed, claim.signature) and known is not None
    return holds, b"", claim.policy


def _mismatch(claim: Claim, canonical: bytes, text: bytes) -> S3Error:
    """What the client signed may be shown back to it, if the operator wants that; a signature never."""
    extra = _named(claim)
    if claim.echo:
        extra += (("StringToSign", text.decode("latin-1")), ("CanonicalRequest", canonical.decode("latin-1")))
    error = S3Error(Code.SIGNATURE_DOES_NOT_MATCH, f"bad signature for {claim.access_key_id}", extra=extra)
    error.canonical = canonical
    return error


# ---- (5) ----


def unusable(access_key: AccessKey, now: float) -> str:
    """Why the key may not be used now, as the end of a sentence; "" when not_before ≤ now < expires_at and active."""
    if access_key.status is not _ACTIVE:
        return "has been revoked"
    if access_key.expires_at is not None and now >= access_key.expires_at:
        return "has expired"
    if access_key.not_before is not None and now < access_key.not_before:
        return "is not valid yet"
    return ""


# ---- (6) and what a URL stands for ----


def _promised(request: S3Request, claim: Claim, payload: Payload) -> Payload:
    """A URL may leave the body open and its user still send x-amz-content-sha256: unsigned, but a promise that is held.

    S3Error INVALID_REQUEST when it says that the body comes in chunks, which a URL cannot sign, or another hash.
    """
    sent = request.headers.get(_UNSIGNED_BY_RULE)
    told = payload if sent is None or sent == claim.payload_line else read_payload(sent)
    if told.mode not in UNFRAMED:
        raise S3Error(Code.INVALID_REQUEST, "a chunked payload mode in a presigned URL")
    if payload.sha256 is None:
        return told
    if told.sha256 is not None and told.sha256 != payload.sha256:
        raise S3Error(Code.INVALID_REQUEST, "two hashes of one body")
    return payload


def _hoist(request: S3Request, claim: Claim) -> None:
    """A presigned URL may carry headers as parameters, signed with the query: from here on they are headers.

    S3Error INVALID_REQUEST when the header is there too, with another value.
    """
    is_hoisted = is_hoisted_v2 if claim.form is _PRESIGNED_V2 else _is_hoisted
    names = [name for name in request.query if is_hoisted(name)]
    if not names:
        return
    headers = dict(request.headers)
    for name in names:
        value = request.query[name].strip(b" \t")  # as a header it would arrive so
        if headers.setdefault(name.lower(), value) != value:
            raise S3Error(Code.INVALID_REQUEST, f"{name!r} as header and as parameter")
    request.headers = headers
    request.hoisted = frozenset(names)


def _is_hoisted(name: bytes) -> bool:
    lowered = name.lower()
    return lowered.startswith(b"x-amz-") and lowered not in _QUERY_AUTH


__all__ = ["Authenticated", "PayloadMode", "authenticate"]
