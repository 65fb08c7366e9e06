"""What we sign for the store, judged by botocore."""

import pickle
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.uri import encode
from gateway.sigv4.canonical import canonical_query
from gateway.sigv4.signing import UpstreamSigner
from keystore.derived import UpstreamCredential
from tests.support.requests import NOW

SECRET = "store-secret"
LINE = "UNSIGNED-PAYLOAD"


def judged(method: str, path: str, query: str, headers: dict[str, str], now: float) -> str:
    """The Authorization that botocore writes."""

    class Signer(S3SigV4Auth):
        def payload(self, request: AWSRequest) -> str:
            return LINE

    url = f"http://store.example{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, headers=headers)
    moment = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    with patch("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: moment):
        Signer(Credentials("store", SECRET), "s3", "us-east-1").add_auth(request)
    return str(request.headers["Authorization"])


def ours(method: str, path: str, query: str, headers: dict[str, str], now: float) -> str:
    signer = UpstreamSigner(UpstreamCredential("store", SECRET), b"us-east-1")
    fields = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    lines = signer.sign(
        method.encode(), path.encode(), query.encode(), b"store.example", fields, LINE.encode(), now
    ).decode("latin-1")
    sent = dict(line.split(": ", 1) for line in lines.removesuffix("\r\n").split("\r\n"))
    assert sent["host"] == "store.example"
    assert sent["x-amz-content-sha256"] == LINE
    assert {name: sent[name] for name in headers} == headers
    return sent["authorization"]


@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE"]),
    object_key=st.text(min_size=1, max_size=30).map(lambda text: text.encode("utf-8", "ignore")),
    query=st.dictionaries(st.sampled_from(["prefix", "max-keys", "uploads"]), st.text(max_size=8)),
    headers=st.dictionaries(
        st.sampled_from(["x-amz-acl", "x-amz-meta-a", "x-amz-meta-a-b", "content-md5"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12),
    ),
)
def test_botocore_signs_the_same(
    method: str, object_key: bytes, query: dict[str, str], headers: dict[str, str]
) -> None:
    path = "/bucket/" + encode(object_key, keep_slash=True).decode()
    encoded = canonical_query(
        {name.encode(): value.encode("utf-8", "ignore") for name, value in query.items()}
    ).decode()
    assert ours(method, path, encoded, headers, NOW) == judged(method, path, encoded, headers, NOW)


def test_midnight_turns_the_key_of_the_day() -> None:
    signer = UpstreamSigner(UpstreamCredential("store", SECRET), b"us-east-1")
    midnight = 1_789_948_800
    before = signer.sign(b"GET", b"/", b"", b"store.example", [], LINE.encode(), midnight - 1)
    after = signer.sign(b"GET", b"/", b"", b"store.example", [], LINE.encode(), midnight)
    assert b"x-amz-date: 20260920T235959Z\r\n" in before
    assert b"x-amz-date: 20260921T000000Z\r\n" in after
    assert b"authorization: " + judged("GET", "/", "", {}, midnight).encode() in after
    again = signer.sign(b"GET", b"/", b"", b"store.example", [], LINE.encode(), midnight - 1)
    assert again == before


def test_a_credential_cannot_be_printed_or_pickled() -> None:
    credential = UpstreamCredential("store", SECRET)
    signer = UpstreamSigner(credential, b"us-east-1")
    for shown in (repr(credential), str(credential), repr(signer), f"{signer}"):
        assert SECRET not in shown
    with pytest.raises(TypeError):
        pickle.dumps(credential)
