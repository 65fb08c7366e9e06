"""/api/v1 over HTTP, on a real keystore."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.plane import Plane, Rest

ALL = {"type": "all"}
PHOTOS = {"type": "buckets", "buckets": [{"name": "photos", "rights": "read_only", "prefix": "2026/"}]}


async def made(rest: Rest, **said: Any) -> dict[str, Any]:
    reply, answer = await rest.asked("POST", "/keys", {"label": "one", "scope": ALL, **said})
    assert reply.status == 201, answer
    return answer


# ---- who may ----


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/keys"),
        ("POST", "/keys"),
        ("GET", "/keys/x"),
        ("DELETE", "/keys/x"),
        ("GET", "/buckets"),
        ("GET", "/accounts"),
    ],
)
async def test_without_a_token_nothing_is_told(rest: Rest, method: str, path: str) -> None:
    for token in ("", "nqat_000000000000_" + "0" * 40):
        reply, problem = await rest.asked(method, path, token=token)
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
        assert (problem["status"], problem["type"]) == (401, "urn:nqgate:problem:unauthenticated")


async def test_an_owner_sees_and_touches_its_account_alone(rest: Rest, plane: Plane) -> None:
    theirs = await plane.key("of default")
    own = await made(rest, account="acme")
    _, page = await rest.asked("GET", "/keys", token=rest.acme)
    assert [one["access_key_id"] for one in page["keys"]] == [own["access_key_id"]]
    _, none = await rest.asked("GET", "/keys?account=default", token=rest.acme)
    assert none == {"keys": [], "next_cursor": None}
    question = {"access_key_id": theirs, "operation": "GetObject", "bucket": "photos"}
    for method, path, body in (
        ("GET", f"/keys/{theirs}", None),
        ("PATCH", f"/keys/{theirs}", {"label": "mine"}),
        ("DELETE", f"/keys/{theirs}", None),
        ("POST", f"/keys/{theirs}/revoke", {}),
        ("POST", f"/keys/{theirs}/restore", {}),
        ("POST", f"/keys/{theirs}/roll", {}),
        ("GET", f"/keys/{theirs}/events", None),
        ("POST", "/keys/test", question),
    ):
        told = json.dumps([path, body])
        for named in (told, told.replace(theirs, "NQAK0000000000000000")):  # one that is not there answers the same
            reply, problem = await rest.asked(method, *json.loads(named), token=rest.acme)
            assert (reply.status, problem["detail"]) == (404, "there is no access key of that id")
    reply, _ = await rest.asked("POST", "/keys", {"label": "x", "scope": ALL, "account": "default"}, token=rest.acme)
    assert reply.status == 404
    _, accounts = await rest.asked("GET", "/accounts", token=rest.acme)
    assert [one["name"] for one in accounts["accounts"]] == ["acme"]
    _, still = await rest.asked("GET", f"/keys/{theirs}")
    assert (still["status"], still["label"]) == ("active", "of default")


async def test_an_owner_makes_keys_of_its_own_account_without_saying_so(rest: Rest) -> None:
    _, answer = await rest.asked("POST", "/keys", {"label": "x", "scope": ALL}, token=rest.acme)
    assert answer["account"] == "acme"


async def test_the_log_names_token_and_address(rest: Rest) -> None:
    key = await made(rest)
    await rest.asked("POST", f"/keys/{key['access_key_id']}/revoke", {})
    _, told = await rest.asked("GET", f"/keys/{key['access_key_id']}/events")
    assert [one["kind"] for one in told["events"]] == ["key.revoke", "key.create"]
    assert {one["actor"] for one in told["events"]} == {f"token:{rest.operator[5:17]}@127.0.0.1"}


# ---- making ----


async def test_a_key_is_made_as_it_was_asked_for_and_its_secret_is_told_once(rest: Rest) -> None:
    said = {
        "scope": PHOTOS,
        "expires_at": "2030-01-31T12:00:00+02:00",
        "not_before": "2028-01-01T00:00:00Z",
        "source_cidrs": ["10.0.0.0/8"],
        "manage_keys": True,
    }
    key = await made(rest, label="  camera ", **said)
    assert (key["label"], key["scope"], key["expires_at"]) == ("camera", PHOTOS, "2030-01-31T10:00:00Z")
    assert (key["source_cidrs"], key["manage_keys"], key["secret_available"]) == (["10.0.0.0/8"], True, True)
    secret = key["secret_access_key"]
    assert len(secret) == 40
    path = f"/keys/{key['access_key_id']}"
    for asked in (path, "/keys", f"{path}/events", "/buckets", "/accounts"):
        reply, answer = await rest.asked("GET", asked)
        assert reply.status == 200
        assert reply.headers["Cache-Control"] == "no-store"
        assert secret not in json.dumps(answer)
        assert "secret_access_key" not in json.dumps(answer)


async def test_the_answer_with_the_secret_is_stored_by_nobody(rest: Rest) -> None:
    reply, answer = await rest.asked("POST", "/keys", {"label": "x", "scope": ALL})
    assert (reply.status, reply.headers["Cache-Control"]) == (201, "no-store")
    assert reply.headers["Location"] == f"/api/v1/keys/{answer['access_key_id']}"
    assert reply.headers["ETag"] == '"1"'


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({}, "label"),
        ({"label": "x"}, "scope"),
        ({"label": "x", "scope": None}, "scope"),
        ({"label": "x", "scope": {}}, "scope"),
        ({"label": "x", "scope": {"type": "buckets"}}, "scope"),
        ({"label": "x", "scope": {"type": "buckets", "buckets": []}}, "scope"),
        ({"label": "x", "scope": {"type": "buckets", "buckets": [{"name": "Ünïcode"}]}}, "bucket name"),
        ({"label": "x", "scope": {"type": "buckets", "buckets": [{"name": "aaa", "generation": 7}]}}, "generation"),
        ({"label": "x", "scope": {"type": "all", "rights": "root"}}, "rights"),
        ({"label": "x", "scope": ALL, "secret_access_key": "mine"}, "secret_access_key"),
        ({"label": "x", "scope": ALL, "expires_at": 1900000000}, "expires_at"),
        ({"label": "x", "scope": ALL, "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"label": "x", "scope": ALL, "expires_at": "2001-01-01T00:00:00Z"}, "past"),
        ({"label": "x", "scope": ALL, "source_cidrs": ["everywhere"]}, "everywhere"),
        ({"label": "\u202e", "scope": ALL}, "bidi"),
        ({"label": "x", "scope": ALL, "account": "nobody"}, None),
        ([], "body"),
    ],
)
async def test_a_wrong_wish_is_refused_by_the_name_of_its_field(rest: Rest, said: Any, field: str | None) -> None:
    reply, problem = await rest.asked("POST", "/keys", said)
    assert reply.status == (404 if field is None else 400)
    assert reply.content_type == "application/problem+json"
    assert (field or "account") in problem["detail"]
    _, page = await rest.asked("GET", "/keys")
    assert page["keys"] == []


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"Content-Type": "application/json"}, 400),
        (b'{"label":"\\ud800"}', {"Content-Type": "application/json"}, 400),
        (b"\xff\xfe", {"Content-Type": "application/json"}, 400),
        (b"label=x", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {}, 415),
        (b" " * (1 << 20) + b"{}", {"Content-Type": "application/json"}, 413),
    ],
    ids=["half", "surrogate", "octets", "form", "untyped", "long"],
)
async def test_what_is_no_json_of_a_bounded_size_is_refused(
    rest: Rest, body: bytes, headers: dict[str, str], status: int
) -> None:
    reply = await rest.raw("POST", "/keys", body, headers)
    assert (reply.status, reply.content_type) == (status, "application/problem+json")


async def test_a_problem_repeats_nothing_of_what_was_sent(rest: Rest) -> None:
    reply, problem = await rest.asked("POST", "/keys", {"label": "x", "scope": {"type": "all", "rights": "s3cr3t"}})
    assert reply.status == 400
    assert "s3cr3t" not in json.dumps(problem)


# ---- once ----


async def test_a_repeated_request_makes_no_second_key_and_tells_no_secret(rest: Rest) -> None:
    wish = {"label": "one", "scope": PHOTOS}
    first, key = await rest.asked("POST", "/keys", wish, Idempotency_Key="abc")
    again, same = await rest.asked("POST", "/keys", wish, Idempotency_Key="abc")
    assert (first.status, again.status) == (201, 200)
    assert same["access_key_id"] == key["access_key_id"]
    assert (same["secret_available"], same["secret_access_key"]) == (False, None)
    assert key["secret_access_key"] not in json.dumps(same)
    _, page = await rest.asked("GET", "/keys")
    assert len(page["keys"]) == 1


async def test_many_at_once_with_one_idempotency_key_make_one_key(rest: Rest) -> None:
    wish = {"label": "one", "scope": ALL}
    tried = await asyncio.gather(*(rest.asked("POST", "/keys", wish, Idempotency_Key="k") for _ in range(6)))
    assert sorted(reply.status for reply, _ in tried) == [200] * 5 + [201]
    assert len({answer["access_key_id"] for _, answer in tried}) == 1


async def test_an_idempotency_key_is_for_one_wish_of_one_token(rest: Rest) -> None:
    await rest.asked("POST", "/keys", {"label": "one", "scope": ALL, "account": "acme"}, Idempotency_Key="k")
    reply, problem = await rest.asked("POST", "/keys", {"label": "two", "scope": ALL}, Idempotency_Key="k")
    assert (reply.status, problem["type"]) == (422, "urn:nqgate:problem:idempotency-key-reused")
    reply, _ = await rest.asked("POST", "/keys", {"label": "one", "scope": ALL}, token=rest.acme, Idempotency_Key="k")
    assert reply.status == 201


@pytest.mark.parametrize("sent", ["", "x" * 256, "ä"])
async def test_what_is_no_idempotency_key_is_refused(rest: Rest, sent: str) -> None:
    reply, _ = await rest.asked("POST", "/keys", {"label": "one", "scope": ALL}, Idempotency_Key=sent)
    assert reply.status == 400


async def test_a_repeat_after_the_key_was_deleted_says_so_and_makes_none(rest: Rest) -> None:
    wish = {"label": "one", "scope": ALL}
    _, key = await rest.asked("POST", "/keys", wish, Idempotency_Key="abc")
    await rest.asked("DELETE", f"/keys/{key['access_key_id']}")
    reply, _ = await rest.asked("POST", "/keys", wish, Idempotency_Key="abc")
    assert reply.status == 404


# ---- changing ----


async def test_an_edit_changes_what_it_says_and_leaves_the_rest(rest: Rest) -> None:
    key = await made(rest, expires_at="2030-01-01T00:00:00Z")
    path = f"/keys/{key['access_key_id']}"
    _, one = await rest.asked("PATCH", path, {"label": "new"})
    assert (one["label"], one["expires_at"], one["scope"]["type"]) == ("new", "2030-01-01T00:00:00Z", "all")
    _, two = await rest.asked("PATCH", path, {"expires_at": None, "scope": PHOTOS})
    assert (two["label"], two["expires_at"], two["scope"]) == ("new", None, PHOTOS)
    assert (two["version"], two["proven"], two["gateways"]) == (3, True, 0)


async def test_an_edit_of_an_older_version_is_refused(rest: Rest) -> None:
    key = await made(rest)
    path = f"/keys/{key['access_key_id']}"
    reply, _ = await rest.asked("PATCH", path, {"label": "two"}, If_Match='"1"')
    assert (reply.status, reply.headers["ETag"]) == (200, '"2"')
    reply, problem = await rest.asked("PATCH", path, {"label": "three"}, If_Match='"1"')
    assert (reply.status, problem["type"]) == (412, "urn:nqgate:problem:outdated")
    reply, _ = await rest.asked("PATCH", path, {"label": "three"}, If_Match="*")
    assert reply.status == 200
    for tag in ('W/"3"', "3", '"x"', '"0"'):
        reply, _ = await rest.asked("PATCH", path, {"label": "four"}, If_Match=tag)
        assert reply.status == 400


async def test_a_key_is_revoked_restored_and_deleted(rest: Rest) -> None:
    key = await made(rest)
    path = f"/keys/{key['access_key_id']}"
    reply, revoked = await rest.asked("POST", f"{path}/revoke", {"reason": "rotation"})
    assert (reply.status, revoked["status"], revoked["revoked_reason"]) == (200, "revoked", "rotation")
    assert (revoked["gateways"], revoked["confirmed"], revoked["cascaded"]) == (0, 0, [])
    _, restored = await rest.asked("POST", f"{path}/restore")
    assert restored["status"] == "active"
    reply, problem = await rest.asked("POST", f"{path}/restore")
    assert (reply.status, problem["type"]) == (409, "urn:nqgate:problem:conflict")
    reply, gone = await rest.asked("DELETE", path)
    assert (reply.status, gone["deleted"]) == (200, True)
    reply, _ = await rest.asked("DELETE", path)
    assert reply.status == 404
    _, told = await rest.asked("GET", f"{path}/events")
    assert [one["kind"] for one in told["events"]] == ["key.delete", "key.restore", "key.revoke", "key.create"]


async def test_a_compromised_key_stays_revoked(rest: Rest) -> None:
    key = await made(rest)
    path = f"/keys/{key['access_key_id']}"
    reply, _ = await rest.asked("POST", f"{path}/revoke", {"reason": "compromised", "drain": True})
    assert reply.status == 400
    await rest.asked("POST", f"{path}/revoke", {"reason": "compromised"})
    reply, problem = await rest.asked("POST", f"{path}/restore")
    assert (reply.status, "final" in problem["detail"]) == (409, True)


async def test_a_roll_tells_the_successors_secret_and_when_the_old_key_ends(rest: Rest, plane: Plane) -> None:
    key = await made(rest, scope=PHOTOS)
    reply, rolled = await rest.asked("POST", f"/keys/{key['access_key_id']}/roll", {"overlap": 3600})
    assert reply.status == 201
    successor = rolled["key"]
    assert (successor["replaces"], successor["scope"]) == (key["access_key_id"], PHOTOS)
    assert len(successor["secret_access_key"]) == 40
    assert (rolled["replaced"]["replaced_by"], rolled["replaced"]["status"]) == (successor["access_key_id"], "active")
    reply, revoked = await rest.asked("POST", f"/keys/{key['access_key_id']}/revoke", {"cascade": True})
    assert [one["access_key_id"] for one in revoked["cascaded"]] == [successor["access_key_id"]]
    _, after = await rest.asked("GET", f"/keys/{successor['access_key_id']}")
    assert after["status"] == "revoked"


async def test_a_question_is_answered_with_the_rule_that_decides(rest: Rest) -> None:
    key = await made(rest, scope=PHOTOS)
    asked = {"access_key_id": key["access_key_id"], "bucket": "photos", "object_key": "2026/a.jpg"}
    _, yes = await rest.asked("POST", "/keys/test", {**asked, "operation": "getobject"})
    assert (yes["allowed"], yes["operation"]) == (True, "GetObject")
    _, no = await rest.asked("POST", "/keys/test", {**asked, "operation": "PutObject"})
    assert (no["allowed"], "read_only" in no["rule"]) == (False, True)
    reply, _ = await rest.asked("POST", "/keys/test", {**asked, "operation": "MakeCoffee"})
    assert reply.status == 400


# ---- the frame ----


@pytest.mark.parametrize("path", ["/nothing", "/keys/", "/keys/a/b/c", "/KEYS"])
async def test_what_is_not_there_is_a_problem_too(rest: Rest, path: str) -> None:
    reply, problem = await rest.asked("GET", path)
    assert (reply.status, reply.content_type, problem["status"]) == (404, "application/problem+json", 404)


async def test_another_method_is_told_which_ones_there_are(rest: Rest) -> None:
    reply, problem = await rest.asked("PUT", "/keys")
    assert (reply.status, problem["type"]) == (405, "urn:nqgate:problem:method-not-allowed")
    assert set(reply.headers["Allow"].split(",")) >= {"GET", "POST"}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "status=dead", "colour=red", "limit=1&limit=2", "cursor=!"]
)
async def test_a_wrong_question_is_refused(rest: Rest, query: str) -> None:
    reply, problem = await rest.asked("GET", f"/keys?{query}")
    assert (reply.status, problem["status"]) == (400, 400)


async def test_every_answer_has_a_request_id_and_says_nothing_of_the_server(rest: Rest) -> None:
    for path in ("/keys", "/nothing"):
        reply, _ = await rest.asked("GET", path)
        assert len(reply.headers["X-Request-Id"]) == 32
        assert reply.headers["Server"] == "nqgate"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
