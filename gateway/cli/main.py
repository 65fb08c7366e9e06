"""`nqgate`: the root command."""

import importlib.metadata
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from gateway.cli.accounts import accounts
from gateway.cli.admin import admin
from gateway.cli.audit import audit
from gateway.cli.buckets import buckets
from gateway.cli.doctor import doctor
from gateway.cli.explain import explain
from gateway.cli.imports import imports
from gateway.cli.kek import kek
from gateway.cli.key_acts import key_acts
from gateway.cli.keys import keys
from gateway.cli.keystore import keystore
from gateway.cli.opened import config_path
from gateway.cli.output import Exit, say, told_errors
from gateway.config import load_config
from gateway.embedded.first_run import FirstRunError, up_and_serve
from gateway.serve import serve as serve_gateway
from gateway.telemetry.logs import configure_logs

app = typer.Typer(
    name="nqgate",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="An S3 gateway that authenticates: access keys that are scoped, listed and revoked at once.",
)
app.command()(doctor)
app.command()(explain)
keys.add_typer(key_acts)
keys.add_typer(imports)
app.add_typer(keys, name="keys")
app.add_typer(accounts, name="accounts")
app.add_typer(buckets, name="buckets")
app.add_typer(admin, name="admin")
app.add_typer(kek, name="kek")
app.add_typer(audit, name="audit")
app.add_typer(keystore, name="keystore")


def _version(asked: bool) -> None:
    if asked:
        print(importlib.metadata.version("nqgate"))
        raise typer.Exit


@app.callback()
def root(
    config: Annotated[Path | None, typer.Option(help="The configuration file.", envvar=[])] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Settings of every command."""


@app.command()
def serve(
    context: typer.Context,
    config_file: Annotated[Path | None, typer.Option("--config", help="The configuration file.")] = None,
) -> None:
    """Run the gateway in front of the store of the configuration, until SIGTERM or Ctrl-C."""
    with told_errors():
        config = load_config(config_file or config_path(context))
        configure_logs(config.log.level, config.log.format)
        uvloop.run(serve_gateway(config))


@app.command()
def up(
    data: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("data"),
    s3: Annotated[str | None, typer.Option(metavar="HOST:PORT")] = None,
    console: Annotated[str | None, typer.Option(metavar="HOST:PORT")] = None,
) -> None:
    """Run an embedded store and the gateway, and make a first key: everything on this machine, in one folder."""
    with told_errors():
        try:
            uvloop.run(up_and_serve(data, s3, console))
        except FirstRunError as error:
            say(str(error))
            raise typer.Exit(Exit.FAILURE) from None


def main() -> None:
    """The entry of the `nqgate` script."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
