"""What the keystore raises. Knows nobody; the gateway maps these at its border."""

from collections.abc import Callable


class KeystoreError(Exception):
    """Any failure of the keystore. The text says what happened and what to do; it holds no secret."""


class KeystoreUnavailable(KeystoreError):
    """The keystore cannot answer now: unreadable, freshness lost, KEK missing. The S3 side answers 503, never 403."""


class NotKnownYet(KeystoreUnavailable):
    """Somebody else has been asked. `when_told(callback)`: it is called once, later, on the same thread, with what went
    wrong or None; then the same question is answered at once, if nothing has changed meanwhile.

    Who cannot wait treats it as what it is, a keystore that cannot answer now.
    """

    def __init__(self, what: str, when_told: Callable[[Callable[[KeystoreError | None], None]], None]) -> None:
        super().__init__(f"{what} is not known yet")
        self.when_told = when_told


class RecordRefused(KeystoreUnavailable):
    """A stored record failed its MAC, its seal or a cross-check. It is reported and never served."""


class WrongKek(KeystoreUnavailable):
    """The loaded key-encryption key is not the one this keystore was sealed with."""


class NotFound(KeystoreError):
    """No such access key, account or bucket claim."""


class Conflict(KeystoreError):
    """The record is not in a state that allows this, or the name is taken."""


class Outdated(Conflict):
    """The record is of another version than whoever changes it has seen."""


class Repeated(Conflict):
    """The request was done before. `access_key_id`: of the key it made, which may be gone since. `same`: whether it
    asked for the same."""

    def __init__(self, access_key_id: str, *, same: bool) -> None:
        super().__init__(f"this request has made the access key {access_key_id} already")
        self.access_key_id = access_key_id
        self.same = same


class InvalidInput(KeystoreError, ValueError):
    """A label, scope, time or name that the rules do not allow."""


class WentBack(KeystoreUnavailable):
    """The keystore is not what it was: an older copy, a fork, or another one. `nqgate keystore adopt` accepts it."""


class MarkUnreadable(KeystoreUnavailable):
    """The file that remembers how far the keystore had come says nothing that can be understood."""
