"""The server of a PostgreSQL keystore: how a writer reaches it, what it must be, its schema, what its errors mean.

Law: no text that leaves this module holds any part of the URL but hosts and the database. What the server sends
besides an answer is kept until it was looked at: a COMMIT that was not proven says so in a warning, and succeeds.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from keystore.errors import InvalidInput, KeystoreUnavailable
from keystore.postgres_rows import SCHEMA

OLDEST_POSTGRES: Final = 140000  # the oldest that its makers still mend; as server_version_num
SCHEMES: Final = frozenset({"postgresql", "postgres"})
# One host or several, each with a number for a port or none.
HOSTS: Final = re.compile(r"(?:(?:\[[0-9A-Fa-f:.]+\]|[^\s:,@\[\]]*)(?::[0-9]+)?(?:,|$))+")
UNCLEAR: Final = (
    "the keystore's URL is not understood: postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
    "with every other character than letters, digits and - . _ ~ percent-encoded in user and password"
)

CONNECT_SECONDS: Final = 5.0  # to a server that is there it takes milliseconds
# A mutation takes milliseconds from its first statement to its last. Whoever rests this long inside one is stopped or
# cut off, and the server ends that session, so that its lock goes.
IDLE_SECONDS: Final = 5
LOCK_SECONDS: Final = 10  # longer than IDLE_SECONDS: one stopped writer delays the others and fails none
STATEMENT_SECONDS: Final = 20  # longer than LOCK_SECONDS, as waiting counts; a list of a million keys takes seconds
ANSWER_SECONDS: Final = 25.0  # longer than all of these: who is still silent is cut off, and cannot tell us so
COMMIT_SECONDS: Final = 10.0  # the server's limits do not reach a COMMIT that waits for a standby
CLOSE_SECONDS: Final = 2.0

MIGRATION_LOCK: Final = 0x4E514B53  # "NQKS": the advisory lock under which the schema is brought up
SERVER: Final = (
    "SELECT current_setting('server_version_num')::bigint, pg_is_in_recovery(),"
    " current_setting('fsync'), current_setting('server_encoding')"
)

_LIMITS: Final = (
    f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s';"
    f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s';"
    f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s';"
)
# Within the transaction, so that neither a default of the role nor a pooler's other session stands in its place.
# Without client_min_messages a COMMIT that was cancelled could look as one that was proven.
BEGIN_WRITE: Final = (
    "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE;"
    "SET LOCAL synchronous_commit = on;"
    "SET LOCAL client_min_messages = warning;" + _LIMITS
)
# Of what may be lost: it waits neither for a disk nor for a standby.
BEGIN_LOOSE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; SET LOCAL synchronous_commit = off;" + _LIMITS
BEGIN_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;" + _LIMITS

FOREIGN: Final[tuple[type[Exception], ...]] = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError is one
)


def server_name(url: str) -> str:
    """HOST:PORT/DATABASE, for people. KeystoreUnavailable for a URL of which a part might be a piece of a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise KeystoreUnavailable(UNCLEAR) from None
    hosts = parts.netloc.rpartition("@")[2]
    clear = parts.scheme in SCHEMES and parts.netloc.count("@") <= 1 and not parts.fragment
    if not clear or "@" in parts.path + parts.query or not HOSTS.fullmatch(hosts):
        raise KeystoreUnavailable(UNCLEAR)
    return f"{hosts or 'its socket'}{parts.path}"


@contextlib.contextmanager
def answering(where: str) -> Iterator[None]:
    """Foreign exceptions become KeystoreUnavailable here, and a COMMIT's where it is settled."""
    try:
        yield
    except asyncpg.LockNotAvailableError as error:
        raise KeystoreUnavailable(f"the keystore on {where} is locked by another writer: try again") from error
    except FOREIGN as error:
        if _unspeakable(error):
            raise InvalidInput("the database cannot hold such a text or number") from error
        raise KeystoreUnavailable(f"the keystore on {where} cannot be used: {said(error)}") from error


def _unspeakable(error: Exception) -> bool:
    """NUL, in a text or in JSON; and what the driver refuses to send: half a surrogate pair, more than 64 bits."""
    untold = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError, asyncpg.DataError)
    return type(error) in untold  # a division by zero is a DataError, too


