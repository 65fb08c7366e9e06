"""`nqgate admin token`: create, list, revoke: with what people and programs use the control plane."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.keys import Json, Yes
from gateway.cli.opened import actor, with_store
from gateway.cli.output import confirm, say, show_json, show_rows, told_errors
from gateway.cli.reveal import OF_A_TOKEN, Reveal
from gateway.spans import read_moment
from keystore.admin_tokens import AdminToken, Role, admin_token_json, no_such_token
from keystore.sealing import Secret
from keystore.store import NewToken, Store

admin = typer.Typer(no_args_is_help=True, help="The control plane: who may use it.")
token = typer.Typer(no_args_is_help=True, help="Admin tokens: bearer tokens for the control plane.")
admin.add_typer(token, name="token")


def _shown(found: AdminToken) -> dict[str, Any]:
    return admin_token_json(found, time.time())


@token.command()
def create(
    context: typer.Context,
    role: Annotated[Role, typer.Option(help="operator: of all accounts; owner: of one.")],
    account: Annotated[str | None, typer.Option(help="Of an owner: whose.")] = None,
    label: Annotated[str | None, typer.Option(help="What it is for, 1 to 64 characters; else the role.")] = None,
    expires: Annotated[str | None, typer.Option(help="30d, 2027-01-31 or RFC 3339.")] = None,
    secret_file: Annotated[Path | None, typer.Option(help="Write the token there, 0600, and do not print it.")] = None,
    json: Json = False,
) -> None:
    """Make a token. It is shown once, now."""
    with told_errors():
        new = NewToken(role, role.value if label is None else label, account, read_moment(expires, time.time()))

    async def work(store: Store) -> tuple[AdminToken, Secret]:
        return await store.create_token(new, actor())

    with told_errors(), Reveal(secret_file) as reveal:
        made, secret = with_store(context, work)
        reveal.show(_shown(made), secret, json=json, of=OF_A_TOKEN)


@token.command("list")
def list_tokens(context: typer.Context, json: Json = False) -> None:
    """All tokens, revoked and expired ones too."""
    found = [_shown(one) for one in with_store(context, lambda store: store.list_tokens())]
    if json:
        show_json(found)
        return
    columns = ("LABEL", "TOKEN ID", "ROLE", "ACCOUNT", "STATUS", "CREATED", "EXPIRES")
    show_rows(columns, [_row(one) for one in found])


def _row(shown: dict[str, Any]) -> tuple[str, ...]:
    account, expires = shown["account"] or "-", shown["expires_at"] or "never"
    status = shown["status"].capitalize()
    return shown["label"], shown["token_id"], shown["role"], account, status, shown["created_at"], expires


@token.command()
def revoke(
    context: typer.Context,
    token_id: Annotated[str, typer.Argument(metavar="TOKEN_ID")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Refuse a token from now on, for good."""

    async def known(store: Store) -> AdminToken:
        found = await store.find_token(token_id)
        if found is None:
            raise no_such_token(token_id)
        return found

    label = with_store(context, known).label
    confirm(label, f"Revoke the admin token {token_id} ({label}) for good?", yes=yes)
    ended = with_store(context, lambda store: store.revoke_token(token_id, actor()))
    if json:
        show_json(_shown(ended))
    else:
        say(f"The admin token {token_id} ({label}) is revoked.")
