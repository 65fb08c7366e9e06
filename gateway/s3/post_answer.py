"""What a form wants to be answered once its file is stored: an empty reply, a document, or a redirect.

It chooses and writes; what it says comes from the store's reply to the upload.
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

import re
from typing import Final, NamedTuple

from gateway.s3.post_fields import Expanded
from gateway.s3.uri import encode
from gateway.s3.xml import DECLARATION, element

SEE_OTHER: Final = 303
_STATUSES: Final = {b"200": 200, b"201": 201, b"204": 204}
# RFC 3986: http or https, a host, and only characters a URL may hold; so nothing in it ends a header line. A user name
# in front of the host would make it look like another one.
_WEB_ADDRESS: Final = re.compile(
    rb"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%]+)(?::[0-9]{0,5})?"
    rb"(?:[/?#][A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*)?\Z",
    re.IGNORECASE,
)


class Success(NamedTuple):
    """`status`: 200 or 204 without a body, 201 with a `post_response`, 303 with `redirect`, a URL still to be
    completed by `redirect_location`; None otherwise."""

    status: int
    redirect: bytes | None


class Stored(NamedTuple):
    """`location`: the object's URL at this gateway, see `location_of`. `etag`: the store's, quotes included."""

    location: bytes
    bucket: str
    object_key: bytes
    etag: bytes


def read_success(fields: Expanded) -> Success:
    """As the fields ask. A status that is none of the three counts as 204, a redirect that is no web address as
    absent: so says the documentation of both fields. `redirect` is the older name."""
    redirect = fields.get(b"success_action_redirect", fields.get(b"redirect", b""))
    if _WEB_ADDRESS.match(redirect):
        return Success(SEE_OTHER, redirect)
    return Success(_STATUSES.get(fields.get(b"success_action_status", b""), 204), None)


def location_of(bucket_url: bytes, object_key: bytes) -> bytes:
    """`bucket_url`: where the form was posted to, without a final slash. S3 encodes the slashes of the key here."""
    return b"%b/%b" % (bucket_url, encode(object_key, keep_slash=False))


def redirect_location(redirect: bytes, stored: Stored) -> bytes:
    """The redirect with bucket, key and etag added to its query, in front of a fragment."""
    address, hash_sign, fragment = redirect.partition(b"#")
    joint = b"&" if b"?" in address else b"?"
    query = b"bucket=%b&key=%b&etag=%b" % (
        encode(stored.bucket.encode(), keep_slash=False),
        encode(stored.object_key, keep_slash=False),
        encode(stored.etag, keep_slash=False),
    )
    return b"%b%b%b%b%b" % (address, joint, query, hash_sign, fragment)


def post_response(stored: Stored) -> bytes:
    """The document of a 201. S3 writes it without a namespace."""
    location, bucket, object_key, etag = stored
    inside = (
        element("Location", location.decode("ascii", "replace"))
        + element("Bucket", bucket)
        + element("Key", object_key.decode("utf-8", "replace"))
        + element("ETag", etag.decode("ascii", "replace"))
    )
    return f"{DECLARATION}<PostResponse>{inside}</PostResponse>".encode()
