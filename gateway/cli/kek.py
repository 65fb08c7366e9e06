"""`nqgate kek`: create, add, status, rotate. No command ever prints a key-encryption key."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.confirmed import in_words, require_proof, with_confirmation
from gateway.cli.keys import Json, Yes
from gateway.cli.opened import actor, config_path
from gateway.cli.output import confirm, progress, say, show_json, show_rows, told_errors
from gateway.config import KeystoreSettings, load_config
from keystore.confirmation import confirmation_json
from keystore.errors import KeystoreUnavailable
from keystore.kek_file import add_kek, retire_lines
from keystore.kek_use import KekStatus, KekUse, kek_status_json
from keystore.postgres_rotation import kek_status_postgres, require_loaded_postgres
from keystore.rotation import kek_status, require_loaded, rotate
from keystore.sealing import RETIRED_LINE, Secret, create_kek_file, load_kek_ring
from keystore.sqlite_file import keystore_path
from keystore.store import Store

kek = typer.Typer(no_args_is_help=True, help="The key-encryption key, under which every secret is sealed.")


@kek.command()
def create(file: Annotated[Path, typer.Argument(help="A file that is not there yet.")]) -> None:
    """Make a key-encryption key in FILE, 0600. Needs no configuration; keep a copy apart from the keystore's."""
    with told_errors():
        kek_id = create_kek_file(file)
    say(f"Key-encryption key {kek_id} is in {file}. Without it the secrets in the keystore are lost.")


@kek.command()
def add(context: typer.Context) -> None:
    """First half of a rotation: a new key-encryption key in the KEK file. Gateways load it; nothing is sealed anew."""
    with told_errors():
        settings = _settings(context)
        file = settings.kek_file
        kek_id = add_kek(file)
    print(kek_id)
    say(f"Key-encryption key {kek_id} is in {file}. Copy the file to where you keep its copy, apart from the keystore.")
    if settings.remote:
        say("Copy it to every other host with a gateway of this keystore, too, before you rotate.")
    say("Running gateways load it within a second or two (`nqgate kek status`). Then: `nqgate kek rotate`.")


@kek.command()
def status(context: typer.Context, json: Json = False) -> None:
    """What stands under which key-encryption key, and which of them each gateway has loaded."""
    with told_errors():
        settings = _settings(context)
        found = _status(settings)
    if json:
        show_json(kek_status_json(found))
        return
    columns = ("KEK", "STATE", "ACCESS KEYS", "ACCOUNTS", "BUCKETS", "ADMIN TOKENS", "LOG")
    show_rows(columns, [(use.kek_id, _state(use), *map(str, use[5:])) for use in found.keks])
    for gateway in found.gateways:
        say(f"Gateway {gateway.shown} has {', '.join(gateway.keks) or 'not said which'}.")
    if not found.gateways:
        say("No gateway is running." if settings.remote else "No gateway is running on this machine.")
    if not found.finished:
        say(f"To seal under {found.newest.kek_id}: `nqgate kek rotate`.")


def _status(settings: KeystoreSettings) -> KekStatus:
    ring = load_kek_ring(settings.kek_file)
    if not settings.remote:
        return kek_status(settings.path, ring)
    return asyncio.run(kek_status_postgres(Secret(settings.url.get_secret_value()), ring))


def _state(use: KekUse) -> str:
    if not use.loaded:
        return "missing"
    if use.seals:
        return "seals"
    return "retired" if use.retired else "newest" if use.newest else "opens"


@kek.command("rotate")
def rotate_all(context: typer.Context, yes: Yes = False, json: Json = False) -> None:
    """Second half: seal everything under the newest key-encryption key, and retire the older ones. Can be resumed."""
    with told_errors():
        settings = _settings(context)
        before = _status(settings)
    newest = before.newest.kek_id
    if before.finished:
        retired = _retire_in_file(settings, newest)
        if json:
            show_json({"rotated": False, "kek_id": newest, "resealed": 0, "retired": retired})
        say(f"Everything is sealed under {newest}, the newest: nothing to do. `nqgate kek add` makes another.")
        return
    with told_errors():
        asyncio.run(_require_loaded(settings, newest))
        question = f"Seal {before.due} rows anew under {newest}, and retire the older key-encryption keys?"
        confirm(newest, question, yes=yes)

    async def work(store: Store) -> int:
        await _require_loaded(settings, newest)
        with progress() as show:
            return await rotate(store, newest, actor(), lambda done: show(f"{done} of {before.due} rows"))

    resealed, confirmation = with_confirmation(context, work)
    retired = _retire_in_file(settings, newest)
    if json:
        fields = {"rotated": True, "kek_id": newest, "resealed": resealed, "retired": retired}
        show_json({**fields, **confirmation_json(confirmation)})
    say(f"Rows sealed anew under {newest}: {resealed}. Older keys are retired, {in_words(confirmation)}.")
    say(
        f"Their lines in {settings.kek_file} only read the change log now, and must stay for it. A backup from before"
        " needs them as they were: keep the old copy of the file for as long as such backups."
    )
    if settings.remote:
        say("On every other host `nqgate kek rotate` marks the lines in its own KEK file, and does nothing else.")
    require_proof(confirmation)


async def _require_loaded(settings: KeystoreSettings, newest: str) -> None:
    if not settings.remote:
        return require_loaded(keystore_path(settings.path), newest)
    url = Secret(settings.url.get_secret_value())
    return await require_loaded_postgres(url, load_kek_ring(settings.kek_file), newest)


def _settings(context: typer.Context) -> KeystoreSettings:
    return load_config(config_path(context)).keystore


def _retire_in_file(settings: KeystoreSettings, newest: str) -> list[str]:
    """So that no keystore, an older or a forged one, can make them count again. Their kek_ids."""
    try:
        return list(retire_lines(settings.kek_file, newest))
    except KeystoreUnavailable as error:
        say(f"Note: {error}. Let the lines before the last begin with {RETIRED_LINE} there.")
        return []
