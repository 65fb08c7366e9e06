"""The sections of the configuration: every setting with its default, its bounds and one line of why. Reads nothing. The
sections of the store and of the limits are `gateway.config_upstream` and `gateway.config_limits`.
"""

import ipaddress
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from gateway.source import UNIX
from gateway.spans import Span
from gateway.unix_address import check_unix_path, unix_path
from keystore.errors import InvalidInput
from keystore.source_cidrs import clean_cidrs


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

    connections: int = Field(
        1024,
        ge=16,
        le=65536,
        description="Connections to it that may be open at once, and TLS handshakes as many again; beyond that the "
        "eldest gives way, so that idle ones keep nobody out.",
    )
    metrics_networks: tuple[str, ...] = Field(
        ("127.0.0.0/8", "::1/128"),
        description="Networks whose connections may read /metrics without a token, and without X-Forwarded-For. "
        "Anybody else needs an operator's token; empty: everybody does.",
    )

    _check_listen = field_validator("listen")(_address)

    @field_validator("metrics_networks")
    @classmethod
    def _check_metrics_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return clean_cidrs(value)
        except InvalidInput as error:
            raise ValueError(str(error)) from error

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
    remembered: int = Field(
        117440512,
        ge=1048576,
        le=17179869184,
        description="Bytes of records that each worker remembers, 5.5 KiB for a key in use: 20,000 of them. A key that "
        "is not remembered costs two look-ups; with more in turn than fit, every request does.",
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
    access: Literal["off", "refused", "all"] = Field(
        "refused",
        description="Of which requests there is a line with key, operation, bucket, bytes and times: of all, of those "
        "that the gateway refused or cut, or of none; then a refusal says its reason alone. Of level info.",
    )
    object_keys: bool = Field(
        False, description="Name the object in these lines: object keys are often people's data, and logs live long."
    )

    @property
    def tells_requests(self) -> bool:
        """Whether lines of single requests, which are of level info, are written."""
        return self.level in ("debug", "info")
