"""Commands that take something away: done when every gateway of this machine has taken it, and told so."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer

from gateway.cli.opened import beside, config_path, opened_store
from gateway.cli.output import Exit, fail, told_errors
from keystore.confirmation import Confirmation
from keystore.store import Store

T = TypeVar("T")


def with_confirmation(context: typer.Context, work: Callable[[Store], Awaitable[T]]) -> tuple[T, Confirmation]:
    """As `with_store`, and then wait for the gateways. `work` makes one change, the last of which counts."""

    async def run() -> tuple[T, Confirmation]:
        since = time.monotonic()
        async with opened_store(config_path(context)) as store:
            done = await work(store)
            seq = store.committed_seq
        return done, await beside(context).confirmed(seq, since)

    with told_errors():
        return asyncio.run(run())


def in_words(confirmation: Confirmation) -> str:
    """The end of a sentence that says what was done."""
    told = confirmation
    if not told.gateways:
        return "no gateway is running"
    words = f"confirmed by {told.confirmed} of {told.gateways} {_many('gateway', told.gateways)} in {told.took_ms} ms"
    if told.out_of_lease:
        words += f" ({told.out_of_lease} not reached: refusing since the lease ran out, which is inferred from time)"
    if told.transfers_cut:
        words += f", {told.transfers_cut} {_many('transfer', told.transfers_cut)} cut"
    if told.in_store_settled:
        words += f", {told.in_store_settled} {_many('request', told.in_store_settled)} had reached the store"
    if told.in_store_unsettled:
        words += f", with the store and not answered yet: {', '.join(told.in_store_unsettled)}"
    return words


def _many(thing: str, count: int) -> str:
    return thing if count == 1 else f"{thing}s"


def require_proof(confirmation: Confirmation) -> None:
    """Exit 7 when a gateway has not confirmed. What was changed is changed, and is refused at its next request."""
    if confirmation.elsewhere:
        pids = ", ".join(map(str, confirmation.elsewhere))
        raise fail(
            f"Committed, but not proven: process {pids} has another file open than this keystore. Restart it.",
            Exit.UNAVAILABLE,
        )
    if not confirmation.proven:
        raise fail(
            f"Committed, but not proven: {confirmation.lapsed} of {confirmation.gateways} gateways did not confirm in "
            "time; one may be stopped. Run it again.",
            Exit.UNAVAILABLE,
        )
