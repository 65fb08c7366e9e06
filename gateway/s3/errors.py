"""The S3 error table: every answer the gateway itself can give, and the exception that carries it.

Knows nobody. `code` is for the client, `reason` for the operator's log; neither ever holds a secret, a signature
or an Authorization value.
"""

from enum import Enum


class Code(Enum):
    """One member per wire code: (name on the wire, HTTP status, default message)."""

    ACCESS_DENIED = ("AccessDenied", 403, "Access Denied.")
    AUTHORIZATION_HEADER_MALFORMED = (
        "AuthorizationHeaderMalformed",
        400,
        "The authorization header that you provided is not valid.",
    )
    AUTHORIZATION_QUERY_PARAMETERS_ERROR = (
        "AuthorizationQueryParametersError",
        400,
        "Error parsing the authorization query parameters.",
    )
    BAD_DIGEST = ("BadDigest", 400, "The digest you specified did not match what was received.")
    BAD_REQUEST = ("BadRequest", 400, "The request is not valid HTTP/1.1.")
    BUCKET_ALREADY_EXISTS = (
        "BucketAlreadyExists",
        409,
        "The requested bucket name is not available. Please select a different name and try again.",
    )
    BUCKET_ALREADY_OWNED_BY_YOU = (
        "BucketAlreadyOwnedByYou",
        409,
        "The bucket that you tried to create already exists, and you own it.",
    )
    ENTITY_TOO_LARGE = ("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size.")
    ENTITY_TOO_SMALL = ("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size.")
    EXPECTATION_FAILED = ("ExpectationFailed", 417, "The only expectation supported is 100-continue.")
    INCOMPLETE_BODY = (
        "IncompleteBody",
        400,
        "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    )
    INCORRECT_NUMBER_OF_FILES_IN_POST_REQUEST = (
        "IncorrectNumberOfFilesInPostRequest",
        400,
        "POST requires exactly one file upload per request.",
    )
    INTERNAL_ERROR = ("InternalError", 500, "We encountered an internal error. Please try again.")
    INVALID_ACCESS_KEY_ID = (
        "InvalidAccessKeyId",
        403,
        "The access key id you provided does not exist in our records or is no longer valid.",
    )
    INVALID_ARGUMENT = ("InvalidArgument", 400, "Invalid argument.")
    INVALID_BUCKET_NAME = ("InvalidBucketName", 400, "The specified bucket is not valid.")
    INVALID_DIGEST = ("InvalidDigest", 400, "The Content-MD5 you specified is not valid.")
    INVALID_POLICY_DOCUMENT = ("InvalidPolicyDocument", 400, "The POST policy is not valid.")
    INVALID_REQUEST = ("InvalidRequest", 400, "Invalid request.")
    INVALID_TOKEN = ("InvalidToken", 400, "Session tokens are not accepted here.")
    INVALID_URI = ("InvalidURI", 400, "Could not parse the specified URI.")
    KEY_TOO_LONG = ("KeyTooLongError", 400, "Your object key is too long: at most 1024 bytes.")
    MALFORMED_POST_REQUEST = (
        "MalformedPOSTRequest",
        400,
        "The body of your POST request is not well-formed multipart/form-data.",
    )
    MALFORMED_TRAILER_ERROR = (
        "MalformedTrailerError",
        400,
        "The trailers of the request body are missing, were not announced, or are not well-formed.",
    )
    MALFORMED_XML = (
        "MalformedXML",
        400,
        "The XML you provided was not well-formed or did not validate against our published schema.",
    )
    MAX_POST_PRE_DATA_LENGTH_EXCEEDED = (
        "MaxPostPreDataLengthExceededError",
        400,
        "Your POST request fields preceding the upload file were too large.",
    )
    METHOD_NOT_ALLOWED = ("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
    MISSING_CONTENT_LENGTH = ("MissingContentLength", 411, "You must provide the Content-Length HTTP header.")
    NOT_IMPLEMENTED = (
        "NotImplemented",
        501,
        "A header, parameter or operation you provided implies functionality that is not implemented.",
    )
    REQUEST_HEADER_SECTION_TOO_LARGE = (
        "RequestHeaderSectionTooLarge",
        400,
        "Your request header section exceeds the maximum allowed size.",
    )
    REQUEST_IS_NOT_MULTI_PART_CONTENT = (
        "RequestIsNotMultiPartContent",
        412,
        "A bucket POST request must be of the enclosure-type multipart/form-data.",
    )
    REQUEST_TIMEOUT = (
        "RequestTimeout",
        400,
        "Your socket connection to the server was not read from or written to within the timeout period.",
    )
    REQUEST_TIME_TOO_SKEWED = (
        "RequestTimeTooSkewed",
        403,
        "The difference between the request time and the current time is too large.",
    )
    SERVICE_UNAVAILABLE = ("ServiceUnavailable", 503, "Service is unable to handle the request; please retry.")
    SIGNATURE_DOES_NOT_MATCH = (
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. "
        "Check your secret access key and signing method.",
    )
    SLOW_DOWN = ("SlowDown", 503, "Please reduce your request rate.")
    USER_KEY_MUST_BE_SPECIFIED = (
        "UserKeyMustBeSpecified",
        400,
        "Bucket POST must contain a field named 'key'. If it is specified, please check the order of the fields.",
    )
    XAMZ_CONTENT_SHA256_MISMATCH = (
        "XAmzContentSHA256Mismatch",
        400,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )

    __hash__ = object.__hash__  # members are singletons; Enum's own is a Python call in every look-up

    def __init__(self, wire_name: str, status: int, message: str) -> None:
        self.wire_name = wire_name
        self.status = status
        self.message = message


class S3Error(Exception):
    """A refusal with a documented answer.

    `reason` says to the operator which rule refused (no secret, no signature). `message` replaces the table's text
    for the client. `extra` are further elements of the error document, in order: (element name, text).
    `retry_after` in seconds adds a Retry-After header. `holder`: the access key id of a request whose signature held,
    `operation` and `bucket` what it asked; "" while nobody has proven anything. For the operator alone: `named`, the
    access key id that was claimed; `account`, whose key that is; `canonical`, the canonical request where the
    signature did not hold.
    """

    holder = ""
    operation = ""
    bucket = ""
    named = ""
    account = ""
    canonical = b""

    def __init__(
        self,
        code: Code,
        reason: str = "",
        *,
        message: str | None = None,
        extra: tuple[tuple[str, str], ...] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason or message or code.message
        self.message = message or code.message
        self.extra = extra
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code.wire_name}: {self.reason}"
