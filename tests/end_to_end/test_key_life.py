"""Restored, rolled and updated in another process: the next request on an open connection goes by it."""

import json
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import Recorded

pytestmark = pytest.mark.server  # gateways of its own


@pytest.fixture
def issued(recorded: Recorded) -> IssuedKey:
    return recorded.gateway.create_key("aaa", label="to be changed")


def done(gateway: Gateway, act: str, issued: IssuedKey, *words: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(gateway.command("keys", act, issued.access_key_id, *words, "--json"))
    return shown


def rolled(gateway: Gateway, issued: IssuedKey, overlap: str) -> IssuedKey:
    shown = done(gateway, "roll", issued, "--overlap", overlap)
    return IssuedKey(shown["access_key_id"], shown["secret_access_key"])


def end_of(gateway: Gateway, issued: IssuedKey) -> float:
    return datetime.fromisoformat(done(gateway, "get", issued)["expires_at"]).timestamp()


def test_keys_of_another_program_work_with_their_own_secrets(recorded: Recorded) -> None:
    gateway = recorded.gateway
    issued = IssuedKey("AKIAIMPORTED", "their/own+secret=of20")
    with gateway.boto3(issued) as s3:
        assert answer(s3) == "InvalidAccessKeyId"  # and what is remembered of that must end
        file = gateway.folder / "theirs"
        file.write_text(f"{issued.access_key_id} {issued.secret_access_key}\n")
        gateway.command("keys", "import", str(file), "--bucket", "aaa")
        assert answer(s3) == "200"
        assert answer(s3, "bbb") == "AccessDenied"


def answer(s3: Any, bucket: str = "aaa") -> str:
    """What boto3 is told: "200", or the code of the refusal."""
    try:
        return str(s3.get_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"])
    except ClientError as refused:
        return str(refused.response["Error"]["Code"])


def url_of(s3: Any) -> str:
    return str(s3.generate_presigned_url("get_object", Params={"Bucket": "aaa", "Key": "k"}, ExpiresIn=3600))


def opened(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def assert_ends_at(ends: float, s3: Any) -> None:
    """Accepted as long as the whole request lies before `ends`, refused from then on; both were seen."""
    accepted = 0
    while True:
        began = time.time()
        told = answer(s3)
        if began >= ends:
            assert told == "InvalidAccessKeyId"
            break
        if time.time() < ends:
            assert told == "200"
            accepted += 1
        time.sleep(0.01 if ends - began < 0.1 else 0.05)
    assert accepted


# ---- restore ----


def test_a_restored_key_works_at_the_very_next_request(recorded: Recorded, issued: IssuedKey) -> None:
    signer = recorded.gateway.signer(issued)

    with recorded.gateway.boto3(issued) as s3, recorded.connect() as connection:

        def ask() -> int:
            connection.send(signer.head("GET", "/aaa/k"))
            return connection.reply().status

        assert (answer(s3), ask()) == ("200", 200)
        for _ in range(3):
            recorded.gateway.revoke(issued)
            assert (answer(s3), ask()) == ("InvalidAccessKeyId", 403)
            done(recorded.gateway, "restore", issued)
            assert (answer(s3), ask()) == ("200", 200)


def test_a_compromised_key_stays_refused(recorded: Recorded, issued: IssuedKey) -> None:
    recorded.gateway.revoke(issued, "compromised")
    assert recorded.gateway.try_command("keys", "restore", issued.access_key_id).returncode == 5
    with recorded.gateway.boto3(issued) as s3:
        assert answer(s3) == "InvalidAccessKeyId"


# ---- roll ----


def test_both_keys_work_during_the_overlap_and_reach_the_same(recorded: Recorded, issued: IssuedKey) -> None:
    successor = rolled(recorded.gateway, issued, "1h")
    for known in (issued, successor):
        with recorded.gateway.boto3(known) as s3:
            assert (answer(s3), answer(s3, "bbb")) == ("200", "AccessDenied")


def test_the_old_key_is_refused_from_the_second_in_which_the_overlap_is_over(
    recorded: Recorded, issued: IssuedKey
) -> None:
    with recorded.gateway.boto3(issued) as s3:
        assert answer(s3) == "200"
        successor = rolled(recorded.gateway, issued, "4s")
        assert_ends_at(end_of(recorded.gateway, issued), s3)
    with recorded.gateway.boto3(successor) as s3:
        assert answer(s3) == "200"


def test_without_an_overlap_the_old_key_is_refused_at_its_very_next_request(
    recorded: Recorded, issued: IssuedKey
) -> None:
    with recorded.gateway.boto3(issued) as s3:
        assert answer(s3) == "200"
        successor = rolled(recorded.gateway, issued, "0")
        assert answer(s3) == "InvalidAccessKeyId"
    with recorded.gateway.boto3(successor) as s3:
        assert answer(s3) == "200"


def test_presigned_urls_of_the_old_key_die_with_it(recorded: Recorded, issued: IssuedKey) -> None:
    settings = {"signature_version": "s3v4"}
    with recorded.gateway.boto3(issued, **settings) as s3:
        url = url_of(s3)
    assert opened(url) == 200
    successor = rolled(recorded.gateway, issued, "0")
    assert opened(url) == 403
    with recorded.gateway.boto3(successor, **settings) as s3:
        assert opened(url_of(s3)) == 200
    assert opened(url) == 403


def test_the_old_secret_signs_nothing_for_the_new_key(recorded: Recorded, issued: IssuedKey) -> None:
    successor = rolled(recorded.gateway, issued, "1h")
    with recorded.gateway.boto3(IssuedKey(successor.access_key_id, issued.secret_access_key)) as s3:
        assert answer(s3) == "SignatureDoesNotMatch"


# ---- update ----


def test_an_expiry_is_exact_to_the_second_and_can_be_moved_when_it_is_over(
    recorded: Recorded, issued: IssuedKey
) -> None:
    with recorded.gateway.boto3(issued) as s3:
        assert answer(s3) == "200"
        ends = int(time.time()) + 4
        text = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert done(recorded.gateway, "update", issued, "--expires", text)["expires_at"] == text
        assert_ends_at(ends, s3)
        done(recorded.gateway, "update", issued, "--expires", "1h")
        assert answer(s3) == "200"


def test_an_expiry_in_the_past_is_refused_and_the_key_goes_on(recorded: Recorded, issued: IssuedKey) -> None:
    assert (
        recorded.gateway.try_command("keys", "update", issued.access_key_id, "--expires", "2020-01-01").returncode == 2
    )
    with recorded.gateway.boto3(issued) as s3:
        assert answer(s3) == "200"


def test_a_changed_scope_holds_at_the_very_next_request(recorded: Recorded, issued: IssuedKey) -> None:
    with recorded.gateway.boto3(issued) as s3:
        assert (answer(s3), answer(s3, "bbb")) == ("200", "AccessDenied")
        done(recorded.gateway, "update", issued, "--label", "another")
        assert (answer(s3), answer(s3, "bbb")) == ("200", "AccessDenied")
        done(recorded.gateway, "update", issued, "--bucket", "bbb")
        assert (answer(s3), answer(s3, "bbb")) == ("AccessDenied", "200")
