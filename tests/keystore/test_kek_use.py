"""What stands under which KEK, told of counts that a database gives."""

import pytest

from keystore.kek_use import KekStatus, Loaded, kek_status_json, kek_uses, not_loaded
from keystore.sealed_rows import found_store
from keystore.sealing import Kek, KekRing

OLD, NEW = Kek(b"o" * 32), Kek(b"n" * 32)
_, STORE = found_store(KekRing((OLD,)), "s" * 32)
BOTH = KekRing((OLD, NEW))


def test_rows_are_told_by_the_kek_they_stand_under_oldest_first() -> None:
    counted = [("access_key", OLD.kek_id, 3), ("account", OLD.kek_id, 1), ("change", OLD.kek_id, 9),
               ("bucket", "unknown", 2), ("admin_token", OLD.kek_id, 5)]  # fmt: skip
    strange, old, new = kek_uses(BOTH, STORE, counted)
    assert (strange.kek_id, strange.loaded, strange.rows) == ("unknown", False, 2)
    assert (old.rows, old.changes, old.seals, old.newest, old.retired) == (9, 9, True, False, False)
    assert (new.rows, new.changes, new.seals, new.newest, new.retired) == (0, 0, False, True, False)


def test_a_rotation_is_finished_when_the_newest_seals_and_nothing_older_is_accepted() -> None:
    half = STORE._replace(kek_id=NEW.kek_id)
    whole = half._replace(min_kek=NEW.kek_id)
    states = [KekStatus(store.min_kek, kek_uses(BOTH, store, []), ()) for store in (STORE, half, whole)]
    assert [state.finished for state in states] == [False, False, True]
    assert [use.retired for use in states[2].keks] == [True, False]


def test_a_gateway_is_shown_by_its_process_or_its_name() -> None:
    here, afar = Loaded(4242, None, ("a",)), Loaded(None, "host-b", ("a", "b"))
    assert (here.shown, afar.shown) == ("4242", "host-b")
    shown = kek_status_json(KekStatus(OLD.kek_id, kek_uses(BOTH, STORE, []), (here, afar)))
    assert shown["gateways"] == [
        {"pid": 4242, "name": None, "keks": ["a"]},
        {"pid": None, "name": "host-b", "keks": ["a", "b"]},
    ]


@pytest.mark.parametrize(
    ("who", "lacking", "begins"),
    [
        ("process", ["1"], "process 1 has not loaded key-encryption key k,"),
        ("process", ["1", "2"], "processes 1, 2 have not loaded"),
        ("gateway", ["host-a", "host-b"], "gateways host-a, host-b have not loaded"),
    ],
)
def test_who_lacks_a_kek_is_named(who: str, lacking: list[str], begins: str) -> None:
    assert str(not_loaded(who, lacking, "k")).startswith(begins)
