"""A new secret, shown once: on stdout, or in a file of its own. Knows no keystore.

The file is made before the key: no secret is made, and no old key ended, for a place that cannot be written.
"""

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from gateway.cli.output import Exit, fail, say, show_json, show_rows
from keystore.sealing import Secret


class Revealed(NamedTuple):
    """What it is a secret of: the fields of its JSON, and how a person calls them."""

    id_field: str
    id_title: str
    secret_field: str
    secret_title: str


OF_A_KEY: Final = Revealed("access_key_id", "Access key id", "secret_access_key", "Secret")
OF_A_TOKEN: Final = Revealed("token_id", "Token id", "token", "Token")


class Reveal:
    """Where the secret of what is to be made will be shown; None = on stdout. A context manager.

    The file is new, 0600, and goes again if no secret was written to it. Ends the command with 5 when there is a file
    already; OSError when it cannot be made.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor = -1
        self._written = False

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                raise fail(f"{self._path} is there already; nothing was done.", Exit.CONFLICT) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is None:
            return
        os.close(self._descriptor)
        if not self._written:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    def show(self, shown: dict[str, Any], secret: Secret, *, json: bool, of: Revealed = OF_A_KEY) -> None:
        """The key or token `shown`, with its secret or the path of the file that holds it. OSError when it cannot be
        written."""
        if self._path is None:
            name, title, value = of.secret_field, of.secret_title, secret.expose()
        else:
            self._write(secret)
            name, title, value = "secret_file", "Secret file", str(self._path)
        if json:
            show_json({**shown, name: value})
            return
        show_rows(("", ""), [(of.id_title, shown[of.id_field]), (title, value)])
        if self._path is None:
            say(f"The {of.secret_title.lower()} is shown this once. Keep it now; it cannot be shown again.")

    def _write(self, secret: Secret) -> None:
        with os.fdopen(self._descriptor, "w", closefd=False) as file:
            file.write(secret.expose() + "\n")
        self._written = True
