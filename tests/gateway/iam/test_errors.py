from gateway.iam.errors import IamCode, IamError


def test_codes_have_the_status_that_aws_gives_them() -> None:
    told = {code.wire_name: code.status for code in IamCode}
    assert told["NoSuchEntity"] == 404
    assert (told["LimitExceeded"], told["ConcurrentModification"]) == (409, 409)
    assert (told["InvalidClientTokenId"], told["SignatureDoesNotMatch"], told["AccessDenied"]) == (403, 403, 403)
    assert (told["ValidationError"], told["InvalidAction"]) == (400, 400)
    assert len(told) == len(IamCode)


def test_an_error_says_what_the_client_is_told() -> None:
    assert str(IamError(IamCode.NO_SUCH_ENTITY, "gone")) == "NoSuchEntity: gone"
