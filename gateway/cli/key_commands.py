"""`nqgate keys`: all of its commands together."""

from gateway.cli.imports import imports
from gateway.cli.key_acts import key_acts
from gateway.cli.keys import keys

keys.add_typer(key_acts)
keys.add_typer(imports)

__all__ = ["keys"]
