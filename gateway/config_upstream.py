"""The section of the store behind: where it is, by addresses or a socket of this machine, and with what it is asked.
As the other sections, but that it reads the file of the secret.
"""

import os
import re
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.config_sections import Section, SettingsError
from gateway.unix_address import check_unix_path, unix_path
from keystore.secret_mode import open_to_others

MAX_ENDPOINTS: Final = 64  # each is looked at, and compared for each request
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?")


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH")
    if parts.username or parts.password:
        raise ValueError("must not hold a credential; use access_key_id and secret_access_key_file")
    return value.rstrip("/")


class UpstreamSettings(Section):
    """The object store behind."""

    endpoint: str | None = Field(
        None,
        description="http:// or https:// address of the store, no bucket, no query; or unix:/PATH of a socket where it "
        "speaks plain http. This or endpoints is required.",
    )
    endpoints: tuple[str, ...] = Field(
        (),
        max_length=MAX_ENDPOINTS,
        description="Several addresses of the same store, instead of endpoint: nodes of one cluster, which all hold "
        "the same buckets, never different stores. Requests go to the one with the fewest under way; what fails is put "
        "aside until it answers again.",
    )
    resolve_interval: float = Field(
        30,
        ge=1,
        le=3600,
        description="Seconds between two look-ups of the store's name, for DNS does not tell how long an answer holds; "
        "all its addresses are used. While it cannot be looked up the last answer is.",
    )
    health_interval: float = Field(
        5,
        ge=1,
        le=3600,
        description="Seconds between two looks at each of several endpoints, by an unsigned HEAD /; with one there is "
        "nothing to choose, and it is left alone.",
    )
    host: str | None = Field(
        None,
        description="Host that is signed and sent to a store on a Unix socket, whose path names none; localhost when "
        "absent.",
    )
    profile: Literal["generic", "aws", "rgw", "garage", "seaweedfs", "minio", "rclone", "moto"] = Field(
        "generic", description="Which store it is, and so what it can do; what a profile lacks is 501, never forwarded."
    )
    region: str = Field("us-east-1", description="Region that requests to the store are signed for.")
    access_key_id: str = Field(description="The store's own access key id.")
    secret_access_key: SecretStr | None = Field(None, description="Its secret; better in a file of its own.")
    secret_access_key_file: Path | None = Field(
        None, description="File that holds only the secret; refused if others can read it: 0600, or 0640 of root's."
    )
    dot_segments: Literal["refuse", "pass"] = Field(
        "refuse", description="Object keys with '.' or '..' segments: 'pass' only for stores that keep keys opaque."
    )
    trailers: bool | None = Field(
        None,
        description="Whether the store takes a checksum behind the body (STREAMING-UNSIGNED-PAYLOAD-TRAILER); as the "
        "profile says when absent. Only for uploads too large to wait for theirs: see limits.spool_file.",
    )
    ca_file: Path | None = Field(None, description="Authorities for https; the system's when absent.")

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        path = None if value is None else unix_path(value)
        if path is not None:
            check_unix_path(path)
            return value
        return None if value is None else _address(value)

    @field_validator("endpoints")
    @classmethod
    def _check_endpoints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        addresses = [_address(one) for one in value]
        if len(set(addresses)) != len(addresses):
            raise ValueError("one address stands there twice")
        if len({urlsplit(one)[::2] for one in addresses}) > 1:
            raise ValueError("one store is asked in one way: all http:// or all https://, and with the same path")
        return tuple(addresses)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.endpoint is None) != bool(self.endpoints):
            raise ValueError("give exactly one of endpoint and endpoints")
        return self

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.secret_access_key is None) == (self.secret_access_key_file is None):
            raise ValueError("give exactly one of secret_access_key and secret_access_key_file")
        return self

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str | None) -> str | None:
        if value is not None and not _HOST.fullmatch(value):
            raise ValueError("must be a host name, with :PORT where the store expects one")
        return value

    @model_validator(mode="after")
    def _one_host(self) -> Self:
        if self.host is not None and self.socket is None:
            raise ValueError("host: is for a Unix socket only; an http:// or https:// endpoint names its own")
        return self

    @property
    def socket(self) -> str | None:
        """The path of the Unix socket where the store listens; None for an address."""
        return None if self.endpoint is None else unix_path(self.endpoint)

    @property
    def addresses(self) -> tuple[str, ...]:
        """As they are written."""
        return self.endpoints if self.endpoint is None else (self.endpoint,)

    def only(self, address: str) -> "UpstreamSettings":
        """The same of one of its addresses."""
        return self.model_copy(update={"endpoint": address, "endpoints": ()})

    @property
    def urls(self) -> tuple[SplitResult, ...]:
        """What requests to the store name: its endpoints, or over a Unix socket the host it is called by there."""
        if self.socket is not None:
            return (urlsplit(f"http://{self.host or 'localhost'}"),)
        return tuple([urlsplit(address) for address in self.addresses])

    @property
    def url(self) -> SplitResult:
        """The first of them; scheme and path are those of all."""
        return self.urls[0]

    @property
    def hosts(self) -> tuple[str, ...]:
        """By which the store is known and the client is not to hear of it."""
        return tuple([url.hostname or "" for url in self.urls])

    def secret(self) -> str:
        """The store's secret. SettingsError when its file cannot be read or others can read it."""
        if self.secret_access_key is not None:
            return self.secret_access_key.get_secret_value()
        path = self.secret_access_key_file
        assert path is not None
        try:
            state = path.stat()
            if open_to_others(state.st_mode, state.st_uid, os.geteuid()):
                raise SettingsError(f"upstream.secret_access_key_file: others can read {path}; run: chmod 600 {path}")
            return path.read_text().strip()
        except OSError as error:
            raise SettingsError(f"upstream.secret_access_key_file: {path}: {error.strerror}") from error
