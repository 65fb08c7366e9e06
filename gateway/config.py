"""The configuration, found and read once, at start. What each setting is: `gateway.config_sections`,
`gateway.config_upstream`, `gateway.config_telemetry`.

Order of precedence: environment (`NQGATE_SECTION__NAME`), then the one file that was found. An unknown setting is an
error, and all errors are told at once, by path.
"""

import os
import tomllib
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.config_sections import ConsoleSettings, KeysSettings, LogSettings, WorkersSettings

# What reads a configuration finds its sections here.
from gateway.config_sections import KeystoreSettings as KeystoreSettings
from gateway.config_sections import LimitsSettings as LimitsSettings
from gateway.config_sections import S3Settings as S3Settings
from gateway.config_sections import SettingsError as SettingsError
from gateway.config_telemetry import TelemetrySettings
from gateway.config_upstream import UpstreamSettings as UpstreamSettings

PREFIX: Final = "NQGATE_"
SEARCHED: Final = (Path("gateway.toml"), Path("data/gateway.toml"), Path("/etc/nqgate/gateway.toml"))


class Config(BaseSettings):
    """All sections."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__", validate_default=True
    )

    s3: S3Settings = S3Settings()
    console: ConsoleSettings = ConsoleSettings()
    upstream: UpstreamSettings
    keystore: KeystoreSettings = KeystoreSettings()
    keys: KeysSettings = KeysSettings()
    workers: WorkersSettings = WorkersSettings()
    limits: LimitsSettings = LimitsSettings()
    log: LogSettings = LogSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def find_config(named: Path | None = None) -> Path | None:
    """The file to read: the one named, NQGATE_CONFIG, or the first of SEARCHED that exists; None when there is none."""
    if named is not None:
        return named
    if os.environ.get(f"{PREFIX}CONFIG"):
        return Path(os.environ[f"{PREFIX}CONFIG"])
    return next((path for path in SEARCHED if path.is_file()), None)


def load_config(named: Path | None = None) -> Config:
    """Raises SettingsError with every setting that is wrong."""
    path = find_config(named)
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text())
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} is not TOML: {error}") from error
        _resolve_paths(values, path.resolve().parent)
    try:
        return Config(**values)
    except ValidationError as error:
        where = str(path) if path is not None else "the environment (no gateway.toml was found)"
        lines = [f"{'.'.join(str(part) for part in one['loc'])}: {_said(one['msg'])}" for one in error.errors()]
        raise SettingsError(f"{where}:\n  " + "\n  ".join(lines)) from None


def _said(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "no such setting")


_PATHS: Final = (
    ("s3", "tls_certificate"),
    ("s3", "tls_key"),
    ("console", "tls_certificate"),
    ("console", "tls_key"),
    ("upstream", "secret_access_key_file"),
    ("upstream", "ca_file"),
    ("keystore", "kek_file"),
    ("keystore", "state_file"),
    ("limits", "spool_dir"),
)


def _resolve_paths(values: dict[str, Any], folder: Path) -> None:
    """Relative paths in a file are relative to that file."""
    for section, name in _PATHS:
        inside = values.get(section)
        if isinstance(inside, dict) and isinstance(inside.get(name), str):
            inside[name] = str(folder / inside[name])
    keystore = values.get("keystore")
    if isinstance(keystore, dict) and str(keystore.get("url", "")).startswith("sqlite:///"):
        keystore["url"] = f"sqlite:///{folder / str(keystore['url']).removeprefix('sqlite:///')}"
