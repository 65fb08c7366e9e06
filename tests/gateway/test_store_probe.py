"""How a store answers to the gateway's own credential, over a socket."""

import http.client
import time
from email.utils import formatdate

import pytest

from gateway.config import Config
from gateway.store_probe import probe_store
from tests.support.recording_upstream import RecordingUpstream, canned, close_without_answer, ok

DENIED = b"<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code><Message>STOREKEY</Message></Error>"


def config(endpoint: str) -> Config:
    return Config.model_validate(
        {"upstream": {"endpoint": endpoint, "access_key_id": "STOREKEY", "secret_access_key": "store-secret"}}
    )


def test_it_is_asked_for_its_buckets_with_the_gateways_credential() -> None:
    with RecordingUpstream(canned(ok(b"<ListAllMyBucketsResult/>"))) as upstream:
        assert probe_store(config(upstream.endpoint)) == (200, "", None)
    asked = upstream.only_request()
    assert asked.line == b"GET / HTTP/1.1"
    assert b"Credential=STOREKEY/" in asked.header(b"authorization")


def test_an_error_is_its_code() -> None:
    with RecordingUpstream(canned(ok(DENIED, status=b"403 Forbidden"))) as upstream:
        assert probe_store(config(upstream.endpoint))[:2] == (403, "SignatureDoesNotMatch")
    with RecordingUpstream(canned(ok(b"no document", status=b"500 Oops"))) as upstream:
        assert probe_store(config(upstream.endpoint))[:2] == (500, "")


@pytest.mark.parametrize("ahead", [0, 300, -90])
def test_how_far_its_clock_is_ahead(ahead: int) -> None:
    date = b"Date: " + formatdate(time.time() + ahead, usegmt=True).encode()
    with RecordingUpstream(canned(ok(b"", date))) as upstream:
        skew = probe_store(config(upstream.endpoint)).skew
    assert skew is not None
    assert abs(skew - ahead) < 2


def test_a_date_that_is_none_says_nothing() -> None:
    with RecordingUpstream(canned(ok(b"", b"Date: yesterday"))) as upstream:
        assert probe_store(config(upstream.endpoint)).skew is None


def test_no_answer_raises() -> None:
    with RecordingUpstream(close_without_answer) as upstream, pytest.raises((OSError, http.client.HTTPException)):
        probe_store(config(upstream.endpoint))
