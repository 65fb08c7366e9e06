"""Puts the parts together from the configuration, opens both listeners, and runs until told to stop."""

import asyncio
import contextlib
import logging
import resource
import secrets
import signal
import ssl
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from aiohttp import web

from gateway.authorize import Policy
from gateway.config import Config, SettingsError
from gateway.console.app import Readiness, build_app
from gateway.forward import UpstreamTarget
from gateway.pipeline import Rules
from gateway.respond import ReplyRules
from gateway.s3.addressing import Addressing
from gateway.s3.profile import PROFILES
from gateway.sigv4.claim import ClaimRules
from gateway.sigv4.signing import UpstreamSigner
from gateway.telemetry.request_log import RequestLog
from gateway.usage import keep_written, write_out
from gateway.wire.cutting import Cutter
from gateway.wire.engine import Engine
from gateway.wire.limits import Limits
from gateway.wire.pool import Endpoint
from gateway.wire.roles import Board
from gateway.wire.server import ClientConnection
from gateway.wire.tls import listener_context, upstream_context
from keystore.board import Identity, Seat
from keystore.derived import UpstreamCredential
from keystore.directory import Directory, open_directory
from keystore.high_water import HighWater, kept
from keystore.kek_file import KekWatch, kek_watched
from keystore.means import RingMeans
from keystore.sealing import KekRing, load_kek_ring
from keystore.source_cidrs import read_networks
from keystore.sqlite import open_sqlite_store
from keystore.sqlite_file import keystore_path
from keystore.store import Store

LOG: Final = logging.getLogger("nqgate")
BACKLOG: Final = 1024  # connections the kernel may hold while the loop is busy
SPARE_FILES: Final = 64  # keystore, log, control plane, resolver, and clients that are told to slow down


class BoundAddresses(NamedTuple):
    """Where both listeners are reached, as URLs."""

    s3: str
    console: str


def _reported_region(config: Config) -> str:
    return next((region for region in config.s3.regions if region != "*"), "us-east-1")


def configured_policy(config: Config) -> Policy:
    """What the operator opened and the store offers."""
    allowed = frozenset(config.s3.allow_operations)
    return Policy(PROFILES[config.upstream.profile], allowed, config.upstream.dot_segments == "pass")


def _rules(config: Config) -> Rules:
    regions = config.s3.regions
    dot_segments = config.upstream.dot_segments == "pass"
    profile = PROFILES[config.upstream.profile]
    return Rules(
        addressing=Addressing(
            domains=tuple(domain.encode() for domain in config.s3.domains),
            reserved=profile.reserved,
            dot_segments=dot_segments,
        ),
        claim=ClaimRules(
            regions=None if "*" in regions else frozenset(region.encode() for region in regions),
            sigv2_presigned=config.s3.sigv2_presigned,
            reported_region=_reported_region(config).encode(),
            echo=config.s3.echo_canonical_request,
        ),
        policy=configured_policy(config),
        dummy_date_key=secrets.token_bytes(32),
        trusted_proxies=read_networks(config.s3.trusted_proxies),
    )


def build_engine(config: Config, directory: Directory, writer: Store, request_log: RequestLog, board: Board) -> Engine:
    """An engine on the running loop. Raises SettingsError when the upstream's settings cannot be used together."""
    upstream = config.upstream
    url = urlsplit(str(upstream.endpoint))
    secure = url.scheme == "https"
    host = url.hostname or ""
    port = url.port or (443 if secure else 80)
    host_header = url.netloc.rpartition("@")[2].encode()
    try:
        tls = upstream_context(upstream.ca_file) if secure else None
    except OSError as error:
        raise SettingsError(f"upstream.ca_file: {error}") from error
    credential = UpstreamCredential(upstream.access_key_id, upstream.secret())
    trailers = PROFILES[upstream.profile].trailers if upstream.trailers is None else upstream.trailers
    _check_spool(config.limits.spool_dir)
    return Engine(
        limits=fit_open_files(Limits(**config.limits.model_dump())),
        rules=_rules(config),
        reply_rules=ReplyRules(
            reported_region=_reported_region(config).encode(),
            scheme=b"http" if config.s3.tls_key is None else b"https",
            hidden=(host.lower(), upstream.access_key_id.lower()),
        ),
        directory=directory,
        endpoint=Endpoint(host, port, tls, host),
        target=UpstreamTarget(host_header, url.path.rstrip("/").encode(), upstream.region.encode(), trailers),
        signer=UpstreamSigner(credential, upstream.region.encode()),
        writer=writer,
        request_log=request_log,
        board=board,
    )


def stderr_log(config: Config) -> RequestLog:
    """Where all lines go, from the level on that is configured."""

    def write(lines: str) -> None:
        sys.stderr.write(lines)
        sys.stderr.flush()

    return RequestLog(write if config.log.level in ("debug", "info") else None, config.log.format)


