import json
import socket
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from typer.testing import Result

from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.server_process import LOOPBACK, free_port

Run = Callable[..., Result]
LISTED = b"<ListAllMyBucketsResult/>"


@pytest.fixture
def upstream(folder: Path, run: Run) -> Iterator[RecordingUpstream]:
    """A store that answers, on the configuration's address; and a keystore that is there."""
    with RecordingUpstream(canned(ok(LISTED, b"Date: " + date()))) as running:
        config = folder / "gateway.toml"
        text = config.read_text().replace("http://127.0.0.1:1", running.endpoint)
        listen = f'[s3]\nlisten = "{LOOPBACK}:{free_port()}"\n[console]\nlisten = "{LOOPBACK}:{free_port()}"\n'
        config.write_text(text + listen)
        run("accounts", "list")
        yield running


def date(ahead: float = 0.0) -> bytes:
    return formatdate(time.time() + ahead, usegmt=True).encode()


def wrong(run: Run) -> dict[str, tuple[str, str]]:
    """Check → what was found and what to do, of those that are not well; the exit code says whether there are any."""
    result = run("doctor", "--json")
    told = json.loads(result.stdout)
    found = {one["check"]: (one["found"], one["do"]) for one in told if not one["ok"]}
    assert result.exit_code == bool(found)
    assert all(one["found"] for one in told)
    assert "x" * 40 not in result.stdout
    return found


def test_where_all_is_well_it_says_so_and_ends_with_0(run: Run, upstream: RecordingUpstream) -> None:
    result = run("doctor")
    assert result.exit_code == 0
    names = [line.split("\t")[0] for line in result.stdout.splitlines()]
    assert names == [
        "configuration", "key-encryption key", "keystore", "TLS", "open files", "spool", "S3 port",
        "control plane's port", "store", "clock",
    ]  # fmt: skip
    assert "All 10 checks" in result.stderr


def test_a_configuration_that_cannot_be_read_is_the_only_thing_said(run: Run, folder: Path) -> None:
    (folder / "gateway.toml").write_text("[upstream]\nendpont = 1\n")
    assert list(wrong(run)) == ["configuration"]


def test_a_kek_that_others_can_read(run: Run, upstream: RecordingUpstream, folder: Path) -> None:
    (folder / "kek").chmod(0o644)
    assert wrong(run).keys() == {"key-encryption key", "keystore"}


def test_a_keystore_that_is_not_there_or_stands_under_another_kek(
    run: Run, upstream: RecordingUpstream, folder: Path
) -> None:
    (folder / "kek").unlink()
    run("kek", "create", "kek")
    assert "key" in wrong(run)["keystore"][0]
    (folder / "keys.db").unlink()
    assert wrong(run).keys() == {"keystore"}
    assert not (folder / "keys.db").exists(), "looking made a keystore"


