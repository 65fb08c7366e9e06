"""The sections: what hangs together within one, and is refused at start."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config_sections import ConsoleSettings, is_loopback

PAIR = {"tls_certificate": Path("certificate"), "tls_key": Path("key")}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_what_stays_on_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.example.org", "127.0.0.1.example.org", ""])
def test_everything_else_is_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("listen", ["0.0.0.0:9001", "[::]:9001", "10.1.2.3:9001", "gateway.example.org:9001"])
def test_the_control_plane_is_never_reached_from_elsewhere_in_the_clear(listen: str) -> None:
    with pytest.raises(ValidationError, match="in the clear"):
        ConsoleSettings(listen=listen)
    with pytest.raises(ValidationError, match="in the clear"):
        ConsoleSettings(listen=listen, public_url="http://localhost:9001")
    ConsoleSettings(listen=listen, public_url="https://console.example.org")
    ConsoleSettings(listen=listen, **PAIR)


def test_loopback_needs_no_tls() -> None:
    for listen in ("127.0.0.1:9001", "[::1]:9001", "localhost:9001"):
        assert ConsoleSettings(listen=listen).public_url is None


@pytest.mark.parametrize("url", ["http://console.example.org", "http://10.0.0.1:9001", "ftp://localhost", "localhost"])
def test_a_public_url_is_https_or_loopback(url: str) -> None:
    with pytest.raises(ValidationError, match="public_url"):
        ConsoleSettings(public_url=url)


@pytest.mark.parametrize("url", ["https://console.example.org/nq", "https://console.example.org/?a=b"])
def test_a_public_url_has_no_path(url: str) -> None:
    with pytest.raises(ValidationError, match="without a path"):
        ConsoleSettings(public_url=url)


def test_a_public_url_is_kept_without_its_last_slash() -> None:
    assert ConsoleSettings(public_url="https://console.example.org/").public_url == "https://console.example.org"


def test_a_certificate_and_its_key_come_together() -> None:
    for one in PAIR:
        with pytest.raises(ValidationError, match="or neither"):
            ConsoleSettings.model_validate({one: PAIR[one]})
