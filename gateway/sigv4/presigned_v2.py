"""SigV2 presigned URLs, as boto3 and `aws s3 presign` make them by default at any custom endpoint.

Only for reading and writing one object, only with parameters that this form signs. What boto3 was given as headers it
writes into the query, and signs as the headers that they are. The header form of SigV2 is refused.
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
"""

import re
from typing import Final

from gateway.s3.errors import Code, S3Error
from gateway.s3.request import S3Request
from gateway.sigv4.terms import UNSIGNED_PAYLOAD, USE_V4, Claim, ClaimRules, Form, malformed_query
from keystore.access_key import NO_DATE

NAMES: Final = frozenset({b"AWSAccessKeyId", b"Signature", b"Expires"})
ACCESS_KEY_ID: Final = re.compile(rb"[A-Za-z0-9_-]{3,128}\Z")
_UNIX: Final = re.compile(rb"[0-9]{1,12}\Z")
# What may stand in such a URL beside its own names: everything else would not be signed.
_SIGNED_QUERY: Final = frozenset(
    b"partNumber versionId response-cache-control response-content-disposition "
    b"response-content-encoding response-content-language response-content-type response-expires".split()
)
# Of the claim of another form, or never accepted; and copying is neither reading nor writing one object.
_NOT_HOISTED: Final = frozenset(
    b"x-amz-algorithm x-amz-credential x-amz-date x-amz-expires x-amz-signedheaders x-amz-signature "
    b"x-amz-content-sha256 x-amz-security-token x-amz-copy-source".split()
)
_STANDARD: Final = frozenset({b"content-md5", b"content-type"})
_METHODS: Final = frozenset({b"GET", b"HEAD", b"PUT"})


def read_presigned_v2(request: S3Request, rules: ClaimRules) -> Claim:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#RESTAuthenticationQueryStringAuth"""
    query = request.query
    if not rules.sigv2_presigned:
        raise S3Error(Code.INVALID_REQUEST, "SigV2 presigned is off", message=USE_V4)
    if not query.keys() >= NAMES:
        malformed_query("a SigV2 presigned request must hold AWSAccessKeyId, Signature and Expires")
    if request.method not in _METHODS or not request.object_key or b"x-amz-copy-source" in request.all_headers:
        raise S3Error(Code.INVALID_REQUEST, "SigV2 presigned for another operation", message=USE_V4)
    for name in query.keys() - NAMES:
        if name not in _SIGNED_QUERY and not is_hoisted_v2(name):
            raise S3Error(Code.INVALID_REQUEST, "a query parameter that SigV2 does not sign", message=USE_V4)
    access_key_id, expires = query[b"AWSAccessKeyId"], query[b"Expires"]
    if not ACCESS_KEY_ID.match(access_key_id):
        raise S3Error(Code.INVALID_ACCESS_KEY_ID, "an access key id that none can have")
    if not _UNIX.match(expires):
        malformed_query("Expires must be a number of seconds since 1970")
    return Claim(
        Form.PRESIGNED_V2,
        access_key_id.decode("ascii"),
        NO_DATE,
        b"",
        b"s3",
        b"",
        (),
        query[b"Signature"],
        b"",
        0,
        int(expires),
        UNSIGNED_PAYLOAD,
        rules.echo,
    )


def is_hoisted_v2(name: bytes) -> bool:
    """Whether this query parameter is a header. A header that was sent counts instead; both must say the same."""
    return name in _STANDARD or (name.startswith(b"x-amz-") and name not in _NOT_HOISTED)


def string_to_sign_v2(request: S3Request, claim: Claim) -> bytes:
    """Every x-amz-* header there is stands in it. The resource is the path as received, with the bucket of the Host."""
    headers = request.all_headers
    hoisted = {name: value.strip(b" \t") for name, value in request.query.items() if is_hoisted_v2(name)}
    if hoisted:
        headers = {**hoisted, **headers}
    amz = sorted((name, value) for name, value in headers.items() if name.startswith(b"x-amz-"))
    resource = request.raw_path
    if request.virtual_hosted:
        resource = b"/" + request.bucket.encode() + resource
    signed = sorted(pair for pair in request.query.items() if pair[0] in _SIGNED_QUERY)
    if signed:
        resource += b"?" + b"&".join([b"%b=%b" % pair if pair[1] else pair[0] for pair in signed])
    return b"%b\n%b\n%b\n%d\n%b%b" % (
        request.method,
        headers.get(b"content-md5", b""),
        headers.get(b"content-type", b""),
        claim.expires or 0,
        b"".join([b"%b:%b\n" % header for header in amz]),
        resource,
    )
