"""What the gateway runs with, held against what the configuration says now: what can change while it runs, what needs a
restart, and whether all of it could be used. It changes nothing.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from gateway.config import Config, SettingsError
from gateway.wire.tls import upstream_context
from gateway.wiring import check_spool, console_listener_context, s3_listener_context
from gateway.workers.control import with_secrets
from keystore.errors import KeystoreError
from keystore.sealing import load_kek_ring

# Sockets are bound and the keystore is opened once.
FIXED: Final = (
    "s3.listen",
    "s3.socket_mode",
    "console.listen",
    "keystore.url",
    "keystore.kek_file",
    "keystore.state_file",
)
FILES: Final = (
    "s3.tls_certificate",
    "s3.tls_key",
    "console.tls_certificate",
    "console.tls_key",
    "upstream.secret_access_key_file",
    "upstream.ca_file",
)
SUPERVISORS: Final = ("limits.drain_timeout", "limits.drain_delay", "limits.replace_timeout", "workers.count")
# What workers do not use, and what the control plane does not.
NOT_WORKERS: Final = ("console.", "keys.", "limits.drain_delay", "limits.replace_timeout")
NOT_CONTROLS: Final = ("limits.", "workers.", "s3.tls_certificate (", "s3.tls_key (")


class Settled(NamedTuple):
    """`files`: a digest of each file that a setting names, by the setting."""

    config: Config
    secret: str
    files: dict[str, bytes]

    def __repr__(self) -> str:
        return "Settled(<hidden>)"


class Changes(NamedTuple):
    """Settings by path; a file behind one whose content is another as "PATH (its file)"."""

    applied: tuple[str, ...]
    need_restart: tuple[str, ...]

    @property
    def of_workers(self) -> bool:
        return any(not name.startswith(NOT_WORKERS) for name in self.applied)

    @property
    def of_control(self) -> bool:
        return any(not name.startswith(NOT_CONTROLS) for name in self.applied)


def settle(config: Config) -> Settled:
    """SettingsError with everything in it that cannot be used."""
    wrong: list[str] = []
    secret = ""
    try:
        secret = config.upstream.secret()
    except SettingsError as error:
        wrong.append(str(error))
    for check in (s3_listener_context, console_listener_context, _check_authorities, _check_kek, _check_spool):
        try:
            check(config)
        except SettingsError as error:
            wrong.append(str(error))
    if wrong:
        raise SettingsError("\n  ".join(dict.fromkeys(wrong)))
    return Settled(config, secret, dict(_digests(config)))


def _check_authorities(config: Config) -> None:
    try:
        if config.upstream.url.scheme == "https":
            upstream_context(config.upstream.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(f"upstream.ca_file: {error}") from error


def _check_kek(config: Config) -> None:
    try:
        load_kek_ring(config.keystore.kek_file)
    except KeystoreError as error:
        raise SettingsError(f"keystore.kek_file: {error}") from error


def _check_spool(config: Config) -> None:
    check_spool(config.limits.spool_dir)


def _digests(config: Config) -> Iterator[tuple[str, bytes]]:
    for name in FILES:
        path = _setting(config, name)
        if isinstance(path, Path):
            try:
                yield name, hashlib.sha256(path.read_bytes()).digest()
            except OSError as error:
                raise SettingsError(f"{name}: {path}: {error.strerror}") from error


def _setting(config: Config, name: str) -> Any:
    section, _, setting = name.partition(".")
    return getattr(getattr(config, section), setting)


def kept_fixed(running: Config, read: Config) -> Config:
    """What is read, with what cannot change as it is. SettingsError when both do not go together."""
    told = with_secrets(read)
    before = with_secrets(running)
    for name in FIXED:
        section, _, setting = name.partition(".")
        told[section][setting] = before[section][setting]
    try:
        return Config.model_validate(told)
    except ValidationError as error:
        why = "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in error.errors())
        raise SettingsError(f"with what cannot change while the gateway runs: {why}") from None


def compare(running: Settled, read: Config, new: Settled) -> Changes:
    """`new`: what `kept_fixed` made of what was `read`."""
    applied = list(_different(running.config, new.config))
    for name in FILES:
        if name not in applied and running.files.get(name) != new.files.get(name):
            applied.append(f"{name} (its file)")
    need_restart = [name for name in _different(new.config, read) if name in FIXED]
    return Changes(tuple(applied), tuple(need_restart))


def _different(one: Config, other: Config) -> Iterator[str]:
    """No value is compared as text: a secret that changed is named, and never shown."""
    for section in type(one).model_fields:
        mine, theirs = getattr(one, section), getattr(other, section)
        for name in type(mine).model_fields:
            if getattr(mine, name) != getattr(theirs, name):
                yield f"{section}.{name}"
