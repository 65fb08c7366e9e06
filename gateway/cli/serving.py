"""`nqgate serve` and `nqgate up`: run until a signal."""

from pathlib import Path
from typing import Annotated

import typer
import uvloop

from gateway.cli.opened import config_path
from gateway.cli.output import Exit, say, told_errors
from gateway.config import find_config, load_config
from gateway.embedded.first_run import FirstRunError, up_and_serve
from gateway.serve import Started
from gateway.serve import serve as serve_gateway
from gateway.telemetry.logs import configure_logs


def serve(
    context: typer.Context,
    config_file: Annotated[Path | None, typer.Option("--config", help="The configuration file.")] = None,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Take the sockets of the gateway that runs with this file; it finishes, and ends."
        ),
    ] = False,
) -> None:
    """Run the gateway in front of the store of the configuration, until SIGTERM or Ctrl-C."""
    with told_errors():
        named = config_file or config_path(context)
        config = load_config(named)
        configure_logs(config.log.level, config.log.format)
        uvloop.run(serve_gateway(config, Started(find_config(named), take_over)))


def up(
    data: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("data"),
    s3: Annotated[str | None, typer.Option(metavar="HOST:PORT or unix:/PATH")] = None,
    console: Annotated[str | None, typer.Option(metavar="HOST:PORT")] = None,
) -> None:
    """Run an embedded store and the gateway, and make a first key: everything on this machine, in one folder."""
    with told_errors():
        try:
            uvloop.run(up_and_serve(data, s3, console))
        except FirstRunError as error:
            say(str(error))
            raise typer.Exit(Exit.FAILURE) from None
