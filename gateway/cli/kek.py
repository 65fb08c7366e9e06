"""`nqgate kek`: the key-encryption key."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import say, told_errors
from keystore.sealing import create_kek_file

kek = typer.Typer(no_args_is_help=True, help="The key-encryption key, under which every secret is sealed.")


@kek.command()
def create(file: Annotated[Path, typer.Argument(help="A file that is not there yet.")]) -> None:
    """Make a key-encryption key in FILE, 0600. Needs no configuration; keep a copy apart from the keystore's."""
    with told_errors():
        kek_id = create_kek_file(file)
    say(f"Key-encryption key {kek_id} is in {file}. Without it the secrets in the keystore are lost.")
