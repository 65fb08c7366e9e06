"""Every bound of the wire, as numbers. Defaults and reasons stand in the configuration, `[limits]`."""

from pathlib import Path
from typing import NamedTuple


class Limits(NamedTuple):
    """Sizes in bytes, times in seconds. No read, buffer, queue or wait of the wire is without one of these."""

    head_bytes: int
    head_count: int
    head_timeout: float
    keep_alive_timeout: float
    body_idle_timeout: float
    connections: int
    connections_per_address: int
    handshakes: int
    requests: int
    requests_per_access_key: int
    requests_per_address: int
    refusals_per_address: int
    pipelined_bytes: int
    linger_timeout: float
    linger_bytes: int
    read_buffer: int
    spool_memory: int
    buffer_total: int
    spool_file: int
    spool_part: int
    spool_total: int
    spool_dir: Path | None
    signed_chunk: int
    control_body: int
    reply_document: int
    object_size: int
    upstream_connections: int
    upstream_connect_timeout: float
    upstream_wait_timeout: float
    upstream_reply_timeout: float
    upstream_idle: float
    drain_timeout: float
    drain_delay: float
    replace_timeout: float
