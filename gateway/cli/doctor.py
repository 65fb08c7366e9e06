"""`nqgate doctor`: what would keep the gateway from serving, looked for one by one, and what to do about each."""

import asyncio
import errno
import http.client
import json as json_text
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from gateway.cli.opened import config_path, opened_keystore
from gateway.cli.output import Exit, say, show_json, show_rows
from gateway.config import Config, SettingsError, load_config
from gateway.store_probe import probe_store
from gateway.unix_listener import Found, look_at
from gateway.wiring import check_spool, configured_limits, console_listener_context, fit_open_files, s3_listener_context
from keystore.errors import KeystoreError
from keystore.postgres_health import examine
from keystore.sealing import Secret, load_kek_ring

TOLERATED_SKEW: Final = 60.0  # seconds; stores refuse from 900 on, and clocks that drift go on drifting
SET_CLOCKS: Final = "set the clocks, by NTP for instance"
PATIENCE: Final = 5.0  # seconds for a gateway on the control plane's port to say that it is one


class Check(NamedTuple):
    """`found`: a sentence without its full stop. `advice`: what to do; "" where nothing is wrong."""

    name: str
    found: str
    advice: str = ""


def doctor(
    context: typer.Context, json: Annotated[bool, typer.Option("--json", help="Print JSON with stable fields.")] = False
) -> None:
    """Look for what would keep the gateway from serving: configuration, KEK, keystore, ports, store, clock."""
    found = list(_checks(config_path(context)))
    wrong = sum(bool(one.advice) for one in found)
    if json:
        show_json([{"check": one.name, "ok": not one.advice, "found": one.found, "do": one.advice} for one in found])
    else:
        rows = [(one.name, "wrong" if one.advice else "ok", one.found, one.advice) for one in found]
        show_rows(("CHECK", "", "FOUND", "WHAT TO DO"), rows)
        say(f"{wrong} of {len(found)} checks found something wrong." if wrong else f"All {len(found)} checks are well.")
    if wrong:
        raise typer.Exit(Exit.FAILURE)


def _checks(named: Path | None) -> Iterator[Check]:
    """Those that a failed one makes pointless are left out."""
    try:
        config = load_config(named)
    except SettingsError as error:
        yield Check("configuration", str(error), "correct the file, or name another with --config")
        return
    yield Check("configuration", "it can be read")
    yield from (_kek(config), _keystore(config))
    if config.keystore.remote:
        yield from _server(config)
    for check in (_tls, _files, _spool, _s3_port, _console_port):
        yield check(config)
    yield from _store(config)


# ---- what is on this machine ----


def _kek(config: Config) -> Check:
    path = config.keystore.kek_file
    try:
        ring = load_kek_ring(path)
    except KeystoreError as error:
        return Check("key-encryption key", str(error), "give the file that the keystore was made with, mode 0600")
    return Check("key-encryption key", f"{path} holds {ring.newest.kek_id}")


def _keystore(config: Config) -> Check:
    async def opened() -> int:
        async with opened_keystore(config.keystore, create=False) as found:
            await found.meet()
            return len(await found.store.list_accounts())

    try:
        accounts = asyncio.run(opened())
    except (KeystoreError, OSError) as error:
        return Check("keystore", str(error), "see docs/how-to/back-up-and-restore.md; `keys create` makes a new one")
    many = "account" if accounts == 1 else "accounts"
    return Check("keystore", f"it answers, its log holds, {accounts} {many}")


def _server(config: Config) -> Iterator[Check]:
    """Of a keystore on PostgreSQL: how safe a revoke is there, and how fast it is heard."""
    try:
        health = asyncio.run(examine(Secret(config.keystore.url.get_secret_value())))
    except KeystoreError:
        return  # which the check of the keystore has said
    waits = f"a commit waits for {health.standbys}" if health.standbys else "no standby: never fail over by itself"
    yield Check("durability", f"PostgreSQL {health.version}, {waits}")
    unsafe = not health.encrypted and not health.here
    yield Check(
        "TLS to the database", "encrypted" if health.encrypted else "not encrypted",
        "end keystore.url with ?sslmode=verify-full&sslrootcert=FILE" if unsafe else "",
    )  # fmt: skip
    yield Check(
        "notifications", "they arrive" if health.heard else "they do not arrive: a pooler lies between",
        "" if health.heard else "connect to PostgreSQL itself, or let the pooler keep sessions",
    )  # fmt: skip


def _tls(config: Config) -> Check:
    def there() -> str:
        s3, console = s3_listener_context(config), console_listener_context(config)
        return f"{'http' if s3 is None else 'https'}, the control plane over {'http' if console is None else 'https'}"

    return _settled("TLS", there, "S3 is served over")


