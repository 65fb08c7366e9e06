"""The whole way, from bytes to bytes: the order of the checks, the shape of refusals, and what is never said."""

import logging
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from gateway.iam.answer import ACTIONS, answer
from gateway.iam.request import MAX_BODY
from keystore.access_key import RevokeReason
from keystore.errors import KeystoreUnavailable
from keystore.scope import AllBuckets, NoBuckets
from tests.support.iam import NOW, IamHouse, Signing, form, read


async def test_an_answer_is_xml_that_nobody_keeps(house: IamHouse) -> None:
    signing = replace(await house.issue("app", NoBuckets()), service="sts")
    answered = await answer(signing.request(form("GetCallerIdentity", "sts")), house.acts, house.store, NOW)
    headers = dict(answered.headers)
    assert (headers[b"content-type"], headers[b"cache-control"]) == (b"text/xml", b"no-store")
    request_id = headers[b"x-amzn-requestid"]
    assert b"<RequestId>%b</RequestId>" % request_id in answered.body
    assert answered.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<GetCallerIdentityResponse xmlns=')


@pytest.mark.parametrize(
    ("service", "body"),
    [
        ("iam", form("CreateUser")),
        ("iam", form("AssumeRole")),
        ("iam", form("createaccesskey")),
        ("iam", form("GetCallerIdentity")),
        ("sts", form("ListUsers", "sts")),
        ("iam", b"Action=ListUsers"),
        ("iam", b"Action=ListUsers&Version=2011-06-15"),
        ("sts", b"Action=GetCallerIdentity&Version=2010-05-08"),
        ("iam", b"Version=2010-05-08"),
    ],
)
async def test_an_action_that_is_not_there_is_said_so(house: IamHouse, service: str, body: bytes) -> None:
    signing = replace(await house.issue("manager", AllBuckets(), manage_keys=True), service=service)
    refused = await house.send(signing.request(body))
    assert (refused.status, refused.code) == (400, "InvalidAction")


async def test_a_parameter_that_is_not_known_is_refused_for_it_could_be_a_limit(house: IamHouse) -> None:
    signing = await house.issue("manager", AllBuckets(), manage_keys=True)
    refused = await house.ask(signing, "ListUsers", PathPrefix="/team/")
    assert (refused.code, "PathPrefix" in refused.message) == ("ValidationError", True)
    assert (await house.ask(signing, "ListUsers", {"nq:label": "a"})).code == "ValidationError"


async def test_an_unknown_key_and_a_bad_signature_are_told_apart_as_for_objects(house: IamHouse) -> None:
    signing = await house.issue("app", NoBuckets())
    unknown = await house.ask(replace(signing, access_key_id="NQAK0000000000000000"), "ListUsers")
    assert (unknown.status, unknown.code) == (403, "InvalidClientTokenId")
    bad = await house.ask(replace(signing, secret="x" * 40), "ListUsers")
    assert (bad.status, bad.code) == (403, "SignatureDoesNotMatch")
    await house.store.revoke_key(signing.access_key_id, RevokeReason.OTHER, "ann")
    over = await house.ask(replace(signing, secret="x" * 40), "ListUsers")
    assert (over.code, over.message) == (unknown.code, unknown.message)
    assert "revoked" in (await house.ask(signing, "ListUsers")).message


async def test_b31_a_signature_for_objects_opens_nothing_here(house: IamHouse) -> None:
    signing = replace(await house.issue("manager", AllBuckets(), manage_keys=True), service="s3")
    refused = await house.send(signing.request(form("ListUsers")))
    assert (refused.status, refused.code) == (403, "SignatureDoesNotMatch")


async def test_a_form_that_is_unsigned_is_not_looked_at(house: IamHouse) -> None:
    """Nothing of the body is parsed before its signature held."""
    request = (await house.issue("app", NoBuckets())).request(form("ListUsers"))
    for body in (b"%zz", b"Action=A&Action=A", bytes(MAX_BODY)):
        with patch("gateway.iam.answer.read_form", side_effect=AssertionError):
            assert (await house.send(request._replace(body=body))).code == "SignatureDoesNotMatch"


async def test_a_clock_that_is_off_is_told_before_anything_is_looked_up(house: IamHouse) -> None:
    request = (await house.issue("app", NoBuckets())).request(form("ListUsers"))
    with patch.object(type(house.store), "known_key", side_effect=AssertionError):
        for now in (NOW - 901, NOW + 901):
            assert (await house.send(request, now)).code == "SignatureDoesNotMatch"


async def test_a_form_beyond_the_bound_is_refused(house: IamHouse) -> None:
    signing = await house.issue("app", NoBuckets())
    assert (await house.send(signing.request(form("A") + bytes(MAX_BODY)))).code == "ValidationError"


async def test_a_keystore_that_cannot_answer_is_503_and_says_no_more(house: IamHouse) -> None:
    signing = await house.issue("manager", AllBuckets(), manage_keys=True)
    for method in ("known_key", "page_keys"):
        with patch.object(type(house.store), method, side_effect=KeystoreUnavailable("/data/keys.db: disk I/O error")):
            refused = await house.ask(signing, "ListUsers")
        assert (refused.status, refused.code, refused.text("Type")) == (503, "ServiceUnavailable", "Receiver")
        assert "keys.db" not in refused.message


@pytest.mark.parametrize(("service", "namespace"), [("iam", b"iam.amazonaws.com"), ("sts", b"sts.amazonaws.com")])
async def test_an_error_speaks_for_the_service_that_was_asked(house: IamHouse, service: str, namespace: bytes) -> None:
    request = Signing("NQAK0000000000000000", "x" * 40, service).request(form("A", service))
    answered = await answer(request, house.acts, house.store, NOW)
    assert b'<ErrorResponse xmlns="https://%b/doc/' % namespace in answered.body
    assert dict(answered.headers)[b"cache-control"] == b"no-store"


async def test_no_log_holds_a_secret_a_signature_or_a_line_of_a_stranger(
    house: IamHouse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "nqgate")
    signing = await house.issue("manager", AllBuckets(), manage_keys=True)
    request = signing.request(form("CreateAccessKey", UserName="app"))
    made = await house.send(request)
    forged = await house.ask(signing, "A\nINFO forged")
    assert forged.code == "InvalidAction"
    signature = dict(request.headers)[b"Authorization"][-64:].decode()
    for hidden in (made.text("SecretAccessKey") or "?", signing.secret, signature, "\nINFO forged"):
        assert hidden not in caplog.text
    assert f"CreateAccessKey by {signing.access_key_id}" in caplog.text


async def test_every_action_is_answered_with_its_own_element(every_house: IamHouse) -> None:
    house = every_house
    signing: Any = await house.issue("manager", AllBuckets(), manage_keys=True)
    for name, action in ACTIONS.items():
        service = "sts" if action.service.version == "2011-06-15" else "iam"
        target = await house.issue("app", NoBuckets())
        said = {"AccessKeyId": target.access_key_id, "UserName": "app", "Status": "Inactive"}
        tags = {"nq:label": "app"} if action.tags else {}
        body = form(name, service, tags, **{one: said[one] for one in action.takes & said.keys()})
        answered = read(await answer(replace(signing, service=service).request(body), house.acts, house.store, NOW))
        assert (answered.status, answered.document.tag) == (200, f"{name}Response"), (name, answered.message)
