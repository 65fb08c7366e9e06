import pytest

from gateway.s3.errors import Code, S3Error
from gateway.sigv4.signing import UpstreamSigner
from gateway.wire.store_requests import MAX_SIGNERS, Signers
from keystore.derived import StoreCredential, UpstreamCredential
from keystore.errors import KeystoreUnavailable

GATEWAYS = UpstreamSigner(UpstreamCredential("AKIAGATEWAY", "the gateway's secret"), b"eu")


def test_an_account_without_a_credential_asks_as_the_gateway() -> None:
    signers = Signers(GATEWAYS, lambda account: None, b"eu")
    assert signers.of("default") is GATEWAYS
    assert signers.own_id_of("default") == ""


def test_an_account_that_brought_one_keeps_its_signer_until_it_brings_another() -> None:
    brought: dict[str, StoreCredential] = {"a": UpstreamCredential("AKIAONE", "one")}
    signers = Signers(GATEWAYS, brought.get, b"eu")
    first = signers.of("a")
    assert first is not GATEWAYS
    assert signers.of("a") is first
    assert signers.own_id_of("a") == "AKIAONE"
    brought["a"] = UpstreamCredential("AKIATWO", "two")
    assert signers.of("a") is not first
    assert signers.own_id_of("a") == "AKIATWO"
    del brought["a"]
    assert signers.of("a") is GATEWAYS


def test_a_keystore_that_cannot_answer_signs_for_nobody() -> None:
    def gone(account: str) -> StoreCredential | None:
        raise KeystoreUnavailable("the file is gone")

    with pytest.raises(S3Error) as refused:
        Signers(GATEWAYS, gone, b"eu").of("a")
    assert refused.value.code is Code.SERVICE_UNAVAILABLE


def test_signers_are_bounded() -> None:
    credential = UpstreamCredential("AKIAONE", "one")
    signers = Signers(GATEWAYS, lambda account: credential, b"eu")
    for number in range(MAX_SIGNERS + 1):
        signers.of(str(number))
    assert signers.own_id_of("0") == ""
    assert signers.own_id_of(str(MAX_SIGNERS)) == "AKIAONE"
