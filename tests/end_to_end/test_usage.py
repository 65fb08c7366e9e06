"""When a key was last used, and last denied, as an operator sees it after the gateway has served."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import recorded_store
from tests.support.raw_client import Signer
from tests.support.recording_upstream import RecordingUpstream

pytestmark = pytest.mark.server  # a gateway of its own, to be stopped


def shown(gateway: Gateway, issued: IssuedKey) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gateway.command("keys", "get", issued.access_key_id, "--json"))
    return found


def test_uses_and_denials_are_told_and_forged_ones_are_not(tmp_path: Path) -> None:
    with RecordingUpstream() as upstream, Gateway(tmp_path, recorded_store(upstream)) as gateway:
        used, unused, forged = gateway.create_key("aaa"), gateway.create_key("aaa"), gateway.create_key("aaa")
        with gateway.boto3(used) as client:
            client.get_object(Bucket="aaa", Key="k")
            with pytest.raises(ClientError):
                client.get_object(Bucket="secret-bucket", Key="k")
        false = Signer(gateway.host, forged.access_key_id, "x" * 40)
        with gateway.connect() as connection:
            connection.send(false.head("GET", "/aaa/k"))
            assert connection.reply().status == 403
        gateway.stop()
        one = shown(gateway, used)
        assert (one["last_used"]["operation"], one["last_used"]["bucket"]) == ("GetObject", "aaa")
        assert one["last_used"]["source"] == "127.0.0.1"
        assert "Boto3" in one["last_used"]["user_agent"]
        assert one["last_denied"]["bucket"] == "secret-bucket"
        assert "outside the grants" in one["last_denied"]["reason"]
        for other in (unused, forged):
            assert (shown(gateway, other)["last_used"], shown(gateway, other)["last_denied"]) == (None, None)
        gateway.start()
