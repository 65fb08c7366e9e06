"""`nqgate ready`: what a health check runs beside the gateway, where there is no curl and the port speaks TLS.

It asks the control plane of the configuration, and knows nothing itself.
"""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Annotated, Any, Final

import typer

from gateway.cli.opened import config_path
from gateway.cli.output import Exit, fail, say, told_errors
from gateway.config import Config, load_config

PATIENCE: Final = 4.0  # seconds; shorter than the limits of those who run it
MAX_ANSWER: Final = 65_536  # bytes


def ready(
    context: typer.Context,
    alive: Annotated[bool, typer.Option("--alive", help="Ask only whether its process answers.")] = False,
) -> None:
    """Ask the gateway of this configuration whether it serves: ends with 0 when it does, with 1 when not."""
    with told_errors():
        config = load_config(config_path(context))
    status, told = _asked(config, "/healthz" if alive else "/readyz")
    said = _said(told)
    if status != http.HTTPStatus.OK:
        raise fail(f"Not ready: {said or f'it answers {status}'}.", Exit.FAILURE)
    say(f"Ready: {said}." if said else "Ready.")


def _said(told: dict[str, Any]) -> str:
    """Without its full stop: what is not ready, in the gateway's own sentences, or else how everything stands."""
    reasons = told.get("not_ready")
    if isinstance(reasons, list) and reasons:
        return " ".join(map(str, reasons)).rstrip(".")
    return ", ".join(f"{name}: {value}" for name, value in told.items() if isinstance(value, str))


def _asked(config: Config, path: str) -> tuple[int, dict[str, Any]]:
    scheme = "http" if config.console.tls_certificate is None else "https"
    address = f"{scheme}://{config.console.listen}{path}"
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE, context=_whoever()) as reply:  # noqa: S310 – http or https
            return reply.status, _object(reply.read(MAX_ANSWER))
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, _object(refused.read(MAX_ANSWER))
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise fail(f"Not ready: nobody answers on {config.console.listen}: {reason}.", Exit.FAILURE) from None


def _object(body: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        told = json.loads(body)
        if isinstance(told, dict):
            return told
    return {}


def _whoever() -> ssl.SSLContext:
    """Its certificate is for another name than the address it listens on, and nothing is told to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
