"""Where the store is: an address, or a socket of this machine and the host it is called by there."""

import pytest
from pydantic import ValidationError

from gateway.config_upstream import UpstreamSettings

CREDENTIAL = {"access_key_id": "STORE", "secret_access_key": "x"}


def upstream(endpoint: str, **more: str) -> UpstreamSettings:
    return UpstreamSettings.model_validate({"endpoint": endpoint, **CREDENTIAL, **more})


def test_an_address_names_its_host_itself() -> None:
    settings = upstream("https://s3.example.org:8443/base/")
    assert settings.socket is None
    assert (settings.url.scheme, settings.url.netloc, settings.url.path) == ("https", "s3.example.org:8443", "/base")
    with pytest.raises(ValidationError, match="names its own"):
        upstream("http://127.0.0.1:8333", host="s3.internal")


def test_a_store_on_a_unix_socket_is_called_localhost_unless_said_otherwise() -> None:
    settings = upstream("unix:/run/store/s3.sock")
    assert settings.socket == "/run/store/s3.sock"
    assert settings.url.geturl() == "http://localhost"
    assert upstream("unix:/run/store/s3.sock", host="s3.internal:8080").url.netloc == "s3.internal:8080"


@pytest.mark.parametrize("endpoint", ["unix:", "unix:s3.sock", "unix:/run/", "unix:/" + "a" * 107, "unix:/run/\0"])
def test_a_path_that_can_be_no_socket_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="endpoint"):
        upstream(endpoint)


@pytest.mark.parametrize("host", ["", "a b", "a/b", "http://a", "a:b", "a\r\nX: y", "-a", "a@b", "a:123456", "é"])
def test_a_host_that_would_be_more_than_one_is_refused(host: str) -> None:
    with pytest.raises(ValidationError, match="host"):
        upstream("unix:/run/store/s3.sock", host=host)


# ---- several ----


def several(*endpoints: str, **more: str) -> UpstreamSettings:
    return UpstreamSettings.model_validate({"endpoints": endpoints, **CREDENTIAL, **more})


def test_several_endpoints_are_one_store_under_several_names() -> None:
    settings = several("https://a.example:8443/base/", "https://b.example:8443/base")
    assert settings.addresses == ("https://a.example:8443/base", "https://b.example:8443/base")
    assert [url.netloc for url in settings.urls] == ["a.example:8443", "b.example:8443"]
    assert (settings.url.netloc, settings.hosts) == ("a.example:8443", ("a.example", "b.example"))


def test_where_the_store_is_must_be_said_exactly_once() -> None:
    for given in ({}, {"endpoint": "http://a", "endpoints": ["http://b"]}):
        with pytest.raises(ValidationError, match="exactly one of endpoint and endpoints"):
            UpstreamSettings.model_validate({**given, **CREDENTIAL})


@pytest.mark.parametrize(
    ("endpoints", "match"),
    [
        (("http://a", "https://a"), "in one way"),
        (("http://a/x", "http://b/y"), "in one way"),
        (("http://a:80", "http://a:80/"), "twice"),
        (("http://a", "unix:/run/s3.sock"), "must be http://"),
        (("http://a", "http://u:p@b"), "credential"),
        (tuple(f"http://10.0.0.{number}" for number in range(65)), "at most 64"),
    ],
)
def test_endpoints_that_cannot_be_one_store_are_refused(endpoints: tuple[str, ...], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        several(*endpoints)
