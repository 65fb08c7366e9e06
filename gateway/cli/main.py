"""`nqgate`: the root command. The module of a command is imported when somebody asks for it: all of them together took
half a second of every command.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

INTERRUPTED: Final = 130
# Name → module of gateway.cli, and what there is the command or the group of commands. In the order of --help.
COMMANDS: Final = {
    "up": ("serving", "up"),
    "serve": ("serving", "serve"),
    "ready": ("ready", "ready"),
    "reload": ("reloading", "reload"),
    "doctor": ("doctor", "doctor"),
    "keys": ("key_commands", "keys"),
    "explain": ("explain", "explain"),
    "accounts": ("accounts", "accounts"),
    "buckets": ("buckets", "buckets"),
    "admin": ("admin", "admin"),
    "console": ("console", "console"),
    "kek": ("kek", "kek"),
    "audit": ("audit", "audit"),
    "keystore": ("keystore", "keystore"),
}


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """None for a name that is none."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        found = getattr(import_module(f"gateway.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            command: Any = get_group(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command()(found)
            command = get_command(alone)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="nqgate",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="An S3 gateway that authenticates: access keys that are scoped, listed and revoked at once.",
)


def _version(asked: bool) -> None:
    if asked:
        print(import_module("importlib.metadata").version("nqgate"))
        raise typer.Exit


@app.callback()
def root(
    config: Annotated[Path | None, typer.Option(help="The configuration file.", envvar=[])] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Settings of every command."""


def main() -> None:
    """The entry of the `nqgate` script."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
