"""`nqgate up`: everything on one machine in one folder, made at the first run and found again at every other."""

import asyncio
import contextlib
import fcntl
import os
import re
import shlex
import signal
import socket
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.config import Config, load_config
from gateway.console.links import make_link, sign_in_address
from gateway.embedded.seaweedfs import EmbeddedStore, StoreError, find_weed
from gateway.serve import BoundAddresses, Started, serve
from gateway.telemetry.logs import configure_logs
from gateway.unix_address import check_unix_path, unix_path
from gateway.unix_listener import Found, look_at
from keystore.access_key import AccessKey
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.scope import AllBuckets
from keystore.sealing import Secret, create_kek_file, load_kek_ring
from keystore.sqlite import open_sqlite_store
from keystore.store import NewKey

_CONFIGURATION: Final = """\
# Written by `nqgate up`, which keeps `endpoint` true; the rest is yours to change.
# All settings: config/gateway.toml.

[s3]
listen = "{s3}"

[console]
listen = "{console}"

[upstream]
endpoint = "{endpoint}"
profile = "seaweedfs"
region = "us-east-1"
access_key_id = "{access_key_id}"
secret_access_key_file = "store/secret"

[keystore]
url = "sqlite:///keystore.db"
kek_file = "kek"
"""


class FirstRunError(Exception):
    """`up` cannot go on. One sentence: what happened and what to do."""


async def up_and_serve(data: Path, s3: str | None, console: str | None) -> None:
    """Run until Ctrl-C or SIGTERM. `s3`: HOST:PORT or unix:/PATH, `console`: HOST:PORT; None: as configured.

    Raises FirstRunError with one sentence.
    """
    try:
        find_weed()
        with _folder(data):
            await _run(data, s3, console)
    except StoreError as error:
        raise FirstRunError(str(error)) from None


