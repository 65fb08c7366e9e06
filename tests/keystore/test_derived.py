import pickle

import pytest

from keystore.derived import DaysKeys, UpstreamCredential, derive_date_key, derive_signing_key
from keystore.errors import KeystoreUnavailable

SECRET = "the store's secret"
TODAY = b"20260921"
OWN = UpstreamCredential("AKIASTORE", SECRET)


def test_the_date_key_and_the_signing_key_are_aws_s() -> None:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-examples.html
    date_key = derive_date_key(b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", b"20150830")
    signing_key = derive_signing_key(date_key, b"us-east-1", b"iam")
    assert signing_key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_a_credential_signs_for_s3() -> None:
    assert OWN.signing_key(TODAY, b"eu") == derive_signing_key(derive_date_key(SECRET.encode(), TODAY), b"eu", b"s3")


def test_the_keys_of_some_days_sign_on_those_days_in_their_region_only() -> None:
    handed = DaysKeys("AKIASTORE", b"eu", {TODAY: OWN.signing_key(TODAY, b"eu")})
    assert handed.signing_key(TODAY, b"eu") == OWN.signing_key(TODAY, b"eu")
    for date, region in ((b"20260922", b"eu"), (TODAY, b"us")):
        with pytest.raises(KeystoreUnavailable):
            handed.signing_key(date, region)


@pytest.mark.parametrize("credential", [OWN, DaysKeys("AKIASTORE", b"eu", {TODAY: b"k" * 32})])
def test_a_credential_cannot_be_printed_or_pickled(credential: object) -> None:
    for shown in (repr(credential), str(credential), f"{credential}"):
        assert "AKIASTORE" in shown
        assert SECRET not in shown
        assert "kkk" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(credential)
