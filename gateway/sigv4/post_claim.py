"""What an upload form claims about itself. Syntax only; nothing is believed yet.

The form is signed as a whole by its policy: the string to sign is the base64 text of the field `policy`, exactly as
sent. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
boto3's generate_presigned_post signs with SigV2 by default at any custom endpoint: docs/decisions/client-matrix.md.
"""

from collections.abc import Mapping
from typing import Final, NoReturn

from gateway.s3.errors import Code, S3Error
from gateway.sigv4.canonical import ALGORITHM
from gateway.sigv4.claim import LOWER_HEX, check_scope, read_credential, unix_seconds
from gateway.sigv4.presigned_v2 import ACCESS_KEY_ID
from gateway.sigv4.terms import MAX_EXPIRES, UNSIGNED_PAYLOAD, USE_V4, Claim, ClaimRules, Form
from keystore.access_key import NO_DATE

# Lower case, as a form has them → the spelling S3 uses when one is missing.
_V4: Final = {
    name.lower(): name.decode() for name in b"X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Signature".split()
}
_V2: Final = {b"awsaccesskeyid": "AWSAccessKeyId", b"signature": "Signature"}
_TOKENS: Final = (b"x-amz-security-token", b"x-amz-s3session-token")
_POLICY: Final = b"policy"


def read_post_claim(fields: Mapping[bytes, bytes], rules: ClaimRules) -> Claim:
    """`fields`: name in lower case → value as sent. That no other mechanism is used beside the form is for the caller
    to see: neither Authorization nor signature parameters of the query. The claim is good for seven days from its date,
    as its signing key is; the policy may end sooner. A SigV2 form has no date: its policy must end within seven days.

    S3Error ACCESS_DENIED (no credentials), INVALID_REQUEST (SigV2 where it is off, or both), INVALID_TOKEN,
    INVALID_ACCESS_KEY_ID, INVALID_ARGUMENT (a field is missing or malformed, or of another region).
    """
    if any(name in fields for name in _TOKENS):
        raise S3Error(Code.INVALID_TOKEN, "a session token in a form")
    in_v4 = any(name in fields for name in _V4)
    if any(name in fields for name in _V2):
        if in_v4 or not rules.sigv2_presigned:
            raise S3Error(Code.INVALID_REQUEST, "a SigV2 form", message=USE_V4)
        return _read_v2(fields, rules)
    if not in_v4:
        raise S3Error(Code.ACCESS_DENIED, "a form without credentials")
    _require(fields, {**_V4, _POLICY: "Policy"})
    if fields[b"x-amz-algorithm"] != ALGORITHM:
        _malformed('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    access_key_id, date, region, service, scope = read_credential(fields[b"x-amz-credential"], _malformed)
    check_scope(region, service, rules, _malformed)
    timestamp = fields[b"x-amz-date"]
    issued_at = unix_seconds(timestamp) if len(timestamp) == 16 else -1
    if issued_at < 0:
        _malformed("X-Amz-Date must be in the ISO8601 long format yyyyMMdd'T'HHmmss'Z'")
    if timestamp[:8] != date:
        _malformed("the date in the credential scope is not the date of the form")
    signature = fields[b"x-amz-signature"]
    if len(signature) != 64 or signature.translate(None, LOWER_HEX):
        _malformed("X-Amz-Signature is not 64 lower-case hex digits")
    return Claim(
        Form.POST,
        access_key_id,
        date,
        region,
        service,
        scope,
        (),
        signature,
        timestamp,
        issued_at,
        MAX_EXPIRES,
        UNSIGNED_PAYLOAD,
        rules.echo,
        fields[_POLICY],
    )


def _read_v2(fields: Mapping[bytes, bytes], rules: ClaimRules) -> Claim:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/HTTPPOSTForms.html (SigV2)"""
    _require(fields, {**_V2, _POLICY: "Policy"})
    access_key_id = fields[b"awsaccesskeyid"]
    if not ACCESS_KEY_ID.match(access_key_id):
        raise S3Error(Code.INVALID_ACCESS_KEY_ID, "an access key id that none can have")
    return Claim(
        Form.POST_V2,
        access_key_id.decode("ascii"),
        NO_DATE,
        b"",
        b"s3",
        b"",
        (),
        fields[b"signature"],
        b"",
        0,
        MAX_EXPIRES,
        UNSIGNED_PAYLOAD,
        rules.echo,
        fields[_POLICY],
    )


def _require(fields: Mapping[bytes, bytes], names: Mapping[bytes, str]) -> None:
    for name, shown in names.items():
        if name not in fields:
            raise S3Error(
                Code.INVALID_ARGUMENT,
                f"a form without {shown}",
                message=f"Bucket POST must contain a field named '{shown}'. If it is specified, please check the order "
                "of the fields.",
                extra=(("ArgumentName", shown), ("ArgumentValue", "")),
            )


def _malformed(reason: str, *extra: tuple[str, str]) -> NoReturn:
    raise S3Error(
        Code.INVALID_ARGUMENT,
        reason,
        message=f"Error parsing the signature fields of the form; {reason}.",
        extra=extra,
    )
