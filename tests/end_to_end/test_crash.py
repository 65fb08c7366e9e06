"""A process that works on the keystore dies at every fdatasync, and the power goes at every moment: what it had said
was done is done, what it was at is done or not, and nothing lies in between.

A killed process loses nothing of what it wrote: the kernel has it. So the kills show what the living see of a commit
that was written and never published, and what a recovery makes of it. What a power cut leaves is told from a trace of
one run, by a disk that keeps no more than was synced; not shown is a disk that says it has synced and has not.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from keystore.directory import Directory, open_directory
from keystore.errors import KeystoreError, RecordRefused
from keystore.sealing import KekRing, create_kek_file, load_kek_ring
from keystore.sqlite import migrate, open_sqlite_store
from keystore.sqlite_audit import audit_keystore
from tests.support.power_cut import STRACE, Disk, read_trace
from tests.support.writer import ACTS, Holding, after, holding, perform, shown

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("crash")]  # starts a process for every fdatasync

NAME = "keystore.db"
FILES = (NAME, f"{NAME}-wal", f"{NAME}-journal")
ROOT = Path(__file__).resolve().parents[2]
SEVERAL = 4  # images between nothing and all, for every moment of a power cut
MOST = 100  # kills; there are fewer than 50 fdatasyncs
KILLED = -9

READER = """
import sys
from pathlib import Path
from keystore.directory import open_directory
from keystore.errors import KeystoreError, RecordRefused
from keystore.sealing import load_kek_ring
directory = open_directory(sys.argv[1], load_kek_ring(Path(sys.argv[2])))
print("open", flush=True)
for access_key_id in sys.stdin:
    print(directory.find(access_key_id.strip(), b"20300101").access_key.status.value, flush=True)
