"""What everybody of a soak shares: the gateway, the ledger, when it is over, when a worker was killed."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from bench.soak.ledger import Ledger
from tests.support.gateway_process import Gateway, IssuedKey

T = TypeVar("T")

BUCKET: Final = "soak"
DISTURBED: Final = 15.0  # seconds: a connection to a worker that was killed may break, or wait for the next one
BROKEN: Final = (BotoCoreError, HTTPError, OSError, EOFError)  # the connection, not the answer


@dataclass(slots=True)
class Run:
    """`acts`: changes to the keystore so far; `access_key`: of everybody who asks honestly."""

    gateway: Gateway
    access_key: IssuedKey
    ledger: Ledger = field(default_factory=Ledger)
    over: threading.Event = field(default_factory=threading.Event)
    killed_at: float = float("-inf")
    kills: int = 0
    acts: int = 0

    def ask(self, kind: str, act: Callable[[], T], *, refused: str = "") -> T | None:
        """What an honest request gives; None if it was broken off by a kill, or was `refused` as it must be. Anything
        else is a fault, and the one who asked goes on."""
        began = time.monotonic()
        try:
            result = act()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if refused and code == refused:
                self.ledger.count(f"{kind}: {code}")
            elif not self.passing(began, f"{kind}: {code}"):
                self.ledger.fault(f"{kind} was answered {code}: {error.response['Error'].get('Message', '')}")
            return None
        except BROKEN as error:
            if not self.passing(began, f"{kind}: broken off"):
                self.ledger.fault(f"{kind} was broken off, and no worker had been killed: {error!r}")
            return None
        if refused:
            self.ledger.fault(f"{kind} was answered, and not refused as {refused}")
            return None
        self.ledger.count(kind)
        return result

    def passing(self, began: float, kind: str) -> bool:
        """Whether a worker was killed shortly before or while something failed that began then. Waits for the next."""
        if self.killed_at < began - DISTURBED:
            return False
        self.ledger.count(f"beside a kill, {kind}")
        self.over.wait(1.0)
        return True

    def pause(self, seconds: float) -> bool:
        """Whether it is over."""
        return self.over.wait(seconds)
