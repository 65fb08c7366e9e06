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
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keystore.errors import Conflict, KeystoreUnavailable, RecordRefused, WrongKek
from keystore.record import length_prefixed
from keystore.secret_mode import open_to_others
from keystore.verified_rows import HandedMac

SEAL_FORMAT: Final = 1
SALT_LENGTH: Final = 16
NONCE_LENGTH: Final = 12
KEK_LENGTH: Final = 32
KEK_LINE: Final = "nqgate-kek-1:"
RETIRED_LINE: Final = "nqgate-kek-retired-1:"  # of a KEK that reads the change log, and nothing else any more
MAX_KEK_FILE: Final = 65_536  # bytes; a KEK is one line of 57, so this is a thousand rotations
KEK_FILE_HEAD: Final = (
    "# NQ Gateway key-encryption key. Whoever has this file and the keystore has every secret in it; without this\n"
    "# file no secret can be read again. Keep a copy, apart from the keystore's backups. The last line is the newest.\n"
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
    """The loaded KEKs, oldest first. Which of them seals is said by the keystore, all of them open. The `retired` ones
    read the change log, and nothing else: nothing that stands under one of them is believed.
    """

    __slots__ = ("_by_id", "_retired", "keks")

    def __init__(self, keks: tuple[Kek, ...], retired: tuple[Kek, ...] = ()) -> None:
        self._retired = {kek.kek_id: kek for kek in retired}
        self._by_id = {kek.kek_id: kek for kek in keks if kek.kek_id not in self._retired}
        self.keks = tuple(self._by_id.values())
        if not self.keks:
            raise KeystoreUnavailable("no key-encryption key is loaded that is not retired")

    @property
    def retired(self) -> tuple[Kek, ...]:
        return tuple(self._retired.values())

    @property
    def newest(self) -> Kek:
        return self.keks[-1]

    def named(self, kek_id: str) -> Kek:
        """WrongKek when it is not loaded, and when it is retired."""
        found = self._by_id.get(kek_id)
        if found is None:
            retired = f"; there {kek_id} is retired and reads the change log only" if kek_id in self._retired else ""
            raise WrongKek(
                f"wrong key: sealed under key-encryption key {kek_id}, but the KEK file holds"
                f" {', '.join(self._by_id)}{retired}"
            )
        return found

    def named_in_log(self, kek_id: str) -> Kek:
        """As `named`, for a row of the change log: a retired one will do."""
        found = self._by_id.get(kek_id) or self._retired.get(kek_id)
        if found is None:
            raise WrongKek(
                f"wrong key: a part of the change log was written under key-encryption key {kek_id}, and the KEK file"
                f" holds {', '.join([*self._retired, *self._by_id])}: its line must stay there, retired or not"
            )
        return found

    def since(self, kek_id: str) -> "KekRing":
        """This ring with the KEKs older than `kek_id` retired. WrongKek when that one is not loaded."""
        oldest = self.keks.index(self.named(kek_id))
        return KekRing(self.keks[oldest:], (*self.retired, *self.keks[:oldest]))

    def __repr__(self) -> str:
        return f"KekRing({', '.join(self._by_id)})"


class MacKeys:
    """The MAC keys of one keystore, by purpose and kek_id; each is derived once. Unknown kek_id: WrongKek.

    A retired KEK has a key for the chain only.
    """

    __slots__ = ("_derived", "_ring", "_salt")

    def __init__(self, ring: KekRing, store_id: str) -> None:
        self._ring = ring
        self._salt = store_id.encode()
        self._derived: dict[tuple[str, str], bytes] = {}

    def record(self, kek_id: str) -> bytes:
        return self._mac_key("record mac", kek_id, self._ring.named)

    def chain(self, kek_id: str) -> bytes:
        return self._mac_key("chain mac", kek_id, self._ring.named_in_log)

    def store(self, kek_id: str) -> bytes:
        return self._mac_key("store mac", kek_id, self._ring.named)

    def handed(self) -> tuple[HandedMac, ...]:
        """All of them, the oldest KEK first: for a process that verifies and holds no KEK."""
        retired = [HandedMac(kek.kek_id, b"", self.chain(kek.kek_id), b"") for kek in self._ring.retired]
        usable = [kek.kek_id for kek in self._ring.keks]
        return (*retired, *(HandedMac(one, self.record(one), self.chain(one), self.store(one)) for one in usable))

    def _mac_key(self, purpose: str, kek_id: str, named: Callable[[str], Kek]) -> bytes:
        found = self._derived.get((purpose, kek_id))
        if found is None:
            found = named(kek_id).derive(self._salt, length_prefixed("nqgate", purpose))
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
    kek, line = new_kek_line()
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
    sync_folder(path.parent)
    return kek.kek_id


def new_kek_line() -> tuple[Kek, str]:
    """A new KEK, and its line in a KEK file."""
    kek = Kek(secrets.token_bytes(KEK_LENGTH))
    return kek, KEK_LINE + base64.urlsafe_b64encode(kek._octets).decode() + "\n"


def sync_folder(folder: Path) -> None:
    """A file whose directory entry a power cut takes away is gone: of a KEK, with every secret."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_kek_ring(path: Path) -> KekRing:
    """The KEKs in the file, one a line, the last the newest; those of RETIRED_LINE are retired, wherever they stand.

    Raises KeystoreUnavailable when the file cannot be read, is no KEK file, or group or others may read or write it.
    """
    return read_kek_ring(path, read_kek_file(path))


def read_kek_file(path: Path) -> bytes:
    """Its text. Raises as `load_kek_ring`."""
    try:
        with open(path, "rb") as file:
            _check_mode(path, os.fstat(file.fileno()))
            text = file.read(MAX_KEK_FILE + 1)
    except OSError as error:
        raise KeystoreUnavailable(
            f"cannot read the KEK file {path}: {error.strerror}; `nqgate kek create {path}` makes a new one"
        ) from error
    if len(text) > MAX_KEK_FILE:
        raise KeystoreUnavailable(f"{path} is no KEK file: longer than {MAX_KEK_FILE} bytes")
    return text


def read_kek_ring(path: Path, text: bytes) -> KekRing:
    """From the text of the KEK file at `path`. Raises as `load_kek_ring`."""
    keks: list[Kek] = []
    retired: list[Kek] = []
    for line in text.splitlines():
        kek = read_kek_line(path, line)
        if kek is not None:
            (retired if is_retired(line) else keks).append(kek)
    return KekRing(tuple(keks), tuple(retired))


def is_retired(line: bytes) -> bool:
    return line.strip().startswith(RETIRED_LINE.encode())


def _check_mode(path: Path, state: os.stat_result) -> None:
    mode = state.st_mode
    if not stat.S_ISREG(mode):
        raise KeystoreUnavailable(f"{path} is not a regular file")
    if open_to_others(mode, state.st_uid, os.geteuid()):
        raise KeystoreUnavailable(
            f"the KEK file {path} can be read by group or others (mode {mode & 0o777:04o}): chmod 600 {path}"
        )


def read_kek_line(path: Path, line: bytes) -> Kek | None:
    """None for a comment and for an empty line. KeystoreUnavailable for what is no KEK, without showing it."""
    line = line.strip()
    if not line or line.startswith(b"#"):
        return None
    prefix = (RETIRED_LINE if is_retired(line) else KEK_LINE).encode()
    try:
        octets = base64.b64decode(line.removeprefix(prefix), altchars=b"-_", validate=True)
    except binascii.Error:
        octets = b""
    if not line.startswith(prefix) or len(octets) != KEK_LENGTH:
        raise KeystoreUnavailable(f"{path} is no KEK file: a line is not {KEK_LINE}<32 bytes in base64url>")
    return Kek(octets)
