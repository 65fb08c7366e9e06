"""Two owners at one REST interface: what is another account's is not there, in whatever way it is asked for."""

import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import House
from tests.support.rest import ROOT, SPECIFICATION, Answer, Rest, rest

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("rest")]
# Of each operation that takes a body: one that does what it is for.
BODIES: dict[str, Any] = {
    "create_key": {"label": "mine", "scope": {"type": "all"}},
    "test_key": {"access_key_id": None, "operation": "GetObject", "bucket": "bucket"},
    "edit_key": {"label": "renamed"},
    "revoke_key": {"reason": "unused"},
    "restore_key": {},
    "roll_key": {"overlap": 0},
}
OF_ONE_REQUEST = re.compile(r'"request_id": ?"[0-9a-f]{32}"')


@dataclass(frozen=True, slots=True)
class Other:
    """What an account has that the other must not see: a key, its bucket, a request that was refused to it."""

    account: str
    access_key: IssuedKey
    label: str
    bucket: str
    request_id: str

    @property
    def marks(self) -> tuple[str, ...]:
        return (
            self.access_key.access_key_id,
            self.access_key.secret_access_key,
            self.label,
            self.bucket,
            self.request_id,
        )


@dataclass(frozen=True, slots=True)
class Two:
    """`owner`: of an account that has nothing; `others`: the owner of `other`."""

    gateway: Gateway
    owner: Rest
    account: str
    others: Rest
    other: Other


@pytest.fixture(scope="module")
def two(house: House) -> Two:
    gateway = house.front(house.store("moto"), "rest-accounts").gateway
    suffix = secrets.token_hex(4)
    account, other_account = f"one-{suffix}", f"two-{suffix}"
    for name in (account, other_account):
        gateway.command("accounts", "create", name)
    others = rest(gateway, "owner", other_account)
    return Two(gateway, rest(gateway, "owner", account), account, others, _furnished(gateway, others, other_account))


def _furnished(gateway: Gateway, owner: Rest, account: str) -> Other:
    label, bucket = f"label-{secrets.token_hex(8)}", f"bucket-{secrets.token_hex(8)}"
    gateway.command("buckets", "assign", bucket, "--account", account)
    access_key = gateway.create_key(bucket, label=label, extra=["--account", account])
    with gateway.connect() as connection:
        connection.send(gateway.signer(access_key).head("GET", "/elsewhere/object"))
        request_id = connection.reply().header(b"x-amz-request-id").decode()
    limit = time.monotonic() + 20
    while not (found := owner.done("GET", "/refusals")["refusals"]):
        assert time.monotonic() < limit, "the refused request was not written down"
        time.sleep(0.1)
    assert found[0]["request_id"] == request_id
    return Other(account, access_key, label, bucket, request_id)


def _specification(asked: Rest) -> dict[str, Any]:
    answer = Rest(asked.port, "").ask("GET", SPECIFICATION.removeprefix(ROOT))
    assert answer.status == 200
    return answer.body


def _operations(asked: Rest) -> list[tuple[str, str, str]]:
    """(name, method, path)"""
    paths = _specification(asked)["paths"]
    return [(told["operationId"], method.upper(), path) for path, of in paths.items() for method, told in of.items()]


def _asked_for(asked: Rest, operation: tuple[str, str, str], access_key_id: str, request_id: str) -> Answer:
    name, method, path = operation
    body = BODIES.get(name)
    if body and "access_key_id" in body:
        body = {**body, "access_key_id": access_key_id}
    return asked.ask(method, path.format(access_key_id=access_key_id, request_id=request_id), body)


def test_every_operation_is_driven_here(two: Two) -> None:
    """A new one that takes a body or an id needs a line above before it can be said to be closed."""
    paths = _specification(two.owner)["paths"]
    told = [operation for of in paths.values() for operation in of.values()]
    assert {one["operationId"] for one in told if "requestBody" in one} == set(BODIES)
    names = {parameter["name"] for one in told for parameter in one["parameters"] if parameter["in"] == "path"}
    assert names == {"access_key_id", "request_id"}


def test_an_id_of_another_account_is_not_there_for_any_operation(two: Two) -> None:
    other = two.other
    before = two.others.done("GET", f"/keys/{other.access_key.access_key_id}")
    tried = 0
    for operation in _operations(two.owner):
        if "{" not in operation[2] and operation[0] != "test_key":
            continue
        theirs = _asked_for(two.owner, operation, other.access_key.access_key_id, other.request_id)
        nobodys = _asked_for(two.owner, operation, "NQAK" + "0" * 16, "0" * 32)
        assert theirs.status == 404, f"{operation}: {theirs.status} {theirs.text}"
        assert theirs.headers["content-type"].startswith("application/problem+json")
        assert not [mark for mark in other.marks if mark in theirs.text], operation
        assert OF_ONE_REQUEST.sub("", theirs.text) == OF_ONE_REQUEST.sub("", nobodys.text), "it can be told apart"
        tried += 1
    assert tried >= 9
    assert two.others.done("GET", f"/keys/{other.access_key.access_key_id}") == before


