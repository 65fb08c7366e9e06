import pytest

from gateway.console.browser_safety import CSP, cookie_name, foreign, is_loopback, keeps_secrets, origin_of, same_token

HERE = ("127.0.0.1", 9001)
ORIGIN = "http://127.0.0.1:9001"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("localhost:9001", "http://localhost:9001"),
        ("LOCALHOST:9001", "http://localhost:9001"),
        ("[::1]:9001", "http://[::1]:9001"),
        ("keys.example.com", "https://keys.example.com"),
        ("evil.example.com:9001", None),
        ("localhost:9002", None),
        ("localhost", None),
        ("localhost:9001.evil.example.com", None),
        ("evil@localhost:9001", None),
        ("", None),
    ],
)
def test_the_console_answers_under_its_own_names_only(host: str, origin: str | None) -> None:
    assert origin_of(host, HERE, "https://keys.example.com/", secure=False) == origin


def test_localhost_is_not_the_name_of_an_address_that_others_reach() -> None:
    assert origin_of("localhost:9001", ("192.0.2.1", 9001), "", secure=False) is None
    assert origin_of("192.0.2.1:9001", ("192.0.2.1", 9001), "", secure=False) == "http://192.0.2.1:9001"


def test_a_port_that_is_the_scheme_s_own_need_not_be_said() -> None:
    assert origin_of("192.0.2.1", ("192.0.2.1", 443), "", secure=True) == "https://192.0.2.1"
    assert origin_of("192.0.2.1", ("192.0.2.1", 443), "", secure=False) is None


def test_no_public_name_is_no_name() -> None:
    assert origin_of("", HERE, "", secure=False) is None


@pytest.mark.parametrize(
    ("method", "headers", "refused"),
    [
        ("GET", {}, False),
        ("GET", {"Sec-Fetch-Site": "none"}, False),
        ("GET", {"Sec-Fetch-Site": "same-origin"}, False),
        ("GET", {"Sec-Fetch-Site": "same-site"}, True),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, True),
        ("POST", {}, True),
        ("POST", {"Origin": ORIGIN}, False),
        ("POST", {"Origin": "null", "Sec-Fetch-Site": "same-origin"}, False),
        ("POST", {"Origin": "null", "Sec-Fetch-Site": "none"}, True),
        ("POST", {"Origin": "null"}, True),
        ("POST", {"Origin": "null", "Sec-Fetch-Site": "cross-site"}, True),
        ("POST", {"Origin": "https://evil.example.com"}, True),
        ("POST", {"Origin": "https://evil.example.com", "Sec-Fetch-Site": "same-origin"}, True),
        ("POST", {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"}, True),
        ("POST", {"Origin": "http://127.0.0.1:9002", "Sec-Fetch-Site": "same-origin"}, True),
    ],
)
def test_another_site_s_page_is_told_apart(method: str, headers: dict[str, str], refused: bool) -> None:
    assert foreign(method, headers, ORIGIN) is refused


def test_the_token_of_a_form_is_compared_whole() -> None:
    assert same_token("abc", "abc")
    assert not same_token("ab", "abc")
    assert not same_token("", "abc")
    assert not same_token("äbc", "abc")
    assert not same_token("\udc80", "abc")


def test_a_cookie_over_tls_is_bound_to_its_host() -> None:
    assert cookie_name("https://keys.example.com").startswith("__Host-")
    assert not cookie_name(ORIGIN).startswith("__")


def test_loopback_is_known_by_its_address_never_by_a_name() -> None:
    assert [is_loopback(one) for one in ("127.0.0.1", "127.8.8.8", "::1")] == [True] * 3
    assert [is_loopback(one) for one in ("localhost", "", None, "10.0.0.1", "::2")] == [False] * 5


def test_a_name_that_others_reach_keeps_a_secret_over_tls_only() -> None:
    kept = ("https://keys.example.com", "http://localhost:9001", "http://127.0.0.1:9001", "http://[::1]:9001")
    assert [keeps_secrets(one) for one in kept] == [True] * 4
    open_to_all = ("http://keys.example.com", "http://192.0.2.1:9001", "http://localhost.example.com", "")
    assert [keeps_secrets(one) for one in open_to_all] == [False] * 4


def test_nothing_inline_and_nothing_from_elsewhere_runs() -> None:
    assert "default-src 'none'" in CSP
    assert "unsafe" not in CSP
    assert "http" not in CSP
