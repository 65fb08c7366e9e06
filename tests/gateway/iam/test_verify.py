"""The numbered steps, each on its own, then the invariant: any change to a signed part is refused."""

import hmac
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.iam.claim import begin
from gateway.iam.errors import IamCode, IamError
from gateway.iam.request import IamRequest, read_headers
from gateway.iam.verify import Proven, proven
from keystore.access_key import AccessKey, KnownKey, Status
from keystore.derived import derive_date_key
from keystore.scope import AllBuckets
from tests.support.iam import NOW, Signing, form

ID, SECRET = "NQAK0123456789abcdef", "0123456789abcdefghijABCDEFGHIJ0123456789"
SIGNING = Signing(ID, SECRET)
BODY = form("GetUser", UserName="app")
REQUEST = SIGNING.request(BODY)


def known_key(secret: str = SECRET, **changed: Any) -> KnownKey:
    fields: dict[str, Any] = {"status": Status.ACTIVE, "created_at": 1, "created_by": "test", **changed}
    record = AccessKey(ID, "default", "test", AllBuckets(), **fields)
    return KnownKey(record, {b"20260921": derive_date_key(secret.encode(), b"20260921")}, lambda text: text)


def verified(request: IamRequest = REQUEST, known: KnownKey | None = None) -> Proven:
    return proven(request, begin(request, NOW), known or known_key(), NOW)


def refused(request: IamRequest = REQUEST, known: KnownKey | None = None) -> IamError:
    with pytest.raises(IamError) as caught:
        verified(request, known)
    return caught.value


def with_header(name: bytes, value: bytes | None) -> IamRequest:
    kept = [one for one in REQUEST.headers if one[0].lower() != name]
    return REQUEST._replace(headers=kept if value is None else [*kept, (name, value)])


def resigned(signed: bytes) -> IamRequest:
    authorization = read_headers(REQUEST)[b"authorization"]
    return with_header(b"authorization", authorization.replace(b"content-type;host;x-amz-date", signed))


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_what_botocore_signs_is_proven_without_a_hash_in_a_header(service: str) -> None:
    request = Signing(ID, SECRET, service).request(BODY)
    assert b"x-amz-content-sha256" not in read_headers(request)
    assert verified(request).access_key.access_key_id == ID


