"""How the store answers to the gateway's own credential, asked once: for whoever wonders why nothing works."""

import http.client
import time
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from gateway.config import Config
from gateway.forward import plan_list_buckets
from gateway.sigv4.signing import UpstreamSigner
from gateway.store_buckets import connected
from gateway.store_errors import store_code
from keystore.derived import UpstreamCredential

MAX_DOCUMENT: Final = 65_536  # bytes of an error that are read


class Probe(NamedTuple):
    """`code`: the store's word for an error, "" for none. `skew`: seconds by which its clock is ahead of this one's;
    None when it does not say its time."""

    status: int
    code: str
    skew: float | None


def probe_store(config: Config) -> Probe:
    """Ask for the list of buckets. OSError or HTTPException when the store does not answer in HTTP."""
    upstream = config.upstream
    signer = UpstreamSigner(UpstreamCredential(upstream.access_key_id, upstream.secret()), upstream.region.encode())
    connection, target = connected(config)
    with closing(connection):
        asked = time.time()
        connection.sendall(plan_list_buckets(target, signer, asked, None).head)
        with http.client.HTTPResponse(connection, method="GET") as reply:
            reply.begin()
            between = (asked + time.time()) / 2
            document = reply.read(MAX_DOCUMENT)
            code = "" if reply.status == http.HTTPStatus.OK else store_code(document)
            return Probe(reply.status, code, _skew(reply.getheader("Date"), between))


def _skew(date: str | None, now: float) -> float | None:
    """The header has whole seconds: half of one is added, so that its error is half a second at most."""
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp() + 0.5 - now
    except ValueError:
        return None