@contextlib.contextmanager
def _folder(data: Path) -> Iterator[None]:
    """The folder, 0700, held by one `up` at a time."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FirstRunError(f"The folder {data} cannot be used: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FirstRunError(f"Another `nqgate up` runs on {data}: stop it, or name another --data.") from None
        yield
    finally:
        os.close(lock)


async def _run(data: Path, s3: str | None, console: str | None) -> None:
    file = data / "gateway.toml"
    chosen = _listen_addresses(file, s3, console)
    for address in chosen:
        _check_free(address)
    store = EmbeddedStore(data.resolve() / "store")
    try:
        await store.start()
        _write_configuration(file, store, *chosen)
        config = load_config(file)
        configure_logs(config.log.level, config.log.format)
        first = await _first_key(config)
        watching = asyncio.create_task(_stop_when_store_ends(store))

        def on_ready(bound: BoundAddresses) -> None:
            print(_welcome(bound, first, data, _link(config, bound)), flush=True)

        await serve(config, Started(file, daemon=False, on_ready=on_ready))
        watching.cancel()
        if not store.running():
            raise FirstRunError(f"The embedded store ended by itself; its words are in {data}/store/store.log.")
    finally:
        await store.stop()


def _listen_addresses(file: Path, s3: str | None, console: str | None) -> tuple[str, str]:
    known = tomllib.loads(file.read_text()) if file.exists() else {}
    return (
        s3 or known.get("s3", {}).get("listen", "127.0.0.1:9000"),
        console or known.get("console", {}).get("listen", "127.0.0.1:9001"),
    )


def _check_free(address: str) -> None:
    path = unix_path(address)
    if path is not None:
        _check_socket(path)
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_server((host.strip("[]"), int(port)), family=_family(host)):
            pass
    except (OSError, ValueError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not HOST:PORT"
        raise FirstRunError(
            f"{address} cannot be listened on ({reason}): stop what uses it, or choose another with --s3 and --console."
        ) from None


def _check_socket(path: str) -> None:
    """What a dead gateway left there is replaced."""
    try:
        check_unix_path(path)
        reason = {Found.LIVE: Found.LIVE.value, Found.OTHER: Found.OTHER.value}.get(look_at(path), "")
    except ValueError as error:
        reason = str(error)
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise FirstRunError(f"unix:{path} cannot be listened on ({reason}): choose another with --s3.")


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _write_configuration(file: Path, store: EmbeddedStore, s3: str, console: str) -> None:
    secret = file.parent / "store" / "secret"
    _write(secret, store.credential.secret_access_key + "\n")
    if not file.exists():
        _write(
            file,
            _CONFIGURATION.format(
                s3=s3, console=console, endpoint=store.endpoint, access_key_id=store.credential.access_key_id
            ),
        )
        return
    text = file.read_text()
    for section, name, value in (
        ("s3", "listen", s3),
        ("console", "listen", console),
        ("upstream", "endpoint", store.endpoint),
    ):
        text = set_line(text, section, name, value)
    _write(file, text)


def set_line(text: str, section: str, name: str, value: str) -> str:
    """TOML text with one line of one section changed; a section or line that is not there is added."""
    line = f'{name} = "{value}"'
    head = re.search(rf"^\[{section}\][^\n]*\n", text, re.MULTILINE)
    if head is None:
        return f"{text.rstrip()}\n\n[{section}]\n{line}\n"
    following = re.search(r"^\[", text[head.end() :], re.MULTILINE)
    end = head.end() + following.start() if following else len(text)
    inside, found = re.subn(rf"^{name}\s*=[^\n]*$", lambda _: line, text[head.end() : end], flags=re.MULTILINE)
    return text[: head.end()] + (inside if found else f"{line}\n{inside}") + text[end:]


def _write(file: Path, text: str) -> None:
    """Whole or not at all, 0600."""
    draft = file.with_name(file.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
    draft.replace(file)


async def _first_key(config: Config) -> tuple[AccessKey, Secret] | None:
    """The key of the first run; None when the keystore has been used before."""
    if not config.keystore.kek_file.exists():
        create_kek_file(config.keystore.kek_file)
    made = not config.keystore.path.exists()
    ring = load_kek_ring(config.keystore.kek_file)
    async with open_sqlite_store(config.keystore.path, ring, create=True) as store:
        if not made:
            return None
        return await store.create_key(NewKey(DEFAULT_ACCOUNT, "first key", AllBuckets()), "up")


async def _stop_when_store_ends(store: EmbeddedStore) -> None:
    while store.running():
        await asyncio.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def _beside(program: str) -> str:
    """The path of a program of this environment, as a person in this folder would type it."""
    return os.path.relpath(Path(sys.executable).parent / program)


def _link(config: Config, bound: BoundAddresses) -> str:
    """Opens the console once, within five minutes; made when the gateway serves."""
    text = make_link(load_kek_ring(config.keystore.kek_file), None, time.time())
    return sign_in_address(config.console.public_url or bound.console, text)


def _welcome(bound: BoundAddresses, first: tuple[AccessKey, Secret] | None, data: Path, link: str) -> str:
    nqgate = _beside("nqgate")
    if first is None:
        return (
            f"\n  S3 endpoint   {bound.s3}\n  Console       {link}\n"
            f"                (opens once, within 5 minutes; then: {nqgate} console link)\n"
            f"  Data          {data}\n\n"
            f"  Everything is where it was. The first key's secret was shown once, at the first run.\n"
            f"  Another key:  {nqgate} keys create --label my-app --all-buckets\n"
            f"  All keys:     {nqgate} keys list\n\n  Ctrl-C stops the gateway and the store.\n"
        )
    access_key, secret = first
    return f"""
  S3 endpoint        {bound.s3}
  Console            {link}
                     (opens once, within 5 minutes; then: {nqgate} console link)

  Access key id      {access_key.access_key_id}
  Secret access key  {secret.expose()}
  The secret is shown this once: keep it now.

  Try it in a second terminal:

    export AWS_ACCESS_KEY_ID={access_key.access_key_id}
    export AWS_SECRET_ACCESS_KEY={secret.expose()}
    export AWS_DEFAULT_REGION=us-east-1
{_tried(bound.s3)}
  Keys:    {nqgate} keys create --label my-app --bucket my-first-bucket
           {nqgate} keys list
           {nqgate} keys revoke ACCESS_KEY_ID
  Health:  {bound.console}/readyz
  Data:    {data}

  Ctrl-C stops the gateway and the store.
"""


def _tried(s3: str) -> str:
    """How to use the first key at `s3`: most programs speak to no Unix socket, curl does."""
    path = unix_path(s3)
    if path is not None:
        return f"""\
    curl --unix-socket {shlex.quote(path)} --aws-sigv4 aws:amz:$AWS_DEFAULT_REGION:s3 \\
      --user $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY -H "x-amz-content-sha256: UNSIGNED-PAYLOAD" http://localhost/
"""
    aws = f"{_beside('aws')} --endpoint-url {s3}"
    return f"""\
    {aws} s3 mb s3://my-first-bucket
    {aws} s3 cp README.md s3://my-first-bucket/
    {aws} s3 ls s3://my-first-bucket

  Or from Python:

    import boto3
    s3 = boto3.client("s3", endpoint_url="{s3}", region_name="us-east-1")
    s3.list_buckets()
"""
