"""`nqgate explain`: why a request was refused."""

import asyncio
import json as json_text
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gateway.cli.keys import Json
from gateway.cli.opened import beside
from gateway.cli.output import Exit, fail, say, show_json, show_rows, told_errors
from gateway.refusals import Refusal
from keystore.audit import printable
from keystore.refused import KEPT, MAX_LISTED

_DAYS: Final = KEPT // 86_400


def explain(
    context: typer.Context,
    request_id: Annotated[
        str | None, typer.Argument(metavar="[REQUEST_ID]", help="x-amz-request-id of the answer.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Without an id: of this account's keys only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="Without an id: the newest so many.")] = 50,
    json: Json = False,
) -> None:
    """Why a request was refused: which step, what was asked, and what usually lies behind it. Without an id: the last
    ones."""
    if request_id is None:
        _list(context, account, limit, json=json)
        return
    with told_errors():
        found = asyncio.run(beside(context).refusal(request_id.strip().upper()))
    if found is None:
        raise fail(
            f"Nothing is known of {printable(request_id)}: what was refused is kept for {_DAYS} days, of a flood only "
            "a part, and it takes a gateway a second or two to write it.",
            Exit.NOT_FOUND,
        )
    refusal = Refusal(**json_text.loads(found.told))
    if json:
        show_json(refusal.json())
        return
    show_rows(("", ""), [(name, printable(value)) for name, value in _rows(refusal) if value])
    for cause in refusal.json()["causes"]:
        say(f"- {printable(cause)}")
    if refusal.canonical:
        say("The canonical request as the gateway saw it; compare it with the client's (aws --debug prints it):")
        for line in refusal.canonical.split("\n"):
            say(f"    {printable(line)}")


def _list(context: typer.Context, account: str | None, limit: int, *, json: bool) -> None:
    """The newest last, as on a terminal one wants it."""
    with told_errors():
        found = asyncio.run(beside(context).refusals(account, limit))
    refusals = [Refusal(**json_text.loads(one.told)) for one in reversed(found)]
    if json:
        show_json([one.json() for one in refusals])
        return
    columns = ("REQUEST ID", "TIME", "ACCESS KEY", "REFUSED", "REQUEST", "WHY")
    show_rows(columns, [tuple(map(printable, _row(one))) for one in refusals])


def _row(refusal: Refusal) -> tuple[str, ...]:
    at = datetime.fromtimestamp(refusal.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = f"{refusal.method} {refusal.target}"
    return refusal.request_id, at, refusal.access_key_id or "-", refusal.code, asked, refusal.reason


def _rows(refusal: Refusal) -> list[tuple[str, str]]:
    at = datetime.fromtimestamp(refusal.at, UTC).isoformat(timespec="milliseconds")
    return [
        ("Refused", f"{refusal.code}, by the {refusal.step}: {refusal.reason}"),
        ("Request", f"{refusal.method} {refusal.target}"),
        ("At", at),
        ("From", refusal.source),
        ("Access key", refusal.access_key_id),
        ("Account", refusal.account),
        ("Bucket", refusal.bucket),
    ]