"""


@pytest.fixture(scope="session", autouse=True)
def _strace() -> None:
    if shutil.which("strace") is None:
        pytest.fail("strace is not installed: `tools/system-packages test` does it")
    tried = subprocess.run(["strace", "-f", "-o", os.devnull, "-e", "trace=fdatasync", "true"], check=False)
    if tried.returncode:
        pytest.fail("strace may not trace here: allow ptrace (in a container: --cap-add=SYS_PTRACE)")


@pytest.fixture
def kek_file(tmp_path: Path) -> Path:
    path = tmp_path / "kek"
    create_kek_file(path)
    return path


@pytest.fixture
def ring(kek_file: Path) -> KekRing:
    return load_kek_ring(kek_file)


@pytest.fixture
async def founded(tmp_path: Path, ring: KekRing) -> Path:
    """A folder with a keystore that nobody has open."""
    folder = tmp_path / "founded"
    folder.mkdir()
    await migrate(folder / NAME, ring)
    return folder


class Writer:
    """Processes that write, of which one may be traced."""

    def __init__(self, kek_file: Path, bug: str = "none") -> None:
        self._kek_file = kek_file
        self._bug = bug

    def run(self, keystore: Path, acts: Sequence[str], *under: str) -> tuple[int, list[str]]:
        """The exit code, and the acts that were said to be done."""
        writer = [sys.executable, "-m", "tests.support.writer", str(keystore), str(self._kek_file), self._bug, *acts]
        done = subprocess.run([*under, *writer], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
        assert done.returncode in (0, KILLED), done.stderr
        return done.returncode, done.stdout.splitlines()

    def killed_at(self, number: int, keystore: Path, acts: Sequence[str]) -> tuple[bool, list[str]]:
        """Whether it died, at its fdatasync of that number, which was not executed any more."""
        inject = f"inject=fdatasync:signal=KILL:when={number}"
        code, done = self.run(keystore, acts, "strace", "-f", "-o", os.devnull, "-e", "trace=fdatasync", "-e", inject)
        return code == KILLED, done


def copied(source: Path, target: Path) -> Path:
    """The files as they lie there, without -shm: what a machine finds on which everybody was killed. By a process of
    its own, for to open and close them here would drop the locks of those who have them open here."""
    target.mkdir()
    there = [str(source / name) for name in FILES if (source / name).exists()]
    subprocess.run(["cp", *there, str(target)], check=True)
    return target / NAME


async def recovered(keystore: Path, ring: KekRing) -> Holding:
    """What it holds when it is opened again, its whole log verified, and every record against the log."""
    async with open_sqlite_store(keystore, ring, create=False) as store:
        found = await holding(store)
        report = audit_keystore(keystore, ring)
    assert report.findings == []
    assert report.changes == found.seq
    return found


async def finished(keystore: Path, ring: KekRing, acts: Sequence[str]) -> Holding:
    async with open_sqlite_store(keystore, ring, create=False) as store:
        for act in acts:
            await perform(store, act)
    return await recovered(keystore, ring)


@contextlib.contextmanager
def living(keystore: Path, ring: KekRing) -> Iterator[Directory]:
    directory = open_directory(keystore, ring)
    try:
        yield directory
    finally:
        directory.close()


async def seen(directory: Directory, keystore: Path, ring: KekRing) -> Holding:
    """What the living find: a new connection, and memory that was there before."""
    async with open_sqlite_store(keystore, ring, create=False) as store:
        found = await holding(store)
        known = [directory.find(one.access_key_id, b"20300101") for one in await store.list_keys(None)]
    assert tuple(sorted(shown(one.access_key) for one in known if one is not None)) == found.access_keys
    return found


# ---- killed ----


async def killed_everywhere(folder_of_all: Path, founded: Path, kek_file: Path, bug: str) -> int:
    """How many kills were survived by everybody else, and by the files."""
    ring, writer = load_kek_ring(kek_file), Writer(kek_file, bug)
    for number in range(1, MOST):
        folder = folder_of_all / f"killed-{number}"
        keystore = copied(founded, folder)
        with living(keystore, ring) as directory:
            died, done = writer.killed_at(number, keystore, ACTS)
            if not died:
                assert done == list(ACTS)
                return number - 1
            rest = ACTS[len(done) :]
            crashed = copied(folder, folder_of_all / f"crashed-{number}")
            assert await seen(directory, keystore, ring) == after(done), "what is not durable was shown"
            assert await finished(keystore, ring, rest) == after(ACTS), "the living cannot go on"
        found = await recovered(crashed, ring)
        assert found in (after(done), after([*done, *rest[:1]]))
        rest = rest if found == after(done) else rest[1:]
        assert await finished(crashed, ring, rest) == after(ACTS), "it cannot be done again"
    raise AssertionError("it never survived")


async def test_a_writer_killed_at_any_fdatasync_leaves_what_it_said_was_done_and_no_half_of_the_rest(
    tmp_path: Path, founded: Path, kek_file: Path
) -> None:
    assert await killed_everywhere(tmp_path, founded, kek_file, "none") > len(ACTS), "some act was never killed"


async def test_a_record_that_is_committed_before_its_change_is_seen_half_done(
    tmp_path: Path, founded: Path, kek_file: Path
) -> None:
    with pytest.raises(RecordRefused):
        await killed_everywhere(tmp_path, founded, kek_file, "record-before-its-change")


async def test_a_keystore_whose_founder_was_killed_at_any_fdatasync_can_be_founded(
    tmp_path: Path, kek_file: Path, ring: KekRing
) -> None:
    for number in range(1, MOST):
        folder = tmp_path / f"founded-{number}"
        folder.mkdir()
        died, _ = Writer(kek_file).killed_at(number, folder / NAME, [])
        await migrate(folder / NAME, ring)
        assert await recovered(folder / NAME, ring) == after([])
        if not died:
            break
    assert number > 4, "hardly anything was killed"


class Reader:
    """A process that has the keystore open, and is killed at the end."""

    def __init__(self, keystore: Path, kek_file: Path) -> None:
        command = [sys.executable, "-c", READER, str(keystore), str(kek_file)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "open"

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def status(self, access_key_id: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{access_key_id}\n")
        self._process.stdin.flush()
        return self._line()


async def restored_under_a_revoke(folder: Path, founded: Path, kek_file: Path, bug: str) -> list[str]:
    """A restore is killed at its n-th fdatasync, a second revoke finds its key revoked and succeeds, then everybody is
    killed: what the key is when the keystore is opened again, for every n."""
    ring = load_kek_ring(kek_file)
    Writer(kek_file).run(founded / NAME, ["create one", "revoke one"])
    async with open_sqlite_store(founded / NAME, ring, create=False) as store:
        [one] = await store.list_keys(None)
    found: list[str] = []
    for number in range(1, MOST):
        keystore = copied(founded, folder / f"restored-{number}")
        with Reader(keystore, kek_file) as reader:
            assert reader.status(one.access_key_id) == "revoked"
            died, _ = Writer(kek_file).killed_at(number, keystore, ["restore one"])
            if not died:
                return found
            assert reader.status(one.access_key_id) == "revoked"
            assert Writer(kek_file, bug).run(keystore, ["revoke one"]) == (0, ["revoke one"])
            assert reader.status(one.access_key_id) == "revoked"
        [(_, status, _)] = (await recovered(keystore, ring)).access_keys
        found.append(status)
    raise AssertionError("it never survived")


async def test_a_second_revoke_holds_though_the_restore_before_it_was_killed_half_way(
    tmp_path: Path, founded: Path, kek_file: Path
) -> None:
    found = await restored_under_a_revoke(tmp_path, founded, kek_file, "none")
    assert found
    assert set(found) == {"revoked"}


async def test_a_second_revoke_that_writes_nothing_is_undone_by_the_crash(
    tmp_path: Path, founded: Path, kek_file: Path
) -> None:
    assert "active" in await restored_under_a_revoke(tmp_path, founded, kek_file, "nothing-for-a-revoked-key")


# ---- the power cut ----


async def test_a_keystore_that_was_being_founded_when_the_power_went_can_be_founded(
    tmp_path: Path, kek_file: Path, ring: KekRing
) -> None:
    empty, trace = tmp_path / "empty", tmp_path / "trace"
    empty.mkdir()
    disk, cuts = Disk(empty, FILES), 0
    Writer(kek_file).run(empty / NAME, [], *STRACE, "-o", str(trace))
    for at, call in enumerate(read_trace(trace.read_text())):
        if call.name in ("fdatasync", "ftruncate", "unlink"):
            for number, image in enumerate(disk.images(at, SEVERAL)):
                keystore = _laid_out(tmp_path / f"cut-{at}-{number}", image)
                await migrate(keystore, ring)
                assert await recovered(keystore, ring) == after([])
                cuts += 1
        disk.take(call)
    assert cuts > 20, "hardly any moment was looked at"


async def lost(folder: Path, founded: Path, kek_file: Path, bug: str) -> tuple[int, list[str]]:
    """Every moment of one run at which the power may go: how many images were opened, and those that are wrong."""
    trace = folder / "trace"
    ring, disk = load_kek_ring(kek_file), Disk(founded, FILES)
    code, done = Writer(kek_file, bug).run(founded / NAME, ACTS, *STRACE, "-o", str(trace))
    assert (code, done) == (0, list(ACTS))
    opened, wrong, said = 0, [], 0
    for at, call in enumerate(read_trace(trace.read_text())):
        mark = call.name == "write" and call.octets == "".join(f"{act}\n" for act in ACTS[said : said + 1]).encode()
        said += mark
        if mark or call.name in ("fdatasync", "ftruncate", "unlink"):
            allowed = (after(ACTS[:said]), after(ACTS[: said + 1]))
            for number, image in enumerate(disk.images(at, SEVERAL)):
                opened += 1
                try:
                    found = await recovered(_laid_out(folder / f"cut-{at}-{number}", image), ring)
                    complaint = "" if found in allowed else f"{found}"
                except KeystoreError as error:
                    complaint = repr(error)
                if complaint:
                    wrong.append(f"after {ACTS[:said][-1:]}, image {number}: {complaint}")
        disk.take(call)
    assert said == len(ACTS)
    return opened, wrong


def _laid_out(folder: Path, image: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in image.items():
        (folder / name).write_bytes(content)
    return folder / NAME


async def test_whatever_a_power_cut_leaves_holds_what_was_said_to_be_done(
    tmp_path: Path, founded: Path, kek_file: Path
) -> None:
    opened, wrong = await lost(tmp_path, founded, kek_file, "none")
    assert wrong == []
    assert opened > 4 * len(ACTS), "hardly any moment was looked at"


async def test_a_commit_that_does_not_wait_for_the_disk_is_lost_with_the_power(
    tmp_path: Path, founded: Path, kek_file: Path
) -> None:
    assert (await lost(tmp_path, founded, kek_file, "synchronous-normal"))[1]