def test_a_port_that_somebody_else_has(run: Run, upstream: RecordingUpstream, folder: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        config = folder / "gateway.toml"
        port = taken.getsockname()[1]
        lines = [
            f'listen = "{LOOPBACK}:{port}"' if line.startswith("listen") and number == 0 else line
            for number, line in enumerate(config.read_text().partition("[s3]\n")[2].splitlines())
        ]
        config.write_text(config.read_text().partition("[s3]\n")[0] + "[s3]\n" + "\n".join(lines))
        found, advice = wrong(run)["S3 port"]
        assert str(port) in found
        assert "another address" in advice


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (ok(b"<Error><Code>SignatureDoesNotMatch</Code></Error>", status=b"403 Forbidden"), "secret_access_key"),
        (ok(b"<Error><Code>InvalidAccessKeyId</Code></Error>", status=b"403 Forbidden"), "access_key_id"),
        (ok(b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>", status=b"400 Bad Request"), "region"),
        (ok(b"<Error><Code>RequestTimeTooSkewed</Code></Error>", status=b"403 Forbidden"), "clocks"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "upstream.endpoint"),
    ],
)
def test_a_store_that_refuses_us_and_why(run: Run, upstream: RecordingUpstream, reply: bytes, said: str) -> None:
    upstream.script = canned(reply)
    assert said in wrong(run)["store"][1]


def test_a_store_that_is_not_there(run: Run, upstream: RecordingUpstream, folder: Path) -> None:
    config = folder / "gateway.toml"
    config.write_text(config.read_text().replace(upstream.endpoint, f"http://{LOOPBACK}:{free_port()}"))
    assert wrong(run).keys() == {"store"}


def test_each_of_several_endpoints_is_asked_for_itself(run: Run, upstream: RecordingUpstream, folder: Path) -> None:
    config = folder / "gateway.toml"
    dead = f"http://{LOOPBACK}:{free_port()}"
    several = f'endpoints = ["{upstream.endpoint}", "{dead}"]'
    config.write_text(config.read_text().replace(f'endpoint = "{upstream.endpoint}"', several))
    found = wrong(run)
    assert found.keys() == {"store"}
    assert found["store"][0].startswith(f"{dead} does not answer")


def test_a_clock_that_is_wrong(run: Run, upstream: RecordingUpstream) -> None:
    upstream.script = canned(ok(LISTED, b"Date: " + date(200)))
    found, advice = wrong(run)["clock"]
    assert "ahead of" in found
    assert "NTP" in advice


def test_a_spool_that_cannot_be_used(run: Run, upstream: RecordingUpstream, folder: Path) -> None:
    config = folder / "gateway.toml"
    config.write_text(config.read_text() + '[limits]\nspool_dir = "nowhere"\n')
    assert wrong(run).keys() == {"spool"}


@pytest.mark.server
def test_of_a_database_its_durability_and_notifications_are_told(
    remote: Callable[[str], list[list[str]]], run: Run
) -> None:
    run("accounts", "list")
    told = {one["check"]: one for one in json.loads(run("doctor", "--json").stdout)}
    assert "no standby" in told["durability"]["found"]
    assert all(told[name]["ok"] for name in ("keystore", "durability", "TLS to the database", "notifications"))


# ---- Unix sockets ----


def listen_at(folder: Path, path: Path) -> None:
    config = folder / "gateway.toml"
    head, _, rest = config.read_text().partition("[s3]\n")
    config.write_text(f'{head}[s3]\nlisten = "unix:{path}"\n' + rest.partition("\n")[2])


def test_a_unix_socket_that_is_free_or_was_left_by_the_dead_is_well(
    run: Run, upstream: RecordingUpstream, folder: Path
) -> None:
    path = folder / "s3.sock"
    listen_at(folder, path)
    assert wrong(run) == {}
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert wrong(run) == {}
    assert f"{path} is free, and what a dead gateway left there is replaced" in run("doctor").stdout
    assert path.exists(), "looking took it away"


def test_what_keeps_a_unix_socket_from_being_bound(run: Run, upstream: RecordingUpstream, folder: Path) -> None:
    path = folder / "s3.sock"
    listen_at(folder, path)
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        assert "somebody answers" in wrong(run)["S3 socket"][0]
    path.unlink()
    path.write_text("")
    found, advice = wrong(run)["S3 socket"]
    assert "no socket" in found
    assert "another path" in advice
    listen_at(folder, folder / "none" / "s3.sock")
    assert "make" in wrong(run)["S3 socket"][1]


def test_a_store_on_a_unix_socket_is_asked_there(run: Run, upstream: RecordingUpstream, folder: Path) -> None:
    config, path = folder / "gateway.toml", folder / "store.sock"
    config.write_text(config.read_text().replace(upstream.endpoint, f"unix:{path}"))
    with RecordingUpstream(canned(ok(LISTED, b"Date: " + date())), path=path):
        assert wrong(run) == {}
    found, advice = wrong(run)["store"]
    assert f"unix:{path}" in found
    assert "socket" in advice
