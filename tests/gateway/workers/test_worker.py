"""The parts of a worker that need no process; what it does as one: test_supervisor."""

import pytest

from gateway.workers.worker import RenewedKeys
from keystore.derived import DaysKeys
from keystore.errors import KeystoreUnavailable


def test_keys_towards_the_store_are_renewed_under_the_signer_that_has_them() -> None:
    own = RenewedKeys(DaysKeys("AKIASTORE", b"eu", {b"20260921": b"a" * 32}))
    assert own.signing_key(b"20260921", b"eu") == b"a" * 32
    with pytest.raises(KeystoreUnavailable):
        own.signing_key(b"20260924", b"eu")
    own.keys = DaysKeys("AKIASTORE", b"eu", {b"20260924": b"b" * 32})
    assert own.signing_key(b"20260924", b"eu") == b"b" * 32
    assert own.access_key_id == "AKIASTORE"
