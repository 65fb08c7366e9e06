"""The sections: what hangs together within one, and is refused at start."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config_sections import ConsoleSettings, S3Settings, is_loopback

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


# ---- a Unix socket ----


def test_s3_may_listen_on_a_unix_socket_of_which_no_url_tells() -> None:
    settings = S3Settings(listen="unix:/run/nqgate/s3.sock")
    assert (settings.socket, settings.socket_mode, settings.address) == ("/run/nqgate/s3.sock", "0660", "")
    assert S3Settings(listen="unix:/run/s3.sock", domains=("s3.example.org",)).address == "http://s3.example.org"
    assert (S3Settings().socket, S3Settings().address) == (None, "http://127.0.0.1:9000")


@pytest.mark.parametrize("listen", ["unix:", "unix:s3.sock", "unix:127.0.0.1:9000", "unix:/" + "a" * 107, "unix:/a\0"])
def test_a_path_that_can_be_no_socket_is_refused(listen: str) -> None:
    with pytest.raises(ValidationError, match="listen"):
        S3Settings(listen=listen)


@pytest.mark.parametrize("listen", ["unix:/run/console.sock", "unix:/run/console:9001"])
def test_the_control_plane_listens_on_no_unix_socket(listen: str) -> None:
    with pytest.raises(ValidationError, match="HOST:PORT"):
        ConsoleSettings(listen=listen)


def test_a_unix_socket_has_no_tls() -> None:
    with pytest.raises(ValidationError, match="plain http"):
        S3Settings(listen="unix:/run/s3.sock", **PAIR)


@pytest.mark.parametrize("mode", ["660", "0o660", "06600", "0888", "rw-rw----", "1660", ""])
def test_a_mode_that_is_none_is_refused(mode: str) -> None:
    with pytest.raises(ValidationError, match="socket_mode"):
        S3Settings(listen="unix:/run/s3.sock", socket_mode=mode)


def test_the_metrics_are_for_this_machine_unless_networks_are_named() -> None:
    assert ConsoleSettings().metrics_networks == ("127.0.0.0/8", "::1/128")
    assert ConsoleSettings(metrics_networks=("10.0.0.7",)).metrics_networks == ("10.0.0.7/32",)
    with pytest.raises(ValidationError, match="metrics_networks"):
        ConsoleSettings(metrics_networks=("everywhere",))


def test_unix_is_a_word_of_its_own_among_trusted_proxies() -> None:
    assert S3Settings().trusted_proxies == ()
    assert S3Settings(trusted_proxies=("10.0.0.7", "unix", "unix")).trusted_proxies == ("unix", "10.0.0.7/32")
    for other in ("Unix", "unix:", "unix:/run/s3.sock", ""):
        with pytest.raises(ValidationError, match="not a network"):
            S3Settings(trusted_proxies=(other,))
