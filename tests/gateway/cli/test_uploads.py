"""`keys revoke --abort-uploads`, in front of an upstream that records what it is asked."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gateway.cli import uploads as uploads_module
from gateway.cli.uploads import COMPLETING_FOR
from keystore.confirmation import Confirmation
from keystore.postgres_uploads import read_uploads_postgres, write_uploads_postgres
from keystore.sealing import Secret
from keystore.uploads import Note, Upload, read_uploads, write_uploads
from tests.support.postgres import Postgres
from tests.support.recording_upstream import RecordingUpstream, canned, ok

Run = Callable[..., Result]
DONE = canned(b"HTTP/1.1 204 No Content\r\n\r\n")
ONE, TWO = Upload("photos", b"one", b"id-1"), Upload("photos", b"two", b"id-2")
CONFIRMED = Confirmation(1, 1, 0, (), 0, 0, (), 3)


@pytest.fixture
def store(folder: Path) -> Iterator[RecordingUpstream]:
    with RecordingUpstream(DONE) as upstream:
        config = folder / "gateway.toml"
        config.write_text(config.read_text().replace("http://127.0.0.1:1", upstream.endpoint))
        yield upstream


@pytest.fixture
def confirmed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Confirmation], None]:
    """What gateways say from here on."""
    monkeypatch.setattr(uploads_module, "WRITTEN_WITHIN", 0)

    def say(confirmation: Confirmation) -> None:
        monkeypatch.setattr("keystore.local_keystore.confirm", lambda *_, **__: confirmation)

    return say


def created(run: Run, *words: str) -> str:
    result = run("keys", "create", "--label", "app", "--all-buckets", *words, "--json")
    return str(json.loads(result.stdout)["access_key_id"])


def revoke(run: Run, access_key_id: str, *words: str) -> tuple[dict[str, Any], Result]:
    result = run("keys", "revoke", access_key_id, "--abort-uploads", *words, "--yes", "--json")
    return json.loads(result.stdout), result


def numbers(told: dict[str, Any]) -> tuple[int, int]:
    return told["uploads_aborted"], told["uploads_left"]


def begun(folder: Path, access_key_id: str, *uploads: Upload, completing_at: int = 0) -> None:
    note = Note(access_key_id, int(time.time()), completing_at)
    write_uploads(folder / "keys.db", dict.fromkeys(uploads, note), time.time())


def left(folder: Path, *access_key_ids: str) -> list[Upload]:
    return [one.upload for one in read_uploads(folder / "keys.db", access_key_ids)]


def asked(store: RecordingUpstream) -> set[bytes]:
    return {request.line for request in store.requests}


def test_what_the_key_began_is_aborted_and_no_others(run: Run, folder: Path, store: RecordingUpstream) -> None:
    mine, others = created(run), created(run)
    begun(folder, mine, ONE)
    begun(folder, others, TWO)
    told, result = revoke(run, mine)
    assert (result.exit_code, told["status"], numbers(told)) == (0, "revoked", (1, 0))
    assert asked(store) == {b"DELETE /photos/one?uploadId=id-1 HTTP/1.1"}
    assert b"Credential=store/" in store.only_request().header(b"authorization")
    assert left(folder, mine, others) == [TWO]


def test_nothing_is_asked_without_the_flag_nor_where_nothing_was_begun(
    run: Run, folder: Path, store: RecordingUpstream
) -> None:
    mine = created(run)
    told, result = revoke(run, mine)
    assert (result.exit_code, numbers(told)) == (0, (0, 0))
    begun(folder, mine, ONE)
    result = run("keys", "revoke", mine, "--yes", "--json")
    assert "uploads_aborted" not in json.loads(result.stdout)
    store.assert_untouched()
    assert left(folder, mine) == [ONE]


def test_people_read_how_many(run: Run, folder: Path, store: RecordingUpstream) -> None:
    mine = created(run)
    begun(folder, mine, ONE, TWO)
    result = run("keys", "revoke", mine, "--abort-uploads", "--yes")
    assert result.stderr.splitlines()[-1] == "2 unfinished uploads aborted."
    assert run("keys", "revoke", mine, "--abort-uploads", "--yes").stderr.endswith("0 unfinished uploads aborted.\n")


def test_what_is_gone_is_forgotten_and_not_counted(run: Run, folder: Path, store: RecordingUpstream) -> None:
    store.script = canned(ok(b"", status=b"404 Not Found"))
    mine = created(run)
    begun(folder, mine, ONE)
    told, result = revoke(run, mine)
    assert (result.exit_code, numbers(told), left(folder, mine)) == (0, (0, 0), [])


def test_what_the_store_refuses_is_left_named_and_exit_7_and_can_be_run_again(
    run: Run, folder: Path, store: RecordingUpstream
) -> None:
    store.script = canned(ok(b"<Error><Code>AccessDenied</Code></Error>", status=b"403 Forbidden"))
    mine = created(run)
    begun(folder, mine, ONE._replace(object_key=b"\x1b[2J"))
    told, result = revoke(run, mine)
    assert (result.exit_code, told["status"], numbers(told)) == (7, "revoked", (0, 1))
    assert "Left: photos/\\x1b[2J: the store answered 403 AccessDenied." in result.stderr
    assert "Run it again." in result.stderr
    store.script = DONE
    told, result = revoke(run, mine)
    assert (result.exit_code, numbers(told)) == (0, (1, 0))


def test_the_accounts_own_credential_is_used_where_it_has_one(run: Run, folder: Path, store: RecordingUpstream) -> None:
    run("accounts", "create", "team")
    run("accounts", "upstream", "team", "--access-key-id", "TEAMKEY", "--secret-file", "-", stdin="team-secret\n")
    mine = created(run, "--account", "team")
    begun(folder, mine, ONE)
    told, result = revoke(run, mine)
    assert numbers(told) == (1, 0)
    assert b"Credential=TEAMKEY/" in store.only_request().header(b"authorization")
    assert "team-secret" not in result.output


def test_a_cascade_reaches_what_successors_began_also_when_it_is_run_again(
    run: Run, folder: Path, store: RecordingUpstream
) -> None:
    first = created(run)
    second = str(json.loads(run("keys", "roll", first, "--json").stdout)["access_key_id"])
    begun(folder, second, TWO)
    assert numbers(revoke(run, first)[0]) == (0, 0)
    store.script = canned(ok(b"", status=b"503 Slow Down"))
    assert numbers(revoke(run, first, "--cascade")[0]) == (0, 1)
    store.script = DONE
    assert numbers(revoke(run, first, "--cascade")[0]) == (1, 0)
    assert left(folder, second) == []


# ---- what somebody may be completing ----


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("CompleteMultipartUpload photos/one", True),
        ("UploadPart photos/one", True),
        ("CompleteMultipartUpload photos/on", True),  # may be a long name that was cut
        ("CompleteMultipartUpload photos/two", False),
        ("PutObject photos/one", False),
    ],
)
def test_an_upload_the_store_is_busy_with_is_left(
    run: Run,
    folder: Path,
    store: RecordingUpstream,
    confirmed: Callable[[Confirmation], None],
    name: str,
    *,
    kept: bool,
) -> None:
    mine = created(run)
    begun(folder, mine, ONE)
    confirmed(CONFIRMED._replace(in_store_unsettled=(name,)))
    told, result = revoke(run, mine)
    assert (result.exit_code, numbers(told)) == ((7, (0, 1)) if kept else (0, (1, 0)))
    assert bool(store.requests) is not kept
    assert (name.partition(" ")[0] in result.stderr) is kept


@pytest.mark.parametrize(("ago", "kept"), [(0, True), (COMPLETING_FOR - 20, True), (COMPLETING_FOR + 1, False)])
def test_one_that_another_key_is_completing_is_left_too(
    run: Run, folder: Path, store: RecordingUpstream, ago: int, *, kept: bool
) -> None:
    mine = created(run)
    begun(folder, mine, ONE, completing_at=int(time.time()) - ago)
    told, result = revoke(run, mine)
    assert (result.exit_code, numbers(told)) == ((7, (0, 1)) if kept else (0, (1, 0)))
    assert bool(store.requests) is not kept


@pytest.mark.parametrize(
    "silent",
    [
        CONFIRMED._replace(confirmed=0, lapsed=1),
        CONFIRMED._replace(confirmed=0, lapsed=1, elsewhere=(17,)),
        CONFIRMED._replace(confirmed=0, lapsed=1, out_of_lease=1),
    ],
)
def test_with_a_gateway_that_says_nothing_all_are_left(
    run: Run,
    folder: Path,
    store: RecordingUpstream,
    confirmed: Callable[[Confirmation], None],
    silent: Confirmation,
) -> None:
    mine = created(run)
    begun(folder, mine, ONE)
    confirmed(silent)
    told, result = revoke(run, mine)
    assert (result.exit_code, numbers(told)) == (7, (0, 1))
    store.assert_untouched()


def test_a_beginning_the_store_has_not_answered_makes_it_7(
    run: Run, folder: Path, store: RecordingUpstream, confirmed: Callable[[Confirmation], None]
) -> None:
    mine = created(run)
    begun(folder, mine, ONE)
    confirmed(CONFIRMED._replace(in_store_unsettled=("CreateMultipartUpload photos/three",)))
    told, result = revoke(run, mine)
    assert (result.exit_code, numbers(told)) == (7, (1, 0))
    assert "CreateMultipartUpload photos/three" in result.stderr


def test_gateways_are_given_time_to_write_and_without_one_nobody_waits(
    run: Run, folder: Path, store: RecordingUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    mine = created(run)
    monkeypatch.setattr(uploads_module.time, "sleep", waited.append)
    revoke(run, mine)
    assert waited == []
    monkeypatch.setattr("keystore.local_keystore.confirm", lambda *_, **__: CONFIRMED)
    revoke(run, mine)
    assert waited == [uploads_module.WRITTEN_WITHIN]


# ---- what cannot be read or written ----


def test_uploads_that_cannot_be_read_are_said_and_the_revoke_stands(
    run: Run, folder: Path, store: RecordingUpstream
) -> None:
    mine = created(run)
    (folder / "keys.db.usage").write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    told, result = revoke(run, mine)
    assert (result.exit_code, told["status"], numbers(told)) == (7, "revoked", (0, 0))
    assert "which uploads are unfinished is not known" in result.stderr
    store.assert_untouched()


@pytest.mark.server
async def test_on_postgresql_too(
    run: Run, remote: object, store: RecordingUpstream, postgres: Postgres, postgres_database: str
) -> None:
    """Commands run in a thread, for they have a loop of their own."""
    url = Secret(postgres.url(postgres_database))
    mine = await asyncio.to_thread(created, run)
    others = await asyncio.to_thread(created, run)
    notes = {ONE: Note(mine, int(time.time())), TWO: Note(others, int(time.time()))}
    await write_uploads_postgres(url, notes, time.time())
    told, result = await asyncio.to_thread(revoke, run, mine)
    assert (result.exit_code, numbers(told)) == (0, (1, 0))
    assert asked(store) == {b"DELETE /photos/one?uploadId=id-1 HTTP/1.1"}
    assert [one.upload for one in await read_uploads_postgres(url, [mine, others])] == [TWO]