def test_a_hash_in_a_header_is_signed_with_the_rest_and_never_believed() -> None:
    told = {"Content-Type": "application/x-www-form-urlencoded", "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    request = SIGNING.request(BODY, told)
    assert refused(request._replace(body=BODY + b"&x=")).code is IamCode.SIGNATURE_DOES_NOT_MATCH


# ---- (1) ----


@pytest.mark.parametrize(
    "signed",
    [b"content-type;host", b"content-type;x-amz-date", b"host;x-amz-date", b"content-type;host;via;x-amz-date"],
)
def test_host_date_and_content_type_must_be_signed_and_nothing_that_is_not_there(signed: bytes) -> None:
    assert refused(resigned(signed)).code is IamCode.SIGNATURE_DOES_NOT_MATCH


def test_an_amz_header_that_is_not_signed_is_refused() -> None:
    assert "not signed" in refused(with_header(b"x-amz-target", b"a")).message


def test_a_header_of_a_proxy_may_come_unsigned() -> None:
    assert verified(with_header(b"x-forwarded-for", b"10.0.0.1"))


# ---- (2), (3) ----


def test_a_wrong_secret_is_a_bad_signature_which_is_not_told() -> None:
    error = refused(known=known_key("another" * 5))
    assert error.code is IamCode.SIGNATURE_DOES_NOT_MATCH
    right = read_headers(REQUEST)[b"authorization"][-64:].decode()
    assert right not in str(error)


def test_an_unknown_id_costs_the_same_hmac_and_is_never_proven() -> None:
    begun = begin(REQUEST, NOW)
    counted: list[int] = []
    digest = hmac.digest

    def counting(*arguments: Any) -> bytes:
        counted.append(1)
        return digest(*arguments)

    costs = []
    for known in (known_key(), None):
        counted.clear()
        with patch("hmac.digest", counting):
            try:
                proven(REQUEST, begun, known, NOW)
            except IamError as error:
                assert (known, error.code) == (None, IamCode.INVALID_CLIENT_TOKEN_ID)  # noqa: PT017 – one of two ways
        costs.append(len(counted))
    assert costs[0] == costs[1] == 4


def test_a_signature_by_nobodys_key_proves_nothing() -> None:
    """What an unknown id is compared with is no secret: who computes it is still nobody."""
    nobodys = patch("gateway.iam.verify._NOBODYS_DATE_KEY", derive_date_key(SECRET.encode(), b"20260921"))
    with nobodys, pytest.raises(IamError) as caught:
        proven(REQUEST, begin(REQUEST, NOW), None, NOW)
    assert caught.value.code is IamCode.INVALID_CLIENT_TOKEN_ID


def test_the_comparison_takes_the_same_time_wherever_signatures_differ() -> None:
    with patch("hmac.compare_digest", return_value=False) as compared:
        refused()
    compared.assert_called_once()


# ---- (4) ----

OVER = [
    ({"status": Status.REVOKED}, "has been revoked"),
    ({"expires_at": NOW}, "has expired"),
    ({"not_before": NOW + 1}, "is not valid yet"),
]


@pytest.mark.parametrize(("changed", "said"), OVER)
def test_why_a_key_is_over_is_said_to_its_holder_only(changed: dict[str, Any], said: str) -> None:
    error = refused(known=known_key(**changed))
    assert (error.code, said in error.message) == (IamCode.INVALID_CLIENT_TOKEN_ID, True)
    generic = refused(known=known_key("another" * 5, **changed))
    assert (generic.code, said in generic.message) == (IamCode.INVALID_CLIENT_TOKEN_ID, False)


def test_a_key_is_good_from_its_networks_only() -> None:
    here, elsewhere = known_key(source_cidrs=("192.0.2.0/24",)), known_key(source_cidrs=("10.0.0.0/8",))
    assert verified(known=here)
    assert refused(known=elsewhere).code is IamCode.ACCESS_DENIED
    assert refused(REQUEST._replace(source=""), here).code is IamCode.ACCESS_DENIED


# ---- the invariant ----


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_a_body_changed_in_one_byte_is_refused(place: int, by: int) -> None:
    changed = BODY[:place] + bytes([BODY[place] ^ by]) + BODY[place + 1 :]
    assert refused(REQUEST._replace(body=changed)).code is IamCode.SIGNATURE_DOES_NOT_MATCH


@pytest.mark.parametrize(
    "request_",
    [
        with_header(b"host", b"gw.example:9002"),
        with_header(b"content-type", b"application/x-www-form-urlencoded"),
        with_header(b"x-amz-date", b"20260921T141321Z"),
        REQUEST._replace(body=BODY + b"&"),
        REQUEST._replace(body=b""),
        *(
            with_header(b"authorization", read_headers(REQUEST)[b"authorization"].replace(*edit))
            for edit in ((b"/iam/", b"/sts/"), (b"/eu-test-9/", b"/us-east-1/"))
        ),
    ],
)
def test_anything_signed_that_is_changed_is_refused(request_: IamRequest) -> None:
    assert refused(request_).code is IamCode.SIGNATURE_DOES_NOT_MATCH


def test_method_and_path_are_signed_though_there_is_but_one_of_each() -> None:
    begun = begin(REQUEST, NOW)
    for changed in ({"method": b"PUT"}, {"raw_path": b"/x"}):
        with pytest.raises(IamError) as caught:
            proven(REQUEST._replace(**changed), begun, known_key(), NOW)  # type: ignore[arg-type]  # names above
        assert caught.value.code is IamCode.SIGNATURE_DOES_NOT_MATCH


@given(st.binary(min_size=64, max_size=64).map(lambda raw: raw.hex()[:64]))
def test_no_made_up_signature_holds(signature: str) -> None:
    authorization = read_headers(REQUEST)[b"authorization"][:-64] + signature.encode()
    assert refused(with_header(b"authorization", authorization)).code is IamCode.SIGNATURE_DOES_NOT_MATCH
