"""Key-encryption keys and what is derived from them: sealed secrets and MAC keys.

Seal: HKDF-SHA256 subkey per record (16-byte random salt, info = purpose and id) → AES-256-GCM, 96-bit random nonce,
associated data = length-prefixed (format version, account, id, kek_id). What is sealed for one id does not open under
another. MAC keys: HKDF-SHA256 of the KEK, salt = store_id, info = purpose. There is no reader of unsealed secrets.
This file knows no store and no file format but the KEK file's own.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keystore.errors import Conflict, KeystoreUnavailable, RecordRefused, WrongKek
from keystore.record import length_prefixed

SEAL_FORMAT: Final = 1
SALT_LENGTH: Final = 16
NONCE_LENGTH: Final = 12
KEK_LENGTH: Final = 32
KEK_LINE: Final = "nqgate-kek-1:"
MAX_KEK_FILE: Final = 65_536  # bytes; a KEK is one line of 57, so this is a thousand rotations
KEK_FILE_HEAD: Final = (
    "# NQ Gateway key-encryption key. Whoever has this file and the keystore has every secret in it; without this\n"
    "# file no secret can be read again. Keep a copy, apart from the keystore's backups. The last line seals.\n"
)


class Secret:
    """A secret that is never printed, formatted or pickled by accident. Reading it is spelled `.expose()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def expose(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "<hidden>"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class Kek:
    """One key-encryption key of 32 bytes. `kek_id` is its fingerprint, 16 hex digits: it may be shown and stored."""

    __slots__ = ("_octets", "kek_id")

    def __init__(self, octets: bytes) -> None:
        if len(octets) != KEK_LENGTH:
            raise KeystoreUnavailable(f"a key-encryption key has {KEK_LENGTH} bytes, this one {len(octets)}")
        self._octets = octets
        self.kek_id = hmac.digest(octets, b"nqgate kek id", "sha256")[:8].hex()

    def derive(self, salt: bytes, info: bytes) -> bytes:
        """A 32-byte subkey."""
        return HKDF(SHA256(), 32, salt, info).derive(self._octets)

    def __repr__(self) -> str:
        return f"Kek({self.kek_id}, <hidden>)"


class KekRing:
    """The loaded KEKs, oldest first. The newest seals, all of them open."""

    __slots__ = ("_by_id", "keks")

    def __init__(self, keks: tuple[Kek, ...]) -> None:
        if not keks:
            raise KeystoreUnavailable("no key-encryption key is loaded")
        self.keks = keks
        self._by_id = {kek.kek_id: kek for kek in keks}

    @property
    def newest(self) -> Kek:
        return self.keks[-1]

    def named(self, kek_id: str) -> Kek:
        """WrongKek when it is not loaded."""
        try:
            return self._by_id[kek_id]
        except KeyError:
            loaded = ", ".join(self._by_id)
            raise WrongKek(
                f"wrong key: sealed under key-encryption key {kek_id}, but the KEK file holds {loaded}"
            ) from None

    def since(self, kek_id: str) -> "KekRing":
        """This ring without the KEKs older than `kek_id`: what a retired KEK sealed is refused."""
        oldest = self.keks.index(self.named(kek_id))
        return KekRing(self.keks[oldest:])

    def __repr__(self) -> str:
        return f"KekRing({', '.join(self._by_id)})"


class MacKeys:
    """The MAC keys of one keystore, by purpose and kek_id; each is derived once. Unknown kek_id: WrongKek."""

    __slots__ = ("_derived", "_ring", "_salt")

    def __init__(self, ring: KekRing, store_id: str) -> None:
        self._ring = ring
        self._salt = store_id.encode()
        self._derived: dict[tuple[str, str], bytes] = {}

    def record(self, kek_id: str) -> bytes:
        return self._mac_key("record mac", kek_id)

    def chain(self, kek_id: str) -> bytes:
        return self._mac_key("chain mac", kek_id)

    def store(self, kek_id: str) -> bytes:
        return self._mac_key("store mac", kek_id)

    def _mac_key(self, purpose: str, kek_id: str) -> bytes:
        found = self._derived.get((purpose, kek_id))
        if found is None:
            found = self._ring.named(kek_id).derive(self._salt, length_prefixed("nqgate", purpose))
            self._derived[purpose, kek_id] = found
        return found


class Binding(NamedTuple):
    """What a seal is bound to. `purpose`: "secret", "canary", …; `record_id`: the access key id, the store id, …"""

    purpose: str
    account: str
    record_id: str


def _cipher(kek: Kek, binding: Binding, salt: bytes) -> tuple[AESGCM, bytes]:
    subkey = kek.derive(salt, length_prefixed(binding.purpose, binding.record_id))
    associated = length_prefixed(SEAL_FORMAT, binding.account, binding.record_id, kek.kek_id)
    return AESGCM(subkey), associated


def seal(kek: Kek, binding: Binding, plain: bytes) -> bytes:
    """Format byte, salt (16), nonce (12), ciphertext and tag (16): 45 bytes more than `plain`."""
    salt = secrets.token_bytes(SALT_LENGTH)
    nonce = secrets.token_bytes(NONCE_LENGTH)
    cipher, associated = _cipher(kek, binding, salt)
    return bytes((SEAL_FORMAT,)) + salt + nonce + cipher.encrypt(nonce, plain, associated)


def open_seal(kek: Kek, binding: Binding, sealed: bytes) -> bytes:
    """The inverse of `seal`. RecordRefused for another KEK, binding, format, or any changed byte."""
    if sealed[:1] != bytes((SEAL_FORMAT,)):
        raise RecordRefused(f"{binding.purpose} of {binding.record_id}: the seal has another format")
    nonce_at = 1 + SALT_LENGTH
    body_at = nonce_at + NONCE_LENGTH
    cipher, associated = _cipher(kek, binding, sealed[1:nonce_at])
    try:
        return cipher.decrypt(sealed[nonce_at:body_at], sealed[body_at:], associated)
    except (InvalidTag, ValueError):
        raise RecordRefused(f"{binding.purpose} of {binding.record_id}: the seal does not open") from None


def canary_binding(store_id: str) -> Binding:
    return Binding("canary", "", store_id)


def seal_canary(kek: Kek, store_id: str) -> bytes:
    return seal(kek, canary_binding(store_id), hashlib.sha256(store_id.encode()).digest())


def check_canary(ring: KekRing, kek_id: str, store_id: str, canary: bytes) -> None:
    """WrongKek unless the loaded KEK is the one this keystore was sealed with."""
    try:
        plain = open_seal(ring.named(kek_id), canary_binding(store_id), canary)
    except RecordRefused as error:
        raise WrongKek(f"wrong key: key-encryption key {kek_id} does not open this keystore's canary") from error
    if plain != hashlib.sha256(store_id.encode()).digest():
        raise WrongKek(f"wrong key: the canary under {kek_id} belongs to another keystore")


def create_kek_file(path: Path) -> str:
    """Write a new KEK, readable by its owner only, and return its kek_id. Conflict when the file is there already."""
    kek = Kek(secrets.token_bytes(KEK_LENGTH))
    line = KEK_LINE + base64.urlsafe_b64encode(kek._octets).decode() + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Conflict(f"{path} exists already: a key-encryption key is never overwritten") from None
    except OSError as error:
        raise KeystoreUnavailable(f"cannot create the KEK file {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(KEK_FILE_HEAD + line)
        file.flush()
        os.fsync(descriptor)
    _sync_folder(path.parent)
    return kek.kek_id


def _sync_folder(folder: Path) -> None:
    """A KEK whose directory entry a power cut takes away would take every secret with it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_kek_ring(path: Path) -> KekRing:
    """The KEKs in the file, one a line, the last the newest.

    Raises KeystoreUnavailable when the file cannot be read, is no KEK file, or group or others may read or write it.
    """
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            _check_mode(path, mode)
            text = file.read(MAX_KEK_FILE + 1)
    except OSError as error:
        raise KeystoreUnavailable(
            f"cannot read the KEK file {path}: {error.strerror}; `nqgate kek create {path}` makes a new one"
        ) from error
    if len(text) > MAX_KEK_FILE:
        raise KeystoreUnavailable(f"{path} is no KEK file: longer than {MAX_KEK_FILE} bytes")
    lines = [line.strip() for line in text.splitlines()]
    return KekRing(tuple(_read_line(path, line) for line in lines if line and not line.startswith(b"#")))


def _check_mode(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise KeystoreUnavailable(f"{path} is not a regular file")
    if mode & 0o077:
        raise KeystoreUnavailable(
            f"the KEK file {path} can be read by group or others (mode {mode & 0o777:04o}): chmod 600 {path}"
        )


def _read_line(path: Path, line: bytes) -> Kek:
    prefix = KEK_LINE.encode()
    try:
        octets = base64.b64decode(line.removeprefix(prefix), altchars=b"-_", validate=True)
    except binascii.Error:
        octets = b""
    if not line.startswith(prefix) or len(octets) != KEK_LENGTH:
        raise KeystoreUnavailable(f"{path} is no KEK file: a line is not {KEK_LINE}<32 bytes in base64url>")
    return Kek(octets)
