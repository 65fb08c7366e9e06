"""An engine and its listener, put together from the configuration: in each worker the same."""

import logging
import os
import resource
import secrets
import ssl
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from gateway.authorize import Policy
from gateway.config import Config, SettingsError
from gateway.forward import UpstreamTarget
from gateway.pipeline import Rules
from gateway.respond import ReplyRules
from gateway.s3.addressing import Addressing
from gateway.s3.profile import PROFILES
from gateway.sigv4.claim import ClaimRules
from gateway.sigv4.signing import UpstreamSigner
from gateway.source import read_trusted
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.request_log import RequestLog
from gateway.telemetry.tracing import Tracing
from gateway.wire.endpoints import Endpoint
from gateway.wire.engine import BucketWriter, Engine
from gateway.wire.limits import Limits
from gateway.wire.pool import Watching
from gateway.wire.roles import Board, ControlPlane, Directory
from gateway.wire.tls import listener_context, upstream_context
from keystore.derived import StoreCredential
from keystore.secret_mode import open_to_others

LOG: Final = logging.getLogger("nqgate")
SPARE_FILES: Final = 64  # keystore, log, control plane, resolver, and clients that are told to slow down


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
        trusted_proxies=read_trusted(config.s3.trusted_proxies),
    )


class Parts(NamedTuple):
    """What an engine works with that the configuration does not say. `credential`: the gateway's own at the store.
    `control`: who answers for IAM and STS; None = nobody does."""

    directory: Directory
    credential: StoreCredential
    writer: BucketWriter
    board: Board
    limits: Limits
    control: ControlPlane | None = None


def configured_limits(config: Config) -> Limits:
    return Limits(**config.limits.model_dump())


def build_engine(config: Config, parts: Parts) -> Engine:
    """An engine on the running loop. Raises SettingsError when the upstream's settings cannot be used together."""
    upstream = config.upstream
    url = upstream.url
    trailers = PROFILES[upstream.profile].trailers if upstream.trailers is None else upstream.trailers
    check_spool(config.limits.spool_dir)
    engine = Engine(
        limits=fit_open_files(parts.limits),
        rules=_rules(config),
        reply_rules=ReplyRules(
            reported_region=_reported_region(config).encode(),
            scheme=b"http" if config.s3.tls_key is None else b"https",
            hidden=tuple(word.lower() for word in (*upstream.hosts, upstream.access_key_id, upstream.socket) if word),
        ),
        directory=parts.directory,
        endpoints=configured_endpoints(config),
        target=UpstreamTarget(url.netloc.encode(), url.path.rstrip("/").encode(), upstream.region.encode(), trailers),
        signer=UpstreamSigner(parts.credential, upstream.region.encode()),
        writer=parts.writer,
        request_log=stderr_log(config),
        board=parts.board,
        control=parts.control,
        watching=Watching(upstream.resolve_interval, upstream.health_interval),
    )
    if config.log.access != "off" and config.log.tells_requests:
        engine.on_ended_with += (_access_log(config, engine.request_log).ended,)
    if config.telemetry.otlp_endpoint is not None:
        tracing = configured_tracing(config, config.telemetry.otlp_endpoint)
        engine.begin_span = tracing.begin
        engine.on_ended_with += (tracing.ended,)
    return engine


def configured_tracing(config: Config, endpoint: str) -> Tracing:
    """SettingsError where the extra is not installed."""
    try:
        from gateway.telemetry.otlp import open_exporter
    except ImportError:
        raise SettingsError("telemetry.otlp_endpoint needs an extra: pip install 'nqgate[otel]'") from None
    trusted = read_trusted(config.s3.trusted_proxies)
    export = open_exporter(endpoint, version("nqgate"))
    return Tracing(export, config.telemetry.sample_ratio, trusted, object_keys=config.log.object_keys)


def _access_log(config: Config, request_log: RequestLog) -> AccessLog:
    log, trusted = config.log, read_trusted(config.s3.trusted_proxies)
    return AccessLog(request_log.add, log.format, trusted, every=log.access == "all", object_keys=log.object_keys)


def configured_endpoints(config: Config) -> list[Endpoint]:
    """Where the store is. SettingsError for authorities that cannot be read."""
    upstream = config.upstream
    secure = upstream.url.scheme == "https"
    try:
        tls = upstream_context(upstream.ca_file) if secure else None
    except OSError as error:
        raise SettingsError(f"upstream.ca_file: {error}") from error
    several = len(upstream.urls) > 1
    found = []
    for url in upstream.urls:
        host, port = url.hostname or "", url.port or (443 if secure else 80)
        called = url.netloc.encode() if several else b""
        found.append(Endpoint(host, port, tls, host, upstream.socket, called))
    return found


def stderr_log(config: Config) -> RequestLog:
    """Where all lines go, from the level on that is configured."""

    def write(lines: str) -> None:
        sys.stderr.write(lines)
        sys.stderr.flush()

    return RequestLog(write if config.log.tells_requests else None, config.log.format, config.log.access)


def check_spool(directory: Path | None) -> None:
    """SettingsError when no file can be made there."""
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
    if room < 2:
        raise SettingsError(f"limits.upstream_connections: the process may open {hard} files in all (ulimit -n)")
    fitted = limits._replace(handshakes=min(limits.handshakes, max(1, room // 8)))
    room -= fitted.handshakes
    if limits.connections > room:
        LOG.warning(
            "limits.connections is %d, but only %d files may be open in all (ulimit -n): %d connections are accepted",
            limits.connections,
            hard,
            room,
        )
        return fitted._replace(connections=room)
    return fitted


def s3_listener_context(config: Config) -> ssl.SSLContext | None:
    """None for plain http. Raises SettingsError for files that cannot be used, or a key that others can read."""
    return _listener_context("s3", config.s3.tls_certificate, config.s3.tls_key)


def console_listener_context(config: Config) -> ssl.SSLContext | None:
    """As `s3_listener_context`, of the control plane."""
    return _listener_context("console", config.console.tls_certificate, config.console.tls_key)


def _listener_context(section: str, certificate: Path | None, private_key: Path | None) -> ssl.SSLContext | None:
    if certificate is None or private_key is None:
        return None
    try:
        state = private_key.stat()
        if open_to_others(state.st_mode, state.st_uid, os.geteuid()):
            raise SettingsError(f"{section}.tls_key: others can read {private_key}; run: chmod 600 {private_key}")
        return listener_context(certificate, private_key)
    except OSError as error:  # ssl.SSLError is one
        why = error.strerror or str(error)
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            why = f"the key {private_key} does not belong to the certificate {certificate}"
        raise SettingsError(f"{section}.tls_certificate, {section}.tls_key: {why}") from error
