"""What a command learns of the store's buckets, over a socket."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config import Config, SettingsError
from gateway.s3.listing import ListedBucket
from gateway.store_buckets import store_buckets
from tests.support.recording_upstream import RecordingUpstream, Script, canned, close_without_answer, in_turn, ok
from tests.support.server_process import free_port

PAGE = b"<ListAllMyBucketsResult><Buckets><Bucket><Name>%b</Name></Bucket></Buckets>%b</ListAllMyBucketsResult>"


def config(*endpoints: str) -> Config:
    where = {"endpoint": endpoints[0]} if len(endpoints) == 1 else {"endpoints": endpoints}
    try:
        return Config.model_validate(
            {
                "upstream": {**where, "access_key_id": "STOREKEY", "secret_access_key": "store-secret"},
                "keystore": {"url": "sqlite:///keys.db", "kek_file": "kek"},
            }
        )
    except ValidationError as error:
        raise AssertionError(str(error)) from error


def test_every_page_is_asked_for_with_the_gateways_credential() -> None:
    first = ok(PAGE % (b"aaa", b"<ContinuationToken>t/1</ContinuationToken>"))
    with RecordingUpstream(in_turn(canned(first), canned(ok(PAGE % (b"bbb", b""))))) as upstream:
        assert store_buckets(config(upstream.endpoint)) == [ListedBucket("aaa", ""), ListedBucket("bbb", "")]
    one, two = upstream.requests
    assert (one.line, two.line) == (b"GET / HTTP/1.1", b"GET /?continuation-token=t%2F1 HTTP/1.1")
    assert b"Credential=STOREKEY/" in one.header(b"authorization")


@pytest.mark.parametrize(
    "script",
    [
        canned(ok(b"<Error><Code>AccessDenied</Code></Error>", status=b"403 Forbidden")),
        canned(ok(b"hello")),
        canned(ok(PAGE % (b"aaa", b"<ContinuationToken>again</ContinuationToken>"))),
        close_without_answer,
    ],
)
def test_a_store_that_does_not_list_them_is_named_without_its_secret(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store_buckets.MAX_PAGES", 3)
    with RecordingUpstream(script) as upstream, pytest.raises(SettingsError, match=r"127\.0\.0\.1") as caught:
        store_buckets(config(upstream.endpoint))
    assert "store-secret" not in str(caught.value)


def test_a_store_on_a_unix_socket_is_asked_over_it_and_named_by_it(tmp_path: Path) -> None:
    path = tmp_path / "store.sock"
    with RecordingUpstream(canned(ok(PAGE % (b"aaa", b""))), path=path) as upstream:
        assert store_buckets(config(upstream.endpoint)) == [ListedBucket("aaa", "")]
    assert upstream.only_request().header(b"host") == b"localhost"
    with pytest.raises(SettingsError, match=r"upstream\.endpoint: unix:/.*store\.sock did not list"):
        store_buckets(config(f"unix:{path}"))


def test_the_first_endpoint_that_takes_a_connection_is_asked_and_called_by_its_name() -> None:
    with RecordingUpstream(canned(ok(PAGE % (b"aaa", b"")))) as upstream:
        dead = f"http://127.0.0.1:{free_port()}"
        assert store_buckets(config(dead, upstream.endpoint)) == [ListedBucket("aaa", "")]
        assert upstream.only_request().header(b"host") == b"127.0.0.1:%d" % upstream.port
        with pytest.raises(SettingsError, match="did not list"):
            store_buckets(config(dead, f"http://127.0.0.1:{free_port()}"))
