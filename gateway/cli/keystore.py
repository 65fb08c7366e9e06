"""`nqgate keystore`: adopt."""

import asyncio
from typing import Any

import typer

from gateway.cli.keys import Json, Yes
from gateway.cli.opened import actor, config_path
from gateway.cli.output import confirm, say, show_json, show_rows, told_errors
from gateway.config import load_config
from keystore.access_key import rfc3339
from keystore.adoption import Adopted, Case, adopt, consider
from keystore.high_water import HighWater
from keystore.mark import Ended
from keystore.sealing import load_kek_ring
from keystore.sqlite import open_sqlite_store

keystore = typer.Typer(no_args_is_help=True, help="The keystore as a whole.")


@keystore.command("adopt")
def accept(context: typer.Context, yes: Yes = False, json: Json = False) -> None:
    """Accept a keystore that went back in time, as after restoring a backup. Keys ended since are revoked again."""

    async def run() -> tuple[Case, Adopted | None]:
        settings = load_config(config_path(context)).keystore
        ring = load_kek_ring(settings.kek_file)
        water = HighWater(settings.path, ring, settings.state_file)
        async with open_sqlite_store(settings.path, ring, create=False) as store:
            case = await consider(water)
            if not case.why:
                return case, None
            confirm(settings.path.name, _question(case), yes=yes)
            return case, await adopt(store, water, case, actor())

    with told_errors():
        case, adopted = asyncio.run(run())
    if json:
        show_json(_shown(case, adopted))
    elif adopted is None:
        say("The keystore is not behind what is known of it: there is nothing to adopt.")
    else:
        show_rows(("ACCESS KEY ID", "REASON", "ENDED"), [tuple(_ended(one).values()) for one in adopted.revoked])
        say(f"The keystore is adopted, as generation {adopted.generation}. Keys revoked again: {len(adopted.revoked)}.")
        for access_key_id in adopted.refused:
            say(
                f"Note: the record of {access_key_id} does not hold; it opens nothing. `nqgate audit verify` says more."
            )
        say("A gateway that runs on it answers 503 until it is started again.")


def _question(case: Case) -> str:
    known = (
        "What was known of it cannot be read"
        if case.mark is None
        else f"Ended keys that are remembered: {len(case.mark.ended)}"
    )
    return f"{case.why[:1].upper()}{case.why[1:]}. {known}. Accept the keystore as it is?"


def _ended(one: Ended) -> dict[str, str]:
    return {"access_key_id": one.access_key_id, "reason": one.reason.value, "ended_at": rfc3339(one.at)}


def _shown(case: Case, adopted: Adopted | None) -> dict[str, Any]:
    if adopted is None:
        return {"adopted": False, "why": None, "generation": None, "revoked_again": [], "refused": []}
    return {
        "adopted": True,
        "why": case.why,
        "generation": adopted.generation,
        "revoked_again": [_ended(one) for one in adopted.revoked],
        "refused": list(adopted.refused),
    }
