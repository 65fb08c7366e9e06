"""python -m bench.scale: starts everything on loopback in a temporary folder, measures, draws, leaves nothing."""

import json
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import NamedTuple

from bench.errors import exit_code
from bench.machine import describe_machine
from bench.nginx import static_upstream
from bench.objects import write_objects
from bench.report import render_machine
from bench.scale.flat import flat_drawing, run_flat
from bench.scale.idle import hold_idle, idle_drawing
from bench.scale.lines import as_table, render_svg
from bench.scale.options import Options, Sizes, parse_options
from bench.scale.seed import Seeded, seed
from bench.scale.series import Drawing, Row
from bench.scale.site import Settings, room_for, serving
from bench.scale.slow import OBJECT, run_slow, slow_drawing
from bench.scale.use import run_use, use_drawing
from bench.scenario import KIB


class Place(NamedTuple):
    """Where a run takes place. `few`: a keystore with the keys of the long run; `salt`: of its secrets."""

    folder: Path
    upstream_port: int
    few: Seeded
    salt: bytes


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 measured, 1 not measured and why."""
    return exit_code(lambda: _measure(parse_options(arguments)))


def _measure(options: Options) -> None:
    machine = describe_machine()
    parts: dict[str, Callable[[Place, Sizes], Drawing]] = {"idle": _idle, "flat": _flat, "slow": _slow, "keys": _keys}
    drawings: list[Drawing] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nqgate-scale-")))
        for size in (KIB, OBJECT):
            write_objects(folder / "objects", size)
        upstream = stack.enter_context(static_upstream(folder / "upstream", folder / "objects", ()))
        salt = secrets.token_bytes(16)
        few = seed(folder / "few", options.sizes.flat_keys, salt)
        for part in options.parts:
            drawings.append(parts[part](Place(folder, upstream.port, few, salt), options.sizes))
            _progress("")
            print(as_table(drawings[-1:]), end="\n\n", flush=True)
    print(render_machine(machine))
    if options.json_file is not None:
        options.json_file.write_text(render_json(machine, drawings))
    if options.images is not None:
        options.images.mkdir(parents=True, exist_ok=True)
        for drawing in drawings:
            (options.images / f"scale-{drawing.name}.svg").write_text(render_svg(drawing))


def _idle(place: Place, sizes: Sizes) -> Drawing:
    room = room_for(max(sizes.connections))
    steps = [step for step in sizes.connections if step <= room] or [room]
    looks, told = {}, ""
    for tls, asked in product((False, True), sizes.asked):
        name = f"{'TLS' if tls else 'http'}, {'asked once' if asked else 'never asked'}"
        settings = Settings(connections=max(sizes.connections) + 1, tls=tls)
        with serving(place.folder / f"idle-{tls}-{asked}", place.few.folder, place.upstream_port, settings) as site:
            looks[name] = hold_idle(site, place.few, steps, asked=asked, progress=_progress)
            told = site.told
    drawing = idle_drawing(looks)
    said = [Row("what the gateway said of open files", told)] if told else []
    if steps[-1] < max(sizes.connections):
        wanted = f"{max(sizes.connections):,}"
        said.append(Row("connections, for want of open files (ulimit -n)", f"{steps[-1]:,}", wanted))
    return drawing._replace(rows=(*drawing.rows, *said))


def _flat(place: Place, sizes: Sizes) -> Drawing:
    stages = {}
    with serving(place.folder / "flat", place.few.folder, place.upstream_port, Settings()) as site:
        for count in (1, sizes.flat_keys):
            stages[count] = run_flat(site, place.few._replace(total=count), place.folder, sizes.requests, _progress)
    return flat_drawing(stages)


def _slow(place: Place, sizes: Sizes) -> Drawing:
    settings = Settings(upstream_connections=max(sizes.readers) + 100)
    with serving(place.folder / "slow", place.few.folder, place.upstream_port, settings) as site:
        return slow_drawing(run_slow(site, place.few, place.folder, sizes.readers, _progress))


def _keys(place: Place, sizes: Sizes) -> Drawing:
    _progress(f"making {sizes.keys:,} keys")
    begin = time.monotonic()
    many = seed(place.folder / "many", sizes.keys, place.salt)
    made = time.monotonic() - begin
    begin = time.monotonic()
    with serving(place.folder / "keys", many.folder, place.upstream_port, Settings()) as site:
        ready, read = site.ready, time.monotonic() - begin
        drawing = use_drawing(run_use(site, many, place.folder, sizes.in_use, _progress))
    size = (many.folder / "keystore.db").stat().st_size
    return drawing._replace(
        rows=(
            Row(f"making {sizes.keys:,} keys", f"{made:.0f} s, {size / sizes.keys:.0f} bytes each on disk"),
            Row("from the start until it served", f"{ready:.0f} s"),
            Row("from the start until the whole keystore was held against its log", f"{read:.0f} s"),
            *drawing.rows,
        )
    )


def render_json(machine: dict[str, str], drawings: Sequence[Drawing]) -> str:
    """Every point and every row."""
    parts = [
        {
            **drawing._asdict(),
            "series": [one._asdict() for one in drawing.series],
            "rows": [row._asdict() for row in drawing.rows],
        }
        for drawing in drawings
    ]
    return json.dumps({"machine": machine, "drawings": parts}, indent=1) + "\n"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
