"""The REST interface against its own specification: what schemathesis makes of it, as an operator and as an owner."""

from pathlib import Path

import pytest

from tests.support.gateway_process import Gateway
from tests.support.house import House
from tests.support.rest import Rest, generated_requests, rest

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("rest")]
EXAMPLES = 20
KEYS = 60  # what it deletes and revokes of them, it finds no more


@pytest.fixture(scope="module")
def gateway(house: House) -> Gateway:
    front = house.front(house.store("moto"), "rest-contract").gateway
    front.command("accounts", "create", "tenant")
    return front


@pytest.mark.parametrize(("role", "account"), [("operator", None), ("owner", "tenant")])
def test_answers_are_as_specified(gateway: Gateway, role: str, account: str | None, tmp_path: Path) -> None:
    asked = rest(gateway, role, account)
    made = [asked.done("POST", "/keys", {"label": f"key {n}", "scope": {"type": "all"}}) for n in range(KEYS)]
    known = {"access_key_id": [one["access_key_id"] for one in made], "account": ["default", "tenant", "nobodys"]}
    report = generated_requests(asked, tmp_path, known, EXAMPLES)
    assert not report, report
    _something_was_done(asked, known["access_key_id"])
    log = gateway.log_text()
    assert "Traceback" not in log
    assert not [one for one in (asked.token, *(one["secret_access_key"] for one in made)) if one in log]
    assert gateway.try_command("audit", "verify").returncode == 0


def _something_was_done(asked: Rest, ids: list[str]) -> None:
    """Else the run proved little: keys were made, revoked, rolled and deleted."""
    answers = [asked.ask("GET", f"/keys/{one}") for one in ids]
    left = [answer.body for answer in answers if answer.status == 200]
    assert len(left) < len(ids), "none was deleted"
    assert {"active", "revoked"} <= {one["status"] for one in left}, "none was revoked"
    assert any(one["replaced_by"] for one in left), "none was rolled"
    assert asked.done("GET", "/keys?limit=200")["keys"][0]["access_key_id"] not in ids, "none was made"