def _check_spool(directory: Path | None) -> None:
    try:
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise SettingsError(f"limits.spool_dir: no file can be made in {directory}: {error.strerror}") from error


def fit_open_files(limits: Limits) -> Limits:
    """No more client connections than the process may have files open, beside those to the store: strangers could take
    every descriptor, and no connection to the store could be opened any more. Raises SettingsError when none is left.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return limits
    room = hard - limits.upstream_connections - SPARE_FILES
    if room < 1:
        raise SettingsError(f"limits.upstream_connections: the process may open {hard} files in all (ulimit -n)")
    if limits.connections > room:
        LOG.warning(
            "limits.connections is %d, but only %d files may be open in all (ulimit -n): %d connections are accepted",
            limits.connections,
            hard,
            room,
        )
        return limits._replace(connections=room)
    return limits


def _split(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _url(sockets: list[tuple[str, int]], host: str, scheme: str = "http") -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{sockets[0][1]}"


def s3_listener_context(config: Config) -> ssl.SSLContext | None:
    """None for plain http. Raises SettingsError for files that cannot be used, or a key that others can read."""
    certificate, private_key = config.s3.tls_certificate, config.s3.tls_key
    if certificate is None or private_key is None:
        return None
    try:
        if private_key.stat().st_mode & 0o077:
            raise SettingsError(f"s3.tls_key: others can read {private_key}; run: chmod 600 {private_key}")
        return listener_context(certificate, private_key)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(f"s3.tls_certificate, s3.tls_key: {error.strerror or error}") from error


async def _serve_console(stack: contextlib.AsyncExitStack, listen: str, readiness: Readiness) -> str:
    """The control plane, until the stack unwinds; → its address as a URL. OSError for one that is taken."""
    host, port = _split(listen)
    runner = web.AppRunner(build_app(readiness), access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host, port).start()
    return _url([address[:2] for address in runner.addresses], host)


def _verifying(directory: Directory) -> Callable[[KekRing], None]:
    return lambda ring: directory.use(RingMeans(ring))


def _shown_on(seat: Seat) -> Callable[[KekRing], None]:
    return lambda ring: seat.loaded([each.kek_id for each in ring.keks])


async def serve(config: Config, *, on_ready: Callable[[BoundAddresses], None] | None = None) -> int:
    """Run until SIGTERM or SIGINT, then drain. Returns how many requests had to be cut (0 = a clean end).

    A new keystore is migrated first. Raises KeystoreError, SettingsError, or OSError for an address that is taken.
    """
    loop = asyncio.get_running_loop()
    kek = load_kek_ring(config.keystore.kek_file)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        writer = await stack.enter_async_context(open_sqlite_store(config.keystore.path, kek, create=True))
        directory = open_directory(config.keystore.path, kek)
        stack.callback(directory.close)
        water = HighWater(config.keystore.path, kek, config.keystore.state_file)
        await stack.enter_async_context(kept(water, lambda: directory.where()[1], LOG.warning))
        files, applied = directory.where()
        seat = Seat(keystore_path(config.keystore.path), Identity(*files), applied)
        stack.callback(seat.leave)
        users = (_verifying(directory), writer.use, water.use, _shown_on(seat))
        watch = KekWatch(config.keystore.kek_file, kek, users, LOG.warning)
        await stack.enter_async_context(kek_watched(watch))
        engine = build_engine(config, directory, writer, stderr_log(config), seat)
        directory.on_change = Cutter(engine).on_change
        directory.on_applied = seat.applied
        host, port = _split(config.s3.listen)
        tls = s3_listener_context(config)
        server = await loop.create_server(
            lambda: ClientConnection(engine),
            host,
            port,
            backlog=BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else config.limits.head_timeout,
        )
        stack.callback(server.close)
        database = keystore_path(config.keystore.path)
        stack.callback(write_out, engine.tally, database)
        writing = loop.create_task(keep_written(engine.tally, database))
        stack.callback(writing.cancel)
        ticking = loop.create_task(engine.run())
        stack.callback(ticking.cancel)
        readiness = Readiness(
            keystore_fresh=directory.fresh_or_refreshed,
            serving=lambda: not engine.draining,
            upstream_error=lambda: engine.upstream.pool.last_error,
        )
        console = await _serve_console(stack, config.console.listen, readiness)
        scheme = "http" if tls is None else "https"
        bound = BoundAddresses(_url([s.getsockname()[:2] for s in server.sockets], host, scheme), console)
        LOG.info("serving S3 on %s, health on %s", bound.s3, bound.console)
        if on_ready is not None:
            on_ready(bound)
        await stop.wait()
        server.close()
        cut = await engine.drain()
        LOG.info("stopped; %d requests were cut", cut)
        return cut
