"""`nqgate accounts`: create, list."""

from typing import Annotated, Any

import typer

from gateway.cli.keys import Json
from gateway.cli.opened import actor, with_store
from gateway.cli.output import say, show_json, show_rows
from keystore.accounts import Account

accounts = typer.Typer(no_args_is_help=True, help="Accounts: who keys and buckets belong to.")


def _shown(account: Account) -> dict[str, Any]:
    return {"name": account.name, "number": account.number}


@accounts.command()
def create(context: typer.Context, name: Annotated[str, typer.Argument()], json: Json = False) -> None:
    """Make an account. `default` exists from the start and owns every bucket."""
    account = with_store(context, lambda store: store.create_account(name, actor()))
    if json:
        show_json(_shown(account))
    else:
        say(f"Account {account.name} ({account.number}) is made.")


@accounts.command("list")
def list_accounts(context: typer.Context, json: Json = False) -> None:
    """All accounts."""
    found = [_shown(account) for account in with_store(context, lambda store: store.list_accounts())]
    if json:
        show_json(found)
    else:
        show_rows(("NAME", "NUMBER"), [(one["name"], one["number"]) for one in found])