def _files(config: Config) -> Check:
    return _settled(
        "open files", lambda: str(fit_open_files(configured_limits(config)).connections), "client connections at once:"
    )


def _spool(config: Config) -> Check:
    def there() -> str:
        check_spool(config.limits.spool_dir)
        return str(config.limits.spool_dir or "the folder for temporary files")

    return _settled("spool", there, "uploads may wait in")


def _settled(name: str, look: Callable[[], str], words: str) -> Check:
    try:
        return Check(name, f"{words} {look()}")
    except SettingsError as error:
        return Check(name, str(error), "correct this setting, or what it speaks of")


# ---- ports ----


def _s3_port(config: Config) -> Check:
    if config.s3.socket is not None:
        return _socket(config.s3.socket, config)
    return _port("S3 port", config.s3.listen, config)


def _socket(path: str, config: Config) -> Check:
    """As `_port`."""
    name, folder = "S3 socket", str(Path(path).parent)
    if not Path(folder).is_dir():
        return Check(name, f"{path}: its folder does not exist", f"make {folder}, writable by the gateway")
    try:
        found = look_at(path)
    except OSError as error:
        return Check(name, f"{path}: {error.strerror}", "let the gateway's user into its folder and at what lies there")
    if found is Found.LIVE and _serving(config):
        return Check(name, f"a gateway serves on {path}")
    if found in (Found.LIVE, Found.OTHER):
        return Check(name, f"{path}: {found.value}", "stop what has it or take it away, or set another path")
    if not os.access(folder, os.W_OK):
        return Check(name, f"{path}: {folder} is not writable", "give that folder to the gateway's user")
    dead = ", and what a dead gateway left there is replaced" if found is Found.DEAD else ""
    return Check(name, f"{path} is free{dead}")


def _console_port(config: Config) -> Check:
    return _port("control plane's port", config.console.listen, config)


def _port(name: str, listen: str, config: Config) -> Check:
    """Free, or a gateway has it: then this configuration is being served already, as far as one can tell."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _serving(config):
            return Check(name, f"a gateway serves on {listen}")
        return Check(name, f"{listen}: {error.strerror or error}", "stop what listens there, or set another address")
    return Check(name, f"{listen} is free")


def _serving(config: Config) -> bool:
    try:
        secure = "s" if config.console.tls_certificate else ""
        address = f"http{secure}://{config.console.listen}/readyz"
        with urllib.request.urlopen(address, timeout=PATIENCE, context=_whoever()) as reply:  # noqa: S310 – http or https
            return "keystore" in json_text.load(reply)
    except urllib.error.HTTPError as unready:  # it says 503, and why
        with unready, suppress(ValueError):
            return "keystore" in json_text.load(unready)
    except (OSError, ValueError, http.client.HTTPException):
        pass
    return False


def _whoever() -> ssl.SSLContext:
    """Its certificate is for another name than the address it listens on, and nothing is told to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# ---- the store ----


def _store(config: Config) -> Iterator[Check]:
    for address in config.upstream.addresses:
        yield from _store_at(config.model_copy(update={"upstream": config.upstream.only(address)}), address)


def _store_at(config: Config, endpoint: str) -> Iterator[Check]:
    try:
        probe = probe_store(config)
    except (OSError, http.client.HTTPException, SettingsError) as error:
        yield Check(
            "store", f"{endpoint} does not answer: {error or type(error).__name__}",
            "is it running, and is upstream.endpoint its S3 port, with the right scheme?"
            if config.upstream.socket is None
            else "is it running, does it listen for S3 there, and may this user write to its socket?",
        )  # fmt: skip
        return
    if probe.status == http.HTTPStatus.OK:
        yield Check("store", f"{endpoint} answers, and accepts the gateway's credential")
    elif probe.code == "RequestTimeTooSkewed":
        yield Check("store", f"{endpoint} refuses: the clocks are too far apart", SET_CLOCKS)
    else:
        what = f"{probe.status} {probe.code}".rstrip()
        yield Check("store", f"{endpoint} refuses the gateway's credential: {what}", _about(probe.code))
    if probe.skew is not None:
        skew = round(probe.skew)
        advice = SET_CLOCKS if abs(probe.skew) > TOLERATED_SKEW else ""
        side = "as this one" if abs(skew) < 1 else f"{abs(skew)} s {'ahead of' if skew > 0 else 'behind'} this one"
        yield Check("clock", f"the store's clock stands {side}", advice)


def _about(code: str) -> str:
    if code == "SignatureDoesNotMatch":
        return "upstream.secret_access_key is not the secret of upstream.access_key_id, or a proxy rewrites Host"
    if code in ("AuthorizationHeaderMalformed", "IllegalLocationConstraintException"):
        return "upstream.region is not the store's"
    return "check upstream.access_key_id and its secret at the store; it must be allowed to list all buckets"
