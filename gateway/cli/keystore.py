"""`nqgate keystore`: adopt."""

import asyncio
from typing import Any

import typer

from gateway.cli.keys import Json, Yes
from gateway.cli.opened import actor, config_path, opened_keystore
from gateway.cli.output import confirm, say, show_json, show_rows, told_errors
from gateway.config import KeystoreSettings, load_config
from keystore.access_key import rfc3339
from keystore.adoption import Adopted, Case, adopt, consider
from keystore.mark import Ended
from keystore.postgres_server import server_name

keystore = typer.Typer(no_args_is_help=True, help="The keystore as a whole.")


@keystore.command("adopt")
def accept(context: typer.Context, yes: Yes = False, json: Json = False) -> None:
    """Accept a keystore that went back in time, as after restoring a backup. Keys ended since are revoked again."""

    async def run() -> tuple[Case, Adopted | None]:
        async with opened_keystore(settings, create=False) as opened:
            case = await consider(opened.water)
            if not case.why:
                return case, None
            confirm(_name(settings), _question(case), yes=yes)
            return case, await adopt(opened.store, opened.water, case, actor())

    with told_errors():
        settings = load_config(config_path(context)).keystore
        case, adopted = asyncio.run(run())
    if json:
        show_json(_shown(case, adopted))
    elif adopted is None:
        say("The keystore is not behind what is known of it: there is nothing to adopt.")
    else:
        show_rows(("ACCESS KEY ID", "REASON", "ENDED"), [tuple(_ended(one).values()) for one in adopted.revoked])
        say(f"The keystore is adopted, as generation {adopted.generation}. Keys revoked again: {len(adopted.revoked)}.")
        if adopted.tokens:
            say(f"Admin tokens revoked again: {', '.join(adopted.tokens)}.")
        for access_key_id in adopted.refused:
            say(
                f"Note: the record of {access_key_id} does not hold; it opens nothing. `nqgate audit verify` says more."
            )
        say("A gateway that runs on it answers 503 until it is started again.")
        if settings.remote:
            say("Every other host has a mark of its own, and refuses the keystore until it is adopted there, too.")


def _name(settings: KeystoreSettings) -> str:
    """What is to be typed: of the file, or of the database."""
    if not settings.remote:
        return settings.path.name
    where = server_name(settings.url.get_secret_value())
    return where.rpartition("/")[2] or where


def _question(case: Case) -> str:
    known = (
        "What was known of it cannot be read"
        if case.mark is None
        else f"Ended keys that are remembered: {len(case.mark.ended)}, admin tokens: {len(case.mark.tokens)}"
    )
    return f"{case.why[:1].upper()}{case.why[1:]}. {known}. Accept the keystore as it is?"


def _ended(one: Ended) -> dict[str, str]:
    return {"access_key_id": one.access_key_id, "reason": one.reason.value, "ended_at": rfc3339(one.at)}


def _shown(case: Case, adopted: Adopted | None) -> dict[str, Any]:
    if adopted is None:
        nothing: dict[str, Any] = {"adopted": False, "why": None, "generation": None, "revoked_again": []}
        return {**nothing, "refused": [], "tokens_revoked_again": []}
    return {
        "adopted": True,
        "why": case.why,
        "generation": adopted.generation,
        "revoked_again": [_ended(one) for one in adopted.revoked],
        "refused": list(adopted.refused),
        "tokens_revoked_again": list(adopted.tokens),
    }
