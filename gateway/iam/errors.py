"""The errors of the IAM and STS query API: code and status as AWS has them, and the exception that carries one.

Knows nobody. https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
"""

from enum import Enum


class IamCode(Enum):
    """(name on the wire, HTTP status)."""

    ACCESS_DENIED = ("AccessDenied", 403)
    CONCURRENT_MODIFICATION = ("ConcurrentModification", 409)
    ENTITY_ALREADY_EXISTS = ("EntityAlreadyExists", 409)
    INCOMPLETE_SIGNATURE = ("IncompleteSignature", 400)
    INVALID_ACTION = ("InvalidAction", 400)
    INVALID_CLIENT_TOKEN_ID = ("InvalidClientTokenId", 403)
    LIMIT_EXCEEDED = ("LimitExceeded", 409)
    MALFORMED_QUERY_STRING = ("MalformedQueryString", 400)
    MISSING_AUTHENTICATION_TOKEN = ("MissingAuthenticationToken", 403)
    NO_SUCH_ENTITY = ("NoSuchEntity", 404)
    SERVICE_UNAVAILABLE = ("ServiceUnavailable", 503)
    SIGNATURE_DOES_NOT_MATCH = ("SignatureDoesNotMatch", 403)
    UNMODIFIABLE_ENTITY = ("UnmodifiableEntity", 400)
    VALIDATION_ERROR = ("ValidationError", 400)

    def __init__(self, wire_name: str, status: int) -> None:
        self.wire_name = wire_name
        self.status = status


class IamError(Exception):
    """A refusal. `message` is for the client; it holds no secret and no signature."""

    def __init__(self, code: IamCode, message: str) -> None:
        super().__init__(f"{code.wire_name}: {message}")
        self.code = code
        self.message = message
