"""The keystore of the configuration, opened for one command."""

import asyncio
import getpass
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import typer

from gateway.cli.output import say, told_errors
from gateway.config import load_config
from keystore.errors import KeystoreError
from keystore.high_water import HighWater
from keystore.postgres import open_postgres_store
from keystore.sealing import load_kek_ring
from keystore.sqlite import open_sqlite_store
from keystore.sqlite_file import keystore_path
from keystore.store import Store

T = TypeVar("T")


def config_path(context: typer.Context) -> Path | None:
    """The file given with --config, before any subcommand."""
    named = context.find_root().params.get("config")
    return Path(named) if named is not None else None


def database(context: typer.Context) -> Path:
    """Where the keystore lies; what belongs to it lies beside it."""
    return keystore_path(load_config(config_path(context)).keystore.path)


def actor() -> str:
    """Who does it, for the change log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


@asynccontextmanager
async def opened_store(named: Path | None) -> AsyncIterator[Store]:
    """Held against its high-water mark, which is raised afterwards: what was done stands, also if that fails."""
    config = load_config(named)
    ring = load_kek_ring(config.keystore.kek_file)
    if config.keystore.remote:
        async with open_postgres_store(config.keystore.url.get_secret_value(), ring, create=True) as store:
            yield store
        return
    water = HighWater(config.keystore.path, ring, config.keystore.state_file)
    async with open_sqlite_store(config.keystore.path, ring, create=True) as store:
        water.meet()
        try:
            yield store
        finally:
            _raise_mark(water)


def _raise_mark(water: HighWater) -> None:
    try:
        water.meet()
    except KeystoreError as error:
        say(f"Note: what was done is not in the high-water mark yet: {error}.")


def with_store(context: typer.Context, work: Callable[[Store], Awaitable[T]]) -> T:
    """Run `work` on the configured keystore; its failures end the command with one sentence."""

    async def run() -> T:
        async with opened_store(config_path(context)) as store:
            return await work(store)

    with told_errors():
        return asyncio.run(run())
