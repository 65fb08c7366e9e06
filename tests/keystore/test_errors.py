import pytest

from keystore.errors import KeystoreError, KeystoreUnavailable, MarkUnreadable, RecordRefused, WentBack, WrongKek


@pytest.mark.parametrize("error", [RecordRefused, WrongKek, WentBack, MarkUnreadable])
def test_what_cannot_be_verified_is_unavailable_never_absent(error: type[KeystoreError]) -> None:
    assert issubclass(error, KeystoreUnavailable)