def said(error: Exception) -> str:
    """What a foreign exception says, without the rows and hints that a server adds."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error.args[0]) if error.args else type(error).__name__


class PostgresHand:
    """Implements `keystore.statements.Hand` on one connection, which it owns."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._warnings: list[str] = []
        connection.add_log_listener(self._told)

    def _told(self, _: object, message: Any) -> None:
        if message.severity_en == "WARNING":
            self._warnings.append(str(message.sqlstate))

    @property
    def closed(self) -> bool:
        return bool(self._connection.is_closed())

    async def fetch(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await self._connection.fetch(statement, *values)]

    async def execute(self, statement: str, values: Sequence[object]) -> None:
        await self._connection.execute(statement, *values)

    async def run(self, text: str) -> str:
        """Statements without values, one after the other; what the server said of the last."""
        return str(await self._connection.execute(text))

    async def commit(self) -> bool:
        """False: it is committed here, but the server warned that it is not proven where it should be, too.

        Any foreign exception: nobody knows. KeystoreUnavailable: it is not committed.
        """
        self._warnings.clear()
        done = await self._connection.execute("COMMIT", timeout=COMMIT_SECONDS)
        if done != "COMMIT":
            raise KeystoreUnavailable("the database took the change back: nothing was done, try again")
        return not self._warnings

    async def listen(self, channel: str, heard: Callable[[], None]) -> None:
        """`heard` is called for every notification, and when the connection is lost."""
        self._connection.add_termination_listener(lambda _: heard())
        await self._connection.add_listener(channel, lambda *_: heard())

    async def close(self) -> None:
        """Also while a statement runs, which is cancelled first."""
        try:
            await self._connection.close(timeout=CLOSE_SECONDS)
        except FOREIGN:
            self.drop()

    def drop(self) -> None:
        """At once: the server ends what runs, and the transaction, when it sees that nobody is there."""
        self._connection.terminate()


async def connect(url: str, where: str, *, seconds: float = CONNECT_SECONDS) -> PostgresHand:
    """KeystoreUnavailable for a server that cannot keep a keystore; any of FOREIGN when it is not reached in time."""
    try:
        connection = await asyncpg.connect(
            url,
            timeout=seconds,
            command_timeout=ANSWER_SECONDS,
            statement_cache_size=0,  # a pooler may give each transaction another session
            server_settings={"application_name": "nqgate"},
        )
    except OSError:
        raise
    except ValueError:  # which repeats what it could not read
        raise KeystoreUnavailable(f"{UNCLEAR}; or it names a certificate that is not there") from None
    hand = PostgresHand(connection)
    try:
        await _check_server(hand, where)
    except BaseException:
        hand.drop()
        raise
    return hand


async def _check_server(hand: PostgresHand, where: str) -> None:
    [[version, recovering, fsync, encoding]] = await hand.fetch(SERVER)
    if not isinstance(version, int) or version < OLDEST_POSTGRES:
        raise KeystoreUnavailable(f"the server {where} is too old: PostgreSQL {OLDEST_POSTGRES // 10000} or newer")
    if recovering is not False:
        raise KeystoreUnavailable(
            f"the server {where} is a standby: name the primary, or all of them with ?target_session_attrs=primary"
        )
    if fsync != "on":
        raise KeystoreUnavailable(f"the server {where} runs with fsync = off: a crash could undo a revocation")
    if encoding != "UTF8":
        raise KeystoreUnavailable(f"the database {where} has the encoding {encoding}: make one with UTF8")


def migrations() -> list[str]:
    """The texts of migrations/postgres/*.sql by number, from 1 without a gap."""
    folder = files("keystore") / "migrations" / "postgres"
    return [entry.read_text(encoding="utf-8") for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)]


async def schema_version(hand: PostgresHand, where: str) -> int:
    """0: there is nothing yet. KeystoreUnavailable for a newer one and for a schema that is something else."""
    found = f"{SCHEMA}.schema_version"
    [[named, known, tables]] = await hand.fetch(
        "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL,"
        " (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace($1))",
        SCHEMA,
        found,
    )
    if not known:
        if named and tables:
            raise KeystoreUnavailable(f"{where} has a schema {SCHEMA}, but it is no keystore")
        return 0
    [[version]] = await hand.fetch(f"SELECT coalesce(max(version), 0) FROM {found}")  # noqa: S608
    if not isinstance(version, int) or version > len(migrations()):
        newest = len(migrations())
        raise KeystoreUnavailable(f"{where} was made by a newer gateway (schema {version}, here {newest})")
    return version


async def bring_schema_up(hand: PostgresHand, where: str) -> bool:
    """Run the migrations that are missing, inside the caller's transaction, which holds all others off until its end.

    True when there was nothing before. KeystoreUnavailable as `schema_version`.
    """
    await hand.fetch("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
    version = await schema_version(hand, where)
    if version == 0:
        [[named]] = await hand.fetch("SELECT to_regnamespace($1) IS NOT NULL", SCHEMA)
        if not named:  # IF NOT EXISTS would ask for the right to make it, also where somebody made it for us
            await hand.run(f"CREATE SCHEMA {SCHEMA}")
        await hand.run(f"CREATE TABLE {SCHEMA}.schema_version (version bigint PRIMARY KEY)")
    for number, text in enumerate(migrations()[version:], version + 1):
        await hand.run(text)
        await hand.execute(f"INSERT INTO {SCHEMA}.schema_version (version) VALUES ($1)", (number,))  # noqa: S608
    return version == 0
