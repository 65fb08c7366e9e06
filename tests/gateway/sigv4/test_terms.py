import pytest

from gateway.s3.errors import Code, S3Error
from gateway.sigv4.terms import check_time
from tests.support.requests import NOW, claimed, header_head, presigned_head, presigned_v2_head


@pytest.mark.parametrize("skew", [-900, -1, 0, 899, 900])
def test_a_clock_within_15_minutes_is_right_enough(skew: int) -> None:
    _, claim = claimed(header_head())
    check_time(claim, NOW + skew)


@pytest.mark.parametrize("skew", [-901, 900.5, 86400])
def test_a_header_signature_expires_with_the_clock(skew: float) -> None:
    _, claim = claimed(header_head())
    with pytest.raises(S3Error) as caught:
        check_time(claim, NOW + skew)
    assert caught.value.code is Code.REQUEST_TIME_TOO_SKEWED
    names = [name for name, _ in caught.value.extra]
    assert names == ["RequestTime", "ServerTime", "MaxAllowedSkewMilliseconds"]


def test_a_presigned_url_is_valid_to_its_last_second() -> None:
    _, claim = claimed(presigned_head(expires=60))
    check_time(claim, NOW + 60)
    check_time(claim, NOW - 900)
    with pytest.raises(S3Error) as caught:
        check_time(claim, NOW + 61)
    assert (caught.value.code, caught.value.message) == (Code.ACCESS_DENIED, "Request has expired")
    assert [name for name, _ in caught.value.extra] == ["X-Amz-Expires", "Expires", "ServerTime"]


def test_a_presigned_url_from_the_future_is_not_yet_valid() -> None:
    _, claim = claimed(presigned_head())
    with pytest.raises(S3Error) as caught:
        check_time(claim, NOW - 901)
    assert caught.value.message == "Request is not yet valid"


def test_a_v2_url_expires_at_its_second_and_lives_seven_days_at_most() -> None:
    _, claim = claimed(presigned_v2_head(expires=60))
    check_time(claim, NOW + 60)
    with pytest.raises(S3Error) as caught:
        check_time(claim, NOW + 61)
    assert caught.value.code is Code.ACCESS_DENIED
    _, claim = claimed(presigned_v2_head(expires=604_801))
    with pytest.raises(S3Error) as caught:
        check_time(claim, NOW)
    assert caught.value.code is Code.AUTHORIZATION_QUERY_PARAMETERS_ERROR
