"""Who is signed in: kept in the memory of this process only, under the hash of a random id that the browser holds.

A session ends after 30 minutes without a request, 12 hours after its beginning, with its token, and when there are too
many. Knows no HTTP and no keystore; whether a token is still good is asked by whoever uses the session.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from gateway.console.site import SignedIn

IDLE: Final = 30 * 60  # seconds
LONGEST: Final = 12 * 3600
PROVED_FOR: Final = 5 * 60  # seconds for which a proof is enough to create, roll and delete
MAX_SESSIONS: Final = 1000  # the one that was idle longest goes; a session is about 1 KiB
_ID_BYTES: Final = 32


class Notice(NamedTuple):
    """What became of an act, for the next page. `kind`: "done" or "warning"."""

    text: str
    kind: str = "done"


@dataclass(frozen=True, slots=True)
class Session:
    """`csrf`: stands in every form. `account`: what an operator looks at, None = all. Times are Unix seconds."""

    signed: SignedIn
    csrf: str = field(repr=False)
    begun_at: float
    seen_at: float
    proved_at: float
    account: str | None
    notice: Notice | None = None

    def proved(self, now: float) -> bool:
        """Whether the token was shown so lately that it need not be asked for."""
        return now - self.proved_at <= PROVED_FOR

    def over(self, now: float) -> bool:
        ended = self.signed.expires_at is not None and now >= self.signed.expires_at
        return ended or now - self.seen_at > IDLE or now - self.begun_at > LONGEST


class Sessions:
    """By the hash of their id: who reads this memory's copy in a core or a swap file has no cookie."""

    def __init__(self, clock: Callable[[], float], most: int = MAX_SESSIONS) -> None:
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, signed: SignedIn) -> str:
        """→ the id, which only the browser keeps."""
        now = self._clock()
        text = secrets.token_urlsafe(_ID_BYTES)
        self._kept[_hashed(text)] = Session(signed, secrets.token_urlsafe(_ID_BYTES), now, now, now, signed.account)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return text

    def find(self, text: str) -> Session | None:
        """None for an id that is none, or whose session is over. To be found is to be seen."""
        name = _hashed(text)
        session = self._kept.get(name)
        if session is None:
            return None
        now = self._clock()
        if session.over(now):
            del self._kept[name]
            return None
        session = replace(session, seen_at=now)
        self._kept[name] = session
        self._kept.move_to_end(name)
        return session

    def change(self, text: str, **changes: Any) -> None:
        """Fields of the session of that id; of one that is over nothing."""
        name = _hashed(text)
        if name in self._kept:
            self._kept[name] = replace(self._kept[name], **changes)

    def end(self, text: str) -> None:
        self._kept.pop(_hashed(text), None)

    def __len__(self) -> int:
        return len(self._kept)


def _hashed(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
