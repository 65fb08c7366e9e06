"""The section of the limits: every bound of the wire, with its default and one line of why. Reads nothing."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gateway.config_sections import Section

_Bytes = Annotated[int, Field(ge=1024, le=2**40)]
_Seconds = Annotated[float, Field(ge=2, le=3600)]  # waits are looked at once a second


class LimitsSettings(Section):
    """Every bound of the wire. Sizes in bytes, times in seconds."""

    head_bytes: _Bytes = Field(
        65536,
        description="One request head: S3 allows 8 KiB of headers, presigned URLs and long object keys come on top.",
    )
    head_count: int = Field(256, ge=16, le=4096, description="Header fields in one head: parsing costs by the field.")
    head_timeout: _Seconds = Field(10, description="From the first byte of a head to its last: ends slow-head attacks.")
    keep_alive_timeout: _Seconds = Field(
        75, description="Idle time between requests; longer than the pools of SDKs keep one."
    )
    body_idle_timeout: _Seconds = Field(
        60, description="Longest silence inside a body, either way; never a total time."
    )
    connections: int = Field(
        10000,
        ge=1,
        le=1_000_000,
        description="Open client connections; more are told SlowDown. Fewer where fewer files may be open.",
    )
    connections_per_address: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Of these from one address, an IPv6 one being its /64; 0 = no limit but the fair one: when all are "
        "taken, idle ones of whoever has most are closed. Thousands may share an address (NAT). What trusted_proxies "
        "names is not counted.",
    )
    handshakes: int = Field(
        1024,
        ge=1,
        le=65535,
        description="TLS handshakes under way at once; when there are more, the oldest gives way.",
    )
    requests: int = Field(
        1024,
        ge=1,
        le=1_000_000,
        description="Requests under way at once, from when their signature held. Beyond, keys that have their share "
        "are told SlowDown and others are let in, up to as many again. A few times upstream_connections, and never "
        "fewer: who waits for one of those longer than upstream_wait_timeout has waited for nothing.",
    )
    requests_per_access_key: int = Field(
        0, ge=0, le=1_000_000, description="Of these with one access key; 0 = its fair share when there are too many."
    )
    requests_per_address: int = Field(
        0, ge=0, le=1_000_000, description="Of these from one address, as for connections; 0 = no limit."
    )
    refusals_per_address: int = Field(
        100,
        ge=0,
        le=1_000_000,
        description="Requests a second from one address that are refused before anything is proven; then, until the "
        "second ends, SlowDown before any cryptography. Not for connections that proved something last. 0 = no limit.",
    )
    pipelined_bytes: _Bytes = Field(
        65536, description="What a client may send ahead of being served, one head in any case; then reading pauses."
    )
    linger_timeout: _Seconds = Field(
        2, description="How long a refused body is thrown away before closing, so that the refusal can be read."
    )
    linger_bytes: _Bytes = Field(
        16777216,
        description="How much of it is: clients that send first and listen later are done by then. When more is "
        "announced nothing is read.",
    )
    read_buffer: int = Field(
        1114112,
        ge=16384,
        le=16777216,
        description="One read from a socket; larger reads cost fewer calls. Slow peers hold eight such buffers, then "
        "smaller ones.",
    )
    spool_memory: int = Field(
        1048576,
        ge=0,
        le=67108864,
        description="Bodies up to here are held in memory and verified before the store hears of them; of longer ones "
        "that must wait, the rest goes to a file.",
    )
    buffer_total: _Bytes = Field(
        268435456, description="Memory for all request bodies and rebuilt replies at once; then SlowDown."
    )
    spool_file: _Bytes = Field(
        8388608,
        description="Uploads up to here whose checksum comes behind them, or whose length is not announced, wait in a "
        "file; the store gets length and checksum before the body. An upload of unknown length that is longer is 411.",
    )
    spool_part: _Bytes = Field(
        67108864, description="The same for UploadPart: at completion stores ask for the checksum of every part."
    )
    spool_total: _Bytes = Field(4294967296, description="All of these files together; then SlowDown.")
    spool_dir: Path | None = Field(
        None, description="Folder of these files, which have no name there; the system's for temporary files if absent."
    )
    signed_chunk: _Bytes = Field(
        16777216, description="One signed chunk, which waits for its signature: SDKs send 64 KiB to 1 MiB."
    )
    control_body: _Bytes = Field(2097152, description="One control document: 1,000 object keys of 1 KiB, escaped, fit.")
    reply_document: _Bytes = Field(
        8388608, description="A document of the store that must be rebuilt: 1,000 entries fit."
    )
    object_size: _Bytes = Field(5368709120, description="One upload request: S3 allows 5 GiB.")
    upstream_connections: int = Field(256, ge=1, le=65535, description="Connections to the store at once.")
    upstream_connect_timeout: _Seconds = Field(3, description="To reach the store; a dead one is answered 503 in time.")
    upstream_wait_timeout: _Seconds = Field(4, description="Waiting for a free connection; then SlowDown.")
    upstream_reply_timeout: _Seconds = Field(
        120, description="From the request's last byte to the reply's first: completing a large upload takes long."
    )
    upstream_idle: _Seconds = Field(
        30, description="Idle connections to the store are closed after this, before the store does it."
    )
    drain_timeout: _Seconds = Field(30, description="How long a stop waits for running requests.")
    drain_delay: float = Field(
        0,
        ge=0,
        le=300,
        description="How long a stop goes on serving before the listeners close, while /readyz says 503 and replies "
        "end their connections: balancers hear of it late, the endpoints of Kubernetes by some seconds.",
    )
    replace_timeout: _Seconds = Field(
        3600,
        description="How long workers that were replaced, by a reload or by a gateway that took over, may go on with "
        "what they had under way. Nobody waits for them.",
    )
