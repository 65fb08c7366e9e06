"""`nqgate reload`: tell the gateway that runs to read its configuration again, and say what came of it."""

from typing import Annotated, Any

import typer

from gateway.cli.keys import Json
from gateway.cli.opened import config_path
from gateway.cli.output import Exit, fail, say, show_json, show_rows, told_errors
from gateway.config import find_config
from gateway.orders import NobodyThere, ask_reload, orders_name

CODES = {"settings": Exit.FAILURE, "conflict": Exit.CONFLICT, "unavailable": Exit.UNAVAILABLE}


def reload(
    context: typer.Context,
    restart_workers: Annotated[
        bool, typer.Option("--restart-workers", help="Replace every worker, also when nothing has changed.")
    ] = False,
    json: Json = False,
) -> None:
    """Read configuration, certificates, KEKs and the store's secret again, without losing a request."""
    with told_errors():
        file = find_config(config_path(context))
        try:
            answer = ask_reload(orders_name(file), restart_workers=restart_workers)
        except NobodyThere as nobody:
            raise fail(f"Not found: {nobody} ({file or 'none was found'}).", Exit.NOT_FOUND) from None
    if "error" in answer:
        if json:
            show_json(_shown(answer))
        say(f"Nothing was reloaded, and what was in force stays so: {answer['error']}")
        raise typer.Exit(CODES.get(str(answer["kind"]), Exit.FAILURE))
    if json:
        show_json(_shown(answer))
        return
    rows = [(name, "applied") for name in answer["applied"]] + [(name, "needs a restart") for name in _late(answer)]
    show_rows(("SETTING", "WHAT BECAME OF IT"), rows)
    say(_in_words(answer))


def _late(answer: dict[str, Any]) -> list[str]:
    return list(answer["need_restart"])


def _shown(answer: dict[str, Any]) -> dict[str, Any]:
    """The same fields whether it went well or not."""
    return {
        "reloaded": "error" not in answer,
        "error": answer.get("error"),
        "applied": answer.get("applied", []),
        "need_restart": answer.get("need_restart", []),
        "workers_replaced": answer.get("workers_replaced", 0),
        "took_ms": answer.get("took_ms", 0),
    }


def _in_words(answer: dict[str, Any]) -> str:
    changed = "Reloaded." if answer["applied"] else "Nothing has changed."
    late = " What needs a restart is as it was: `nqgate serve --take-over` applies it." if _late(answer) else ""
    return f"{changed} Workers replaced: {answer['workers_replaced']}, in {answer['took_ms']} ms.{late}"
