"""`nqgate explain`: why a request was refused."""

import asyncio
import json as json_text
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gateway.cli.keys import Json
from gateway.cli.opened import config_path
from gateway.cli.output import Exit, fail, say, show_json, show_rows, told_errors
from gateway.config import load_config
from gateway.refusals import Refusal
from keystore.audit import printable
from keystore.postgres_refused import find_refused_postgres
from keystore.refused import KEPT, Refused, find_refused
from keystore.sealing import Secret
from keystore.sqlite_file import keystore_path

_DAYS: Final = KEPT // 86_400


def explain(
    context: typer.Context,
    request_id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="x-amz-request-id of the answer.")],
    json: Json = False,
) -> None:
    """Why a request was refused: which step, what was asked, and what usually lies behind it."""
    with told_errors():
        found = _found(context, request_id.strip().upper())
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


def _found(context: typer.Context, request_id: str) -> Refused | None:
    settings = load_config(config_path(context)).keystore
    if settings.remote:
        return asyncio.run(find_refused_postgres(Secret(settings.url.get_secret_value()), request_id))
    return find_refused(keystore_path(settings.path), request_id)
