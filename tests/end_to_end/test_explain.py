"""A refusal, and why: by the request id of the answer, through the real command, from a keystore of either kind."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import Gateway
from tests.support.house import recorded_store
from tests.support.postgres import Postgres, postgres, postgres_database
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import RecordingUpstream

__all__ = ["postgres", "postgres_database"]  # fixtures
pytestmark = pytest.mark.server


@pytest.fixture(params=["sqlite", "postgresql"])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    settings: dict[str, dict[str, Any]] = {"workers": {"count": 2}}
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.url(request.getfixturevalue("postgres_database"))
        settings["keystore"] = {"url": url, "kek_file": str(tmp_path / "kek")}
    with RecordingUpstream() as upstream, Gateway(tmp_path, recorded_store(upstream), settings) as running:
        yield running


def explained(gateway: Gateway, reply: RawReply) -> dict[str, Any]:
    request_id = reply.header(b"x-amz-request-id").decode()
    deadline = time.monotonic() + 10
    while True:
        done = gateway.try_command("explain", request_id, "--json")
        if done.returncode == 0 or time.monotonic() > deadline:
            assert done.returncode == 0, done.stderr
            told: dict[str, Any] = json.loads(done.stdout)
            return told
        time.sleep(0.2)


def test_scope_signature_and_a_stranger_are_explained_and_no_signature_is_told(gateway: Gateway) -> None:
    issued = gateway.create_key("photos")
    signer = gateway.signer(issued)
    with gateway.connect() as connection:
        connection.send(signer.head("GET", "/other/k"))
        scope = explained(gateway, connection.reply())
        head = signer.head("GET", "/photos/k")
        signature = head.partition(b"Signature=")[2][:64]
        broken = bytes(reversed(signature))
        connection.send(head.replace(signature, broken))
        mismatch = explained(gateway, connection.reply())
        connection.send(head.replace(issued.access_key_id.encode(), b"NQAKnobodyatall00000"))
        stranger = explained(gateway, connection.reply())
    assert (scope["step"], scope["bucket"], scope["account"]) == ("scope", "other", "default")
    assert issued.access_key_id in scope["reason"]
    assert (mismatch["step"], mismatch["access_key_id"]) == ("signature", issued.access_key_id)
    assert f"host:{gateway.host}" in mismatch["canonical"]
    assert (stranger["step"], stranger["access_key_id"], stranger["account"]) == (
        "access key", "NQAKnobodyatall00000", "",
    )  # fmt: skip
    everything = json.dumps([scope, mismatch, stranger]) + gateway.log_text()
    assert signature.decode() not in everything
    assert broken.decode() not in everything
    assert issued.secret_access_key not in everything
