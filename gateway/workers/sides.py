"""What workers are begun with, and what is heard of them: for a keystore on this machine, and for one on another."""

import os
from collections.abc import Callable
from typing import Final

from gateway.workers.asking import macs_message
from gateway.workers.feeds import Feeds
from gateway.workers.link import Message
from gateway.workers.noted import Noted
from gateway.workers.reading import condemn
from gateway.workers.scan import Condemned
from gateway.workers.tallied import Tallied
from keystore.directory import Directory
from keystore.sealing import KekRing

STUCK: Final = "does not take what it is told"


class SideHere:
    """Workers read the file by themselves. `tell`: to all of them."""

    def __init__(self, directory: Directory, database: str, ring: KekRing) -> None:
        self._directory = directory
        self._database = database
        self._ring = ring
        self._condemned: Message = {}
        self.tell: Callable[[Message], None] = lambda message: None

    def use(self, ring: KekRing) -> None:
        """Every worker verifies with the MAC keys of these KEKs from now on."""
        self._ring = ring
        self.tell(self._macs())

    def _macs(self) -> Message:
        return macs_message(self._ring, self._directory.store_row.store_id)

    def condemn(self, condemned: Condemned) -> None:
        """Nobody here believes that any more, nor a worker that comes later."""
        self._condemned = {"condemned": list(condemned)}
        condemn(self._directory, condemned)
        self.tell(self._condemned)

    def begin(self, number: int) -> tuple[Message, list[int]]:
        return {"database": self._database, **self._condemned, **self._macs()}, []

    def begun(self, number: int) -> None:
        pass

    def heard(self, number: int, message: Message) -> None:
        pass

    def ended(self, number: int) -> None:
        pass

    def applied(self) -> int:
        return self._directory.where()[1]


class SideAfar:
    """Workers are told. `acknowledge`: something has been taken or settled, and who waits may hear of it. `tallied`,
    `noted`: when keys were used and which uploads they began, which workers say."""

    def __init__(self, feeds: Feeds, acknowledge: Callable[[], None], tallied: Tallied, noted: Noted) -> None:
        self._feeds = feeds
        self._acknowledge = acknowledge
        self._tallied = tallied
        self._noted = noted
        self._theirs: dict[int, int] = {}

    def begin(self, number: int) -> tuple[Message, list[int]]:
        feed = self._feeds.open(number).detach()
        self._theirs[number] = feed
        return {"applied": self._feeds.applied}, [self._feeds.word_file, feed]

    def begun(self, number: int) -> None:
        """The worker has inherited its end."""
        os.close(self._theirs.pop(number))

    def heard(self, number: int, message: Message) -> None:
        if "used" in message:
            self._tallied.add(message)
            return
        if "uploads" in message:
            self._noted.add(message)
            return
        if "took" in message:
            self._feeds.took(number, message["took"])
        elif "told" in message:
            self._feeds.told(message["told"], message["cut"], message["in_store"])
        elif "settled" in message:
            self._feeds.settled(message["settled"], message["what"])
        self._acknowledge()

    def ended(self, number: int) -> None:
        self._feeds.close(number)
        self._acknowledge()

    def applied(self) -> int:
        return self._feeds.applied
