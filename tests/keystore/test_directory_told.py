"""What the directory tells of changes, and when it says that they are applied."""

from collections.abc import Callable
from typing import Any

from keystore.access_key import RevokeReason
from keystore.directory import Directory
from keystore.scope import AllBuckets
from keystore.sqlite import SqliteStore
from keystore.store import NewKey

TODAY = b"20250101"
Elsewhere = Callable[..., Any]


async def made(store: SqliteStore) -> str:
    access_key, _ = await store.create_key(NewKey("default", "backup", AllBuckets()), "ann")
    return access_key.access_key_id


def listening(directory: Directory) -> list[tuple[object, ...]]:
    """(seq, key) of every change, and (seq,) when it is said to be applied."""
    heard: list[tuple[object, ...]] = []
    directory.on_change = lambda *change: heard.append(change)
    directory.on_applied = lambda seq: heard.append((seq,))
    return heard


async def test_a_change_is_applied_after_it_was_told_with_the_number_it_was_committed_under(
    directory: Directory, store: SqliteStore
) -> None:
    access_key_id = await made(store)
    directory.tick()
    heard = listening(directory)
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    seq = store.committed_seq
    directory.tick()
    assert heard == [(seq, access_key_id), (seq,)]
    directory.tick()
    assert len(heard) == 2


async def test_many_changes_are_told_in_order_and_applied_once(directory: Directory, store: SqliteStore) -> None:
    one, two = await made(store), await made(store)
    directory.tick()
    heard = listening(directory)
    await store.revoke_key(one, RevokeReason.OTHER, "bob")
    await store.assign_bucket("photos", "default", "bob")
    await store.delete_key(two, "bob")
    last = store.committed_seq
    directory.tick()
    assert heard == [(last - 2, one), (last - 1, None), (last, two), (last,)]


async def test_what_touches_no_key_is_applied_too(directory: Directory, store: SqliteStore) -> None:
    heard = listening(directory)
    await store.create_account("team", "ann")
    directory.tick()
    assert heard == [(store.committed_seq,)]


async def test_a_change_committed_while_one_is_told_is_applied_after_it(
    directory: Directory, store: SqliteStore, elsewhere: Elsewhere
) -> None:
    """Whoever is told looks keys up: that must not say of a change that what it ends was ended."""
    one, two = await made(store), await made(store)
    directory.tick()
    heard: list[tuple[object, ...]] = []

    def on_change(seq: int, access_key_id: str | None) -> None:
        heard.append((seq, "begun"))
        if access_key_id == one:
            elsewhere("revoke", two)
            directory.find(two, TODAY)
        heard.append((seq, "ended"))

    directory.on_change = on_change
    directory.on_applied = lambda seq: heard.append((seq, "applied"))
    await store.revoke_key(one, RevokeReason.OTHER, "bob")
    first = store.committed_seq
    directory.tick()
    assert heard == [
        (first, "begun"),
        (first, "ended"),
        (first + 1, "begun"),
        (first + 1, "ended"),
        (first + 1, "applied"),
    ]


def test_where_it_stands_is_what_others_find_at_the_path(directory: Directory, store: SqliteStore) -> None:
    files, applied = directory.where()
    assert applied == 1
    assert all(files)
