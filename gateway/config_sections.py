"""The sections of the configuration: every setting with its default, its bounds and one line of why. Reads nothing. The
section of the store is `gateway.config_upstream`.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from gateway.source import UNIX
from gateway.spans import Span
from gateway.unix_address import check_unix_path, unix_path
from keystore.errors import InvalidInput
from keystore.source_cidrs import clean_cidrs

_Bytes = Annotated[int, Field(ge=1024, le=2**40)]
_Seconds = Annotated[float, Field(ge=2, le=3600)]  # waits are looked at once a second


class SettingsError(Exception):
    """The configuration cannot be used. The text names every setting that is wrong, one a line."""


class Section(BaseModel):
    """One of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine; of a name only localhost does."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not host or "/" in host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be HOST:PORT, for example 127.0.0.1:9000 or [::1]:9000")
    return value


def _address_or_socket(value: str) -> str:
    path = unix_path(value)
    if path is None:
        return _address(value)
    check_unix_path(path)
    return value


class S3Settings(Section):
    """The S3 listener."""

    listen: str = Field(
        "127.0.0.1:9000",
        description="HOST:PORT on which S3 clients connect, or unix:/PATH of a socket for those on this machine: plain "
        "http, in a folder that exists.",
    )
    socket_mode: str = Field(
        "0660",
        description="Who may connect to that socket, as its file mode: whoever may write. By default the gateway's own "
        "user and group.",
    )
    domains: tuple[str, ...] = Field(
        (), description="Base domains of virtual-hosted-style requests; empty: every Host is path-style."
    )
    regions: tuple[str, ...] = Field(
        ("*",), description="Regions that may be signed for; '*' is any. The first concrete one is reported to clients."
    )
    sigv2_presigned: bool = Field(
        True,
        description="Accept SigV2 presigned GET, HEAD and PUT and upload forms, as boto3 and aws-cli v1 make them by "
        "default.",
    )
    allow_operations: tuple[str, ...] = Field(
        (), description="Operations refused for every key (they open data or name another bucket) to allow after all."
    )
    echo_canonical_request: bool = Field(
        False, description="Show the client its own canonical request in SignatureDoesNotMatch; for debugging a client."
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Networks of proxies in front whose X-Forwarded-For is believed, for keys with source networks; "
        "'unix' is whoever connects to the Unix socket. Empty: only the connection's own address counts, and a Unix "
        "socket has none.",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file, the certificate first, then its chain: clients connect with https. With tls_key."
    )
    tls_key: Path | None = Field(None, description="PEM file with its private key, readable by nobody else.")

    _check_listen = field_validator("listen")(_address_or_socket)

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("give both tls_certificate and tls_key, or neither")
        if self.socket is not None and self.tls_certificate is not None:
            raise ValueError(
                "tls_certificate: a Unix socket leaves no machine and is plain http; let a proxy speak TLS"
            )
        return self

    @field_validator("socket_mode")
    @classmethod
    def _octal(cls, value: str) -> str:
        if len(value) != 4 or value[0] != "0" or not set(value) <= set("01234567"):
            raise ValueError('must be a file mode such as "0660"')
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            networks = clean_cidrs([word for word in value if word != UNIX])
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        return (UNIX, *networks) if UNIX in value else networks

    @property
    def socket(self) -> str | None:
        """The path of the Unix socket that it listens on; None for a TCP port."""
        return unix_path(self.listen)

    @property
    def address(self) -> str:
        """What clients are told to ask: the first domain there is, else where it listens; "" for a Unix socket, which
        no URL names."""
        if not self.domains and self.socket is not None:
            return ""
        scheme = "http" if self.tls_certificate is None else "https"
        return f"{scheme}://{self.domains[0] if self.domains else self.listen}"

    @field_validator("domains")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(domain.lower().strip(".") for domain in value)


class ConsoleSettings(Section):
    """The control plane."""

    listen: str = Field(
        "127.0.0.1:9001",
        description="HOST:PORT of the console, REST, IAM and STS, /healthz and /readyz; never the S3 listener. Other "
        "than loopback only with TLS: here, or at the address that public_url names.",
    )
    public_url: str | None = Field(
        None,
        description="https:// address under which people reach the console, when a proxy stands in front of it; "
        "http:// on loopback only.",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file, the certificate first, then its chain: the console speaks https. With tls_key."
    )
    tls_key: Path | None = Field(None, description="PEM file with its private key, readable by nobody else.")

    _check_listen = field_validator("listen")(_address)

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("must be https://HOST[:PORT], without a path")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("plain http is for loopback only: tokens and secrets would travel in the clear")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _never_in_the_clear(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("give both tls_certificate and tls_key, or neither")
        host = self.listen.rpartition(":")[0].strip("[]")
        proxied = self.public_url is not None and self.public_url.startswith("https:")
        if self.tls_certificate is None and not proxied and not is_loopback(host):
            raise ValueError(
                f"listen: {self.listen} is not loopback, and without TLS tokens and secrets would travel in the clear; "
                'give tls_certificate and tls_key, or public_url = "https://…" of a proxy in front'
            )
        return self

    @property
    def address(self) -> str:
        """Under which a browser on this machine, or wherever public_url leads, finds the console."""
        return self.public_url or f"{'http' if self.tls_certificate is None else 'https'}://{self.listen}"


class KeystoreSettings(Section):
    """Where access keys live."""

    url: SecretStr = Field(
        SecretStr("sqlite:///data/keystore.db"),
        description="sqlite:///PATH, relative to the configuration file, for one machine; "
        "postgresql://USER:PASSWORD@HOST:PORT/DATABASE for many.",
    )
    kek_file: Path = Field(
        Path("data/kek"), description="File with the key-encryption key; make it with `nqgate kek create FILE`."
    )
    state_file: Path | None = Field(
        None,
        description="File that remembers how far the keystore had come, so that an older copy put back is noticed; "
        "beside it, with `.state` behind its name, when absent; for PostgreSQL, where every host has one of its own, "
        "beside the KEK file. Keep it out of backups; on another disk it also survives what takes the keystore's.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        here = text.startswith("sqlite:///") and len(text) > len("sqlite:///")
        if not here and not text.startswith(("postgresql://", "postgres://")):
            raise ValueError("must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
        return value

    @property
    def remote(self) -> bool:
        """Whether it is a database that other machines share."""
        return not self.url.get_secret_value().startswith("sqlite:///")

    @property
    def host_state_file(self) -> Path:
        """Where this host remembers how far a database that other machines share had come."""
        return self.state_file or self.kek_file.with_name(self.kek_file.name + ".state")

    @property
    def path(self) -> Path:
        """Where the file of a keystore on this machine lies. SettingsError for one that is a database."""
        if self.remote:
            raise SettingsError(
                "keystore.url names a PostgreSQL database: this is there for a keystore on one machine only, so far"
            )
        return Path(self.url.get_secret_value().removeprefix("sqlite:///"))


class KeysSettings(Section):
    """The life of access keys."""

    max_lifetime: Span | None = Field(
        None,
        description="The longest a key may live from when it was made, such as 365d: no key is made, imported, rolled "
        "or extended to end later, or never. Keys there are stay as they are.",
    )
    rotate_after: Span = Field("90d", validate_default=True, description="From this age on a key is shown as old.")


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


class WorkersSettings(Section):
    """The processes that serve S3."""

    count: int | None = Field(
        None,
        ge=1,
        le=48,
        description="Processes that share the S3 port and the limits below; one for each processor when absent.",
    )


class LogSettings(Section):
    """The log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="From which level on lines are written."
    )
    format: Literal["json", "text"] = Field("text", description="json: one object a line, for machines.")
