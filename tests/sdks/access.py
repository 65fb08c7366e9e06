"""Where a client of the matrix goes and as whom, and the two ways in which a call of it may not be done."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

REGION = "us-east-1"


class Unsupported(Exception):
    """The client has no such call."""


class Failed(Exception):
    """The client's own words."""


@dataclass(frozen=True, slots=True)
class Access:
    """`home`: an empty folder of the client's own. `ca`: a PEM to trust, where the endpoint is https."""

    endpoint: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    home: Path
    ca: Path | None = None

    @property
    def host(self) -> str:
        return self.endpoint.partition("://")[2]

    @property
    def secure(self) -> bool:
        return self.endpoint.startswith("https:")

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that finds nothing of the machine's own AWS settings."""
        trusted = {} if self.ca is None else dict.fromkeys(_TRUST, str(self.ca))
        return {
            "SDK_ENDPOINT": self.endpoint,
            "SDK_ACCESS_KEY_ID": self.access_key_id,
            "SDK_SECRET_ACCESS_KEY": self.secret_access_key,
            "SDK_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            **trusted,
        }


_TRUST = ("SDK_CA", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "AWS_CA_BUNDLE")


class Client(Protocol):
    def call(self, name: str, **arguments: Any) -> Any:
        """Raises Failed and Unsupported."""
