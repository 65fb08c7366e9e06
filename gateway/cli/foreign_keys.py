"""Keys in the files of other programs: pairs as text or CSV, MinIO's IAM export, Garage's keys as it shows them.

Pure: octets come in. A file of which any part is not understood is refused whole, and no message holds a secret.
"""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from keystore.errors import InvalidInput
from keystore.sealing import Secret
from keystore.store import check_foreign

MAX_FILE: Final = 16 << 20  # bytes, unpacked too: some 100,000 keys

# https://github.com/minio/minio, cmd/admin-handlers-users.go: what `mc admin cluster iam export` packs.
_MINIO_FILES: Final = ("iam-assets/users.json", "iam-assets/svcaccts.json")
_DISABLED: Final = frozenset({"off", "disabled"})
# What `garage key info --show-secret` says, in the words of its versions 0.8 to 2.
_GARAGE_ID: Final = re.compile(r"^Key ID:\s*(\S+)\s*$", re.MULTILINE)
_GARAGE_SECRET: Final = re.compile(r"^Secret key:\s*(\S+)\s*$", re.MULTILINE)
_GARAGE_NAME: Final = re.compile(r"^Key name:[ \t]*(.*?)\s*$", re.MULTILINE)
# id → secret → label, by the names that programs give them in JSON.
_IDS: Final = ("access_key_id", "accessKeyId", "AccessKeyId", "accessKey")
_SECRETS: Final = ("secret_access_key", "secretAccessKey", "SecretAccessKey", "secretKey")
_LABELS: Final = ("label", "name", "UserName", "description")


class ForeignKey(NamedTuple):
    """`label`: "" where the file has none. `disabled`: the other program refuses it."""

    access_key_id: str
    secret: Secret
    label: str
    disabled: bool = False


def read_foreign_keys(octets: bytes) -> list[ForeignKey]:
    """Every key in the file, each id once. InvalidInput, with the place, for anything else."""
    if len(octets) > MAX_FILE:
        raise InvalidInput(f"the file is larger than {MAX_FILE >> 20} MiB")
    found = list(_minio_export(octets) if octets.startswith(b"PK\x03\x04") else _text(octets))
    if not found:
        raise InvalidInput("the file holds no keys")
    seen: set[str] = set()
    for one in found:
        check_foreign(one.access_key_id, one.secret)
        if one.access_key_id in seen:
            raise InvalidInput(f"{one.access_key_id} is there twice")
        seen.add(one.access_key_id)
    return found


def _text(octets: bytes) -> Iterator[ForeignKey]:
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput("the file is neither text in UTF-8 nor a zip archive") from None
    if text.lstrip().startswith(("{", "[")):
        yield from _json(_parsed(text))
    elif _GARAGE_ID.search(text):
        yield from _garage(text)
    else:
        yield from _pairs(text)


def _pairs(text: str) -> Iterator[ForeignKey]:
    """A key in a line: id, secret and perhaps a label, apart by blanks or, as AWS writes them, by commas."""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            fields = next(csv.reader([line], strict=True)) if "," in line else line.split(None, 2)
        except csv.Error:
            raise InvalidInput(f"line {number}: the quotes do not match") from None
        fields = [field.strip() for field in fields]
        if fields[0].lower() in ("access key id", "access_key_id", "user name"):
            if fields[0].lower() == "user name":
                raise InvalidInput(f"line {number}: write the access key id first, then the secret")
            continue
        if len(fields) not in (2, 3):
            raise InvalidInput(f"line {number}: an access key id, its secret and perhaps a label are expected")
        yield ForeignKey(fields[0], Secret(fields[1]), fields[2] if len(fields) == 3 else "")


def _garage(text: str) -> Iterator[ForeignKey]:
    """One block after another; each begins with its id or its name."""
    ids, secrets = _GARAGE_ID.findall(text), _GARAGE_SECRET.findall(text)
    names = _GARAGE_NAME.findall(text)
    if len(ids) != len(secrets):
        raise InvalidInput("a key has no secret: export it with `garage key info --show-secret`")
    names = names if len(names) == len(ids) else [""] * len(ids)
    for access_key_id, secret, name in zip(ids, secrets, names, strict=True):
        yield ForeignKey(access_key_id, Secret(secret), name)


def _minio_export(octets: bytes) -> Iterator[ForeignKey]:
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            members = [info for info in archive.infolist() if info.filename in _MINIO_FILES]
            if not members:
                raise InvalidInput("the archive holds no iam-assets: make it with `mc admin cluster iam export`")
            if sum(info.file_size for info in members) > MAX_FILE:
                raise InvalidInput(f"the archive holds more than {MAX_FILE >> 20} MiB of keys")
            texts = [archive.read(info) for info in members]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        raise InvalidInput("the zip archive is damaged or encrypted") from None
    for text in texts:
        yield from _json(_parsed(text))


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput("the file begins as JSON and is none") from None


def _json(value: Any) -> Iterator[ForeignKey]:
    """One key, a list of keys, or, as MinIO has them, keys by their ids."""
    if isinstance(value, list):
        for one in value:
            yield from _json(one)
        return
    if not isinstance(value, dict):
        raise InvalidInput("a key is an object with an id and a secret")
    if isinstance(value.get("AccessKey"), dict):  # of `aws iam create-access-key`
        value = value["AccessKey"]
    if any(name in value for name in (*_IDS, *_SECRETS)):
        yield _object(value, "")
        return
    for name, one in value.items():
        if not isinstance(one, dict):
            raise InvalidInput(f"what stands under {name[:40]!r} is no key")
        yield _object(one, name)


def _object(fields: dict[str, Any], named: str) -> ForeignKey:
    access_key_id = _first(fields, _IDS) or named
    secret = _first(fields, _SECRETS)
    if not access_key_id or not secret:
        raise InvalidInput(f"{access_key_id or named or 'a key'} has no secret in the file")
    disabled = str(fields.get("status", "")).lower() in _DISABLED or fields.get("expired") is True
    return ForeignKey(access_key_id, Secret(secret), _first(fields, _LABELS), disabled)


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((value for name in names if isinstance(value := fields.get(name), str) and value), "")
