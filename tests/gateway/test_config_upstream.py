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
