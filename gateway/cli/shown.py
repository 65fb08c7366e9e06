"""An access key as every command shows it: one JSON object, with the same fields everywhere."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import typer

from gateway.cli.opened import beside
from gateway.cli.output import say
from keystore.access_key import AccessKey, access_key_json
from keystore.errors import KeystoreError
from keystore.store import Store
from keystore.usage import NEVER, Usage, usage_json

Shown = dict[str, Any]


async def shown_key(context: typer.Context, store: Store, access_key: AccessKey) -> Shown:
    """One key, with the buckets it does not reach and when it was last used."""
    usage = await usage_of(context, access_key.access_key_id)
    claims = await store.claims(access_key.grants or ())
    return {
        **access_key_json(access_key, time.time(), claims),
        **usage_json(usage.get(access_key.access_key_id, NEVER)),
    }


async def shown_keys(context: typer.Context, store: Store, access_keys: Iterable[AccessKey]) -> list[Shown]:
    """Many, of one moment."""
    many = list(access_keys)
    named = dict.fromkeys(name for one in many for name in one.grants or ())
    now, usage, claims = time.time(), await usage_of(context, None), await store.claims(named)
    return [{**access_key_json(one, now, claims), **usage_json(usage.get(one.access_key_id, NEVER))} for one in many]


async def usage_of(context: typer.Context, access_key_id: str | None) -> dict[str, Usage]:
    """Of one key or of all. Dates that cannot be read are said, and are no reason to fail: nothing decides by them."""
    keystore = beside(context)
    try:
        return await keystore.usage(None if access_key_id is None else [access_key_id])
    except KeystoreError as error:
        say(f"Note: when keys were last used is not known: {error}.")
        return {}


def forget(context: typer.Context, access_key_id: str) -> None:
    """The dates of a key that is gone, and which uploads it began; as `usage_of` where that fails."""
    keystore = beside(context)
    try:
        asyncio.run(keystore.forget(access_key_id))
    except KeystoreError as error:
        say(f"Note: when {access_key_id} was last used is still stored: {error}.")