def test_the_owner_of_them_sees_each(two: Two) -> None:
    """Else the test before would hold of an interface that finds nothing."""
    other = two.other
    for operation in _operations(two.owner):
        if operation[1] == "GET" and "{" in operation[2]:
            assert _asked_for(two.others, operation, other.access_key.access_key_id, other.request_id).status == 200
    assert two.others.done("GET", "/keys")["keys"][0]["label"] == other.label
    assert [bucket["name"] for bucket in two.others.done("GET", "/buckets")["buckets"]] == [other.bucket]


@pytest.mark.parametrize(
    "path", ["/keys", "/buckets", "/accounts", "/refusals", "/keys?all_buckets=true", "/keys?status=active"]
)
@pytest.mark.parametrize("narrowed", ["", "account", "q", "bucket"])
def test_no_list_has_anything_of_another_account(two: Two, path: str, narrowed: str) -> None:
    values = {"account": two.other.account, "q": two.other.label, "bucket": two.other.bucket}
    query = f"{'&' if '?' in path else '?'}{narrowed}={values[narrowed]}" if narrowed else ""
    answer = two.owner.ask("GET", path + query)
    assert answer.status in {200, 400, 404}  # 400: that list is not narrowed so
    assert not [mark for mark in (*two.other.marks, two.other.account) if mark in _without_echo(answer, values)]


def _without_echo(answer: Answer, values: dict[str, str]) -> str:
    """A refusal may repeat the account that was asked for: whoever asked knows it."""
    return answer.text.replace(values["account"], "") if answer.status == 404 else answer.text


def test_a_key_of_another_account_is_never_made(two: Two) -> None:
    count = len(two.others.done("GET", "/keys")["keys"])
    refused = two.owner.ask("POST", "/keys", {**BODIES["create_key"], "account": two.other.account})
    unknown = two.owner.ask("POST", "/keys", {**BODIES["create_key"], "account": "nobodys"})
    assert refused.status == unknown.status == 404
    assert refused.body["detail"].replace(two.other.account, "") == unknown.body["detail"].replace("nobodys", "")
    assert len(two.others.done("GET", "/keys")["keys"]) == count


def test_a_scope_that_names_a_bucket_of_another_account_opens_and_tells_nothing(two: Two) -> None:
    made, unclaimed = (
        two.owner.done("POST", "/keys", {"label": "curious", "scope": {"type": "buckets", "buckets": [{"name": name}]}})
        for name in (two.other.bucket, f"nobodys-{secrets.token_hex(4)}")
    )
    assert list(made["unreachable_buckets"].values()) == list(unclaimed["unreachable_buckets"].values())
    asked = {"access_key_id": made["access_key_id"], "operation": "GetObject", "bucket": two.other.bucket}
    assert two.owner.done("POST", "/keys/test", {**asked, "object_key": "k"})["allowed"] is False
    assert two.other.account not in json.dumps(made)
    for one in (made, unclaimed):
        two.owner.done("DELETE", f"/keys/{one['access_key_id']}")


def test_one_idempotency_key_is_not_shared_by_two_callers(two: Two) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    mine, theirs = (one.ask("POST", "/keys", BODIES["create_key"], headers) for one in (two.owner, two.others))
    assert mine.status == theirs.status == 201
    assert mine.body["access_key_id"] != theirs.body["access_key_id"]
    again = two.owner.ask("POST", "/keys", BODIES["create_key"], headers)
    assert (again.status, again.body["access_key_id"]) == (200, mine.body["access_key_id"])
    assert mine.body["secret_access_key"] not in again.text
    assert again.body["secret_available"] is False


def test_a_cursor_of_another_account_leads_to_nothing_of_it(two: Two) -> None:
    for owner in (two.owner, two.others):
        for _ in range(2):
            owner.done("POST", "/keys", BODIES["create_key"])
    cursor = two.others.done("GET", "/keys?limit=1")["next_cursor"]
    answer = two.owner.ask("GET", f"/keys?cursor={cursor}")
    assert answer.status in {200, 400}
    assert not [mark for mark in (*two.other.marks, two.other.account) if mark in answer.text]
    for shown in answer.body.get("keys", []):
        assert shown["account"] == two.account


def test_without_a_usable_token_every_operation_is_401(two: Two) -> None:
    revoked = rest(two.gateway, "owner", two.other.account)
    assert revoked.ask("GET", "/keys").status == 200
    listed = json.loads(two.gateway.command("admin", "token", "list", "--json"))
    [token_id] = [one["token_id"] for one in listed if one["token_id"] in revoked.token]
    two.gateway.command("admin", "token", "revoke", token_id, "--yes")
    for token in ("", "nqat_000000000000_" + "0" * 40, revoked.token, two.other.access_key.secret_access_key):
        for operation in _operations(two.owner):
            asked = Rest(two.owner.port, token)
            answer = _asked_for(asked, operation, two.other.access_key.access_key_id, two.other.request_id)
            assert answer.status == 401, (operation, answer.status)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert not [mark for mark in two.other.marks if mark in answer.text]
