"""`nqgate keys import`: keys that other programs made, with their ids and secrets."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.confirmed import in_words, with_confirmation
from gateway.cli.foreign_keys import MAX_FILE, ForeignKey, read_foreign_keys
from gateway.cli.keys import Json, longest_life, refuse_reserved, say_unreachable
from gateway.cli.opened import actor
from gateway.cli.options import read_scope
from gateway.cli.output import Exit, say, show_json, show_rows, told_errors
from gateway.cli.shown import shown_keys
from gateway.spans import read_moment
from keystore.access_key import MAX_LABEL, AccessKey, check_lifetime, clean_label
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.confirmation import confirmation_json
from keystore.errors import Conflict, InvalidInput
from keystore.scope import Rights, Scope
from keystore.store import NewKey, Store

imports = typer.Typer()

STDIN = "-"


@imports.command("import")
def import_keys(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Pairs, MinIO's IAM export or Garage's keys; - = stdin.")],
    all_buckets: Annotated[bool, typer.Option("--all-buckets", help="Every bucket, those made later too.")] = False,
    bucket: Annotated[list[str] | None, typer.Option(help="One bucket; repeat for more.")] = None,
    rights: Annotated[Rights | None, typer.Option(help="As create.")] = None,
    prefix: Annotated[str | None, typer.Option(help="As create.")] = None,
    expires: Annotated[str | None, typer.Option(help="As create.")] = None,
    label: Annotated[str | None, typer.Option(help="Of all; else the file's own, or the id.")] = None,
    account: Annotated[str, typer.Option(help="Whose keys they are.")] = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Take over keys from another program's file, all with the scope said here; those disabled there are left out."""
    with told_errors():
        scope = read_scope(bucket or [], rights, prefix, everything=all_buckets)
        refuse_reserved(context, bucket or [])
        now = time.time()
        moment = read_moment(expires, now)
        check_lifetime(int(now), moment, longest_life(context))
        found = read_foreign_keys(_octets(file))
        wishes = [_wish(one, label, scope, account, moment) for one in found]
    chosen = [(one, wish) for one, wish in zip(found, wishes, strict=True) if not one.disabled]
    left_out = [one.access_key_id for one in found if one.disabled]
    if not chosen:
        say("Every key of the file is disabled; nothing was imported.")
        return

    async def work(store: Store) -> tuple[list[dict[str, Any]], dict[str, str]]:
        taken, refused = await _taken(store, chosen)
        return await shown_keys(context, store, taken), refused

    (shown, refused), confirmation = with_confirmation(context, work)
    if json:
        told = [{"access_key_id": name, "why": why} for name, why in refused.items()]
        show_json({"imported": shown, "refused": told, "disabled": left_out, **confirmation_json(confirmation)})
    else:
        rows = [(one["access_key_id"], one["label"], "imported") for one in shown]
        rows += [(name, "", f"refused: {why}") for name, why in refused.items()]
        rows += [(name, "", "left out: disabled there") for name in left_out]
        show_rows(("ACCESS KEY ID", "LABEL", "RESULT"), rows)
        say(f"{len(shown)} of {len(found)} keys imported: {in_words(confirmation)}.")
    if shown:
        say_unreachable(shown[0])
    if file != STDIN:
        open_to = ", and others can read it" if Path(file).stat().st_mode & 0o077 else ""
        say(f"Note: {file} still holds the secrets{open_to}; delete it when you are done.")
    if refused:
        raise typer.Exit(Exit.CONFLICT)


async def _taken(store: Store, chosen: list[tuple[ForeignKey, NewKey]]) -> tuple[list[AccessKey], dict[str, str]]:
    """What was imported, and why what was not. One key is one change: those before an error stay."""
    taken: list[AccessKey] = []
    refused: dict[str, str] = {}
    for one, wish in chosen:
        try:
            taken.append(await store.import_key(wish, one.access_key_id, one.secret, actor()))
        except Conflict as conflict:
            refused[one.access_key_id] = str(conflict)
    return taken, refused


def _wish(one: ForeignKey, label: str | None, scope: Scope, account: str, expires_at: int | None) -> NewKey:
    """InvalidInput for a label that was said and cannot be one; the file's own is cut to what a label may be."""
    if label is not None:
        return NewKey(account, clean_label(label), scope, expires_at)
    try:
        own = clean_label(one.label[:MAX_LABEL])
    except InvalidInput:
        own = one.access_key_id[:MAX_LABEL]
    return NewKey(account, own, scope, expires_at)


def _octets(file: str) -> bytes:
    """At most one byte more than may be read. OSError when it cannot be."""
    if file == STDIN:
        return sys.stdin.buffer.read(MAX_FILE + 1)
    with Path(file).open("rb") as opened:
        return opened.read(MAX_FILE + 1)
