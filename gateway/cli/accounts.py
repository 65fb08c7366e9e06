"""`nqgate accounts`: create, list, upstream."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.keys import Json
from gateway.cli.opened import actor, with_store
from gateway.cli.output import Exit, fail, say, show_json, show_rows, told_errors
from keystore.accounts import Account
from keystore.errors import InvalidInput
from keystore.sealing import Secret

accounts = typer.Typer(no_args_is_help=True, help="Accounts: who keys and buckets belong to.")


def _shown(account: Account) -> dict[str, Any]:
    return {"name": account.name, "number": account.number, "upstream_access_key_id": account.upstream}


@accounts.command()
def create(context: typer.Context, name: Annotated[str, typer.Argument()], json: Json = False) -> None:
    """Make an account. `default` exists from the start and owns every bucket that nobody else owns."""
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
        rows = [(one["name"], one["number"], one["upstream_access_key_id"] or "-") for one in found]
        show_rows(("NAME", "NUMBER", "UPSTREAM ACCESS KEY ID"), rows)


@accounts.command()
def upstream(
    context: typer.Context,
    name: Annotated[str, typer.Argument()],
    access_key_id: Annotated[str | None, typer.Option(help="Of the account's own credential at the store.")] = None,
    secret_file: Annotated[Path | None, typer.Option(help="Where its secret stands; - reads it from stdin.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Use the gateway's credential again.")] = False,
    json: Json = False,
) -> None:
    """Sign an account's requests to the store with a credential of its own. Its secret is sealed in the keystore."""
    if clear is (access_key_id is not None) or (access_key_id is None) is not (secret_file is None):
        raise fail("Give --access-key-id and --secret-file, or --clear.", Exit.USAGE)
    with told_errors():
        secret = None if secret_file is None else _read_secret(secret_file)
    account = with_store(context, lambda store: store.set_upstream(name, access_key_id, secret, actor()))
    if json:
        show_json(_shown(account))
    else:
        whose = "the gateway's credential" if clear else f"the credential {access_key_id}"
        say(f"Requests of the account {name} go to the store with {whose}.")


def _read_secret(file: Path) -> Secret:
    text = sys.stdin.read() if str(file) == "-" else file.read_text()
    if not text.strip() or "\n" in text.strip():
        raise InvalidInput(f"{file} holds no secret of one line")
    return Secret(text.strip())
