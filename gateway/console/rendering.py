"""Templates and static files: read once, when the console is built.

A static file is served under the hash of its content, for ever; a page says which. Everything in a template is escaped
unless a template made it, and a name that nobody gave is an error, not an empty place.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import jinja2

from gateway.console import words

_HERE: Final = Path(__file__).parent
TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class StaticFile(NamedTuple):
    """`digest`: of what it holds, as it stands in its path."""

    name: str
    digest: str
    content: bytes
    content_type: str

    @property
    def path(self) -> str:
        return f"/static/{self.digest}/{self.name}"


def read_static(folder: Path = _HERE / "static") -> dict[str, StaticFile]:
    """By name."""
    return {path.name: _read(path) for path in sorted(folder.iterdir()) if path.suffix in TYPES}


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    return StaticFile(path.name, hashlib.sha256(content).hexdigest()[:12], content, TYPES[path.suffix])


class Templates:
    """`render` is synchronous and takes a millisecond."""

    def __init__(self, static: Mapping[str, StaticFile], folder: Path = _HERE / "templates") -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folder),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals["static"] = lambda name: static[name].path
        for said in (words.exact, words.ago, words.until, words.counted, words.sentence):
            self._environment.filters[said.__name__] = said

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        return self._environment.get_template(name).render(context)
