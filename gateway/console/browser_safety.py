"""What a browser is told and asked, so that nobody else's page acts for a person who is signed in: response headers,
the names under which the console answers, where a request comes from, and how the cookie is called.

Pure. Knows no session: the token in forms is compared here, and kept there.
"""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
EVERY_ANSWER: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
PAGE: Final[Mapping[str, str]] = {**EVERY_ANSWER, "Cache-Control": "no-store"}
TLS: Final[Mapping[str, str]] = {"Strict-Transport-Security": "max-age=31536000"}
FOR_EVER: Final[Mapping[str, str]] = {**EVERY_ANSWER, "Cache-Control": "public, max-age=31536000, immutable"}

_PORTS: Final = {"http": 80, "https": 443}
_READING: Final = frozenset({"GET", "HEAD"})


def is_loopback(address: str | None) -> bool:
    try:
        return address is not None and ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def origin_of(host: str, local: tuple[str, int], public_url: str, *, secure: bool) -> str | None:
    """The origin under which the console was asked, None for a name that is not its own: a page that had its name
    resolve to this machine would else be of one origin with it.

    `local`: address and port at which the connection arrived. `secure`: whether it has TLS.
    """
    host = host.lower()
    public = urlsplit(public_url)
    if public.netloc and host == public.netloc.lower():
        return f"{public.scheme}://{host}"
    address, port = local
    names = {f"[{address}]" if ":" in address else address}
    if is_loopback(address):
        names |= {"localhost", "127.0.0.1", "[::1]"}
    scheme = "https" if secure else "http"
    allowed = {f"{name}:{port}" for name in names} | (names if port == _PORTS[scheme] else set())
    return f"{scheme}://{host}" if host in allowed else None


def keeps_secrets(origin: str) -> bool:
    """Whether what a browser sends there is encrypted on its way, or has no way."""
    parts = urlsplit(origin)
    return parts.scheme == "https" or parts.hostname == "localhost" or is_loopback(parts.hostname)


def foreign(method: str, headers: Mapping[str, str], origin: str) -> bool:
    """Whether another site's page sent this.

    A page with `Referrer-Policy: no-referrer` posts its forms with `Origin: null`, to its own origin too
    (https://fetch.spec.whatwg.org/#append-a-request-origin-header), so null is judged by Sec-Fetch-Site alone.
    """
    site = headers.get("Sec-Fetch-Site")
    if site not in {None, "same-origin", "none"}:
        return True
    if method in _READING:
        return False
    sent = headers.get("Origin")
    if sent is None or sent == "null":
        return site != "same-origin"
    return sent.lower() != origin


def same_token(sent: str, kept: str) -> bool:
    """Takes as long for a wrong one as for the right one."""
    return hmac.compare_digest(sent.encode(errors="replace"), kept.encode())


def cookie_name(origin: str) -> str:
    """`__Host-` demands Secure. Over plain HTTP, which is loopback, there is none: Chromium 156 keeps such a
    cookie of http://localhost and http://127.0.0.1, and not every browser does."""
    return "__Host-nqgate" if origin.startswith("https://") else "nqgate-loopback"
