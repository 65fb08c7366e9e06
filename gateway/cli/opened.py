"""The keystore of the configuration, opened for one command."""

import asyncio
import getpass
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import typer

from gateway.cli.output import say, told_errors
from gateway.config import KeystoreSettings, load_config
from keystore.errors import KeystoreError
from keystore.high_water import HighWater
from keystore.local_keystore import LocalFiles
from keystore.postgres import PostgresStore, open_postgres_store
from keystore.postgres_high_water import PostgresHighWater
from keystore.remote_keystore import RemoteTables
from keystore.sealing import KekRing, Secret, load_kek_ring
from keystore.sqlite import SqliteStore, open_sqlite_store
from keystore.store import Store

T = TypeVar("T")


def config_path(context: typer.Context) -> Path | None:
    """The file given with --config, before any subcommand."""
    named = context.find_root().params.get("config")
    return Path(named) if named is not None else None


def beside(context: typer.Context) -> LocalFiles | RemoteTables:
    """What lies beside the keystore, which is not opened for it: the KEK is read when the log is."""
    settings = load_config(config_path(context)).keystore

    def ring() -> KekRing:
        return load_kek_ring(settings.kek_file)

    if settings.remote:
        return RemoteTables(Secret(settings.url.get_secret_value()), ring)
    return LocalFiles(settings.path, ring)


def actor() -> str:
    """Who does it, for the change log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


class Opened(NamedTuple):
    """A keystore open for writing, and its mark, which `meet` holds it against and raises."""

    store: SqliteStore | PostgresStore
    water: HighWater | PostgresHighWater
    meet: Callable[[], Awaitable[None]]


@asynccontextmanager
async def opened_keystore(settings: KeystoreSettings, *, create: bool) -> AsyncIterator[Opened]:
    """Not held against its mark yet. Raises as `open_sqlite_store` and `open_postgres_store`."""
    ring = load_kek_ring(settings.kek_file)
    if settings.remote:
        async with open_postgres_store(settings.url.get_secret_value(), ring, create=create) as afar:
            kept = PostgresHighWater(afar, ring, settings.host_state_file, settings.kek_file)
            yield Opened(afar, kept, kept.meet)
        return
    water = HighWater(settings.path, ring, settings.state_file)

    async def meet() -> None:
        water.meet()

    async with open_sqlite_store(settings.path, ring, create=create) as here:
        yield Opened(here, water, meet)


@asynccontextmanager
async def opened_store(named: Path | None) -> AsyncIterator[Store]:
    """Held against its high-water mark, which is raised afterwards: what was done stands, also if that fails."""
    async with opened_keystore(load_config(named).keystore, create=True) as opened:
        await opened.meet()
        try:
            yield opened.store
        finally:
            await _raise_mark(opened)


async def _raise_mark(opened: Opened) -> None:
    try:
        await opened.meet()
    except KeystoreError as error:
        say(f"Note: what was done is not in the high-water mark yet: {error}.")


def with_store(context: typer.Context, work: Callable[[Store], Awaitable[T]]) -> T:
    """Run `work` on the configured keystore; its failures end the command with one sentence."""

    async def run() -> T:
        async with opened_store(config_path(context)) as store:
            return await work(store)

    with told_errors():
        return asyncio.run(run())
