"""Which buckets the store has, asked once by a command: the gateway's own credential, the way the gateway signs."""

import http.client
import socket
import time
from contextlib import closing
from typing import Final
from urllib.parse import SplitResult

from gateway.config import Config, SettingsError
from gateway.forward import UpstreamTarget, plan_list_buckets
from gateway.s3.errors import S3Error
from gateway.s3.listing import ListedBucket, read_buckets
from gateway.sigv4.signing import UpstreamSigner
from gateway.wire.tls import upstream_context
from keystore.derived import UpstreamCredential

TIMEOUT: Final = 10.0  # seconds; a person waits
MAX_PAGES: Final = 1000
MAX_PAGE: Final = 16 << 20  # bytes


def store_buckets(config: Config) -> list[ListedBucket]:
    """All of them, in the store's order. Raises SettingsError when the store does not answer, or not with a list."""
    upstream = config.upstream
    signer = UpstreamSigner(UpstreamCredential(upstream.access_key_id, upstream.secret()), upstream.region.encode())
    named = ", ".join([url.netloc for url in upstream.urls]) if upstream.socket is None else upstream.endpoint
    found: list[ListedBucket] = []
    token: str | None = None
    try:
        for _ in range(MAX_PAGES):
            connection, target = connected(config)
            with closing(connection):
                page, token = _page(connection, plan_list_buckets(target, signer, time.time(), token).head)
            found += page
            if not token:
                return found
    except (OSError, http.client.HTTPException, S3Error) as error:
        raise SettingsError(f"upstream.endpoint: {named} did not list its buckets: {error}") from error
    raise SettingsError(f"upstream.endpoint: the list of buckets of {named} does not end")


def connected(config: Config) -> tuple[socket.socket, UpstreamTarget]:
    """A connection to the store, whose certificate was verified where it has one, and how it is called there: at the
    first of its endpoints that takes one. OSError of the last."""
    upstream = config.upstream
    for number, url in enumerate(upstream.urls, start=1):
        try:
            connection = _connected_here(upstream.socket) if upstream.socket else _connected(config, url)
        except OSError:
            if number == len(upstream.urls):
                raise
        else:
            path = url.path.rstrip("/").encode()
            return connection, UpstreamTarget(url.netloc.encode(), path, upstream.region.encode())
    raise AssertionError("a configuration names one endpoint at least")


def _connected(config: Config, url: SplitResult) -> socket.socket:
    host, secure = url.hostname or "", url.scheme == "https"
    connection = socket.create_connection((host, url.port or (443 if secure else 80)), timeout=TIMEOUT)
    if not secure:
        return connection
    return upstream_context(config.upstream.ca_file).wrap_socket(connection, server_hostname=host)


def _connected_here(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(TIMEOUT)
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _page(connection: socket.socket, head: bytes) -> tuple[list[ListedBucket], str | None]:
    connection.sendall(head)
    with http.client.HTTPResponse(connection, method="GET") as reply:
        reply.begin()
        if reply.status != http.HTTPStatus.OK:
            raise http.client.HTTPException(f"status {reply.status}")
        return read_buckets(reply.read(MAX_PAGE))
