"""`nqgate console link`: a one-time way into the console, for whoever can read the key-encryption key."""

import time
from typing import Annotated, Final

import typer

from gateway.cli.keys import Json
from gateway.cli.opened import config_path
from gateway.cli.output import say, show_json, show_rows, told_errors
from gateway.config import load_config
from gateway.console.links import LASTS, make_link, sign_in_address
from keystore.access_key import rfc3339
from keystore.accounts import ACCOUNT_NAME
from keystore.admin_tokens import Role
from keystore.errors import InvalidInput
from keystore.sealing import load_kek_ring

console = typer.Typer(no_args_is_help=True, help="The console in the browser.")

_MINUTES: Final = LASTS // 60


@console.callback()
def _console() -> None:
    """Keeps `link` a command of its own."""


@console.command()
def link(
    context: typer.Context,
    account: Annotated[str | None, typer.Option(help="As an owner of this account; else as an operator.")] = None,
    json: Json = False,
) -> None:
    """A link that signs in once, within five minutes. Whoever has it is in: give it to nobody else."""
    with told_errors():
        if account is not None and not ACCOUNT_NAME.match(account):
            raise InvalidInput(f"{account!r} is not an account name")
        config = load_config(config_path(context))
        now = time.time()
        role = Role.OPERATOR if account is None else Role.OWNER
        text = make_link(load_kek_ring(config.keystore.kek_file), account, now)
        address = sign_in_address(config.console.address, text)
    if json:
        show_json({"url": address, "role": role.value, "account": account, "expires_at": rfc3339(int(now) + LASTS)})
        return
    show_rows(("", ""), [("Sign in", address)])
    say(f"It opens once, within {_MINUTES} minutes, on the gateway that this configuration is of.")
