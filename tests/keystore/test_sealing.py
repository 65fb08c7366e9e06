import copy
import os
import pickle
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore.errors import Conflict, KeystoreUnavailable, RecordRefused, WrongKek
from keystore.sealing import (
    KEK_LINE,
    RETIRED_LINE,
    Binding,
    Kek,
    KekRing,
    MacKeys,
    Secret,
    check_canary,
    create_kek_file,
    load_kek_ring,
    open_seal,
    seal,
    seal_canary,
)

OLD, NEW = Kek(b"o" * 32), Kek(b"n" * 32)
HERE = Binding("secret", "default", "NQAKone")
bindings = st.builds(Binding, st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))


@given(bindings, st.binary(max_size=64))
def test_what_is_sealed_opens_again(binding: Binding, plain: bytes) -> None:
    assert open_seal(NEW, binding, seal(NEW, binding, plain)) == plain


@given(bindings, bindings)
def test_what_is_sealed_for_one_id_does_not_open_under_another(one: Binding, other: Binding) -> None:
    sealed = seal(NEW, one, b"secret")
    if one == other:
        assert open_seal(NEW, other, sealed) == b"secret"
        return
    with pytest.raises(RecordRefused):
        open_seal(NEW, other, sealed)


@given(st.data())
def test_any_changed_byte_of_a_seal_is_refused(data: st.DataObject) -> None:
    sealed = bytearray(seal(NEW, HERE, b"secret"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RecordRefused):
        open_seal(NEW, HERE, bytes(sealed))


@pytest.mark.parametrize("length", [0, 1, 17, 29, 44])
def test_a_cut_seal_is_refused(length: int) -> None:
    with pytest.raises(RecordRefused):
        open_seal(NEW, HERE, seal(NEW, HERE, b"secret")[:length])


def test_another_kek_does_not_open_it() -> None:
    with pytest.raises(RecordRefused):
        open_seal(OLD, HERE, seal(NEW, HERE, b"secret"))


def test_the_same_secret_never_seals_to_the_same_bytes() -> None:
    assert len({seal(NEW, HERE, b"secret") for _ in range(20)}) == 20


def test_a_secret_is_neither_printed_nor_formatted_nor_pickled() -> None:
    secret = Secret("tell-nobody")
    shown = [repr(secret), str(secret), f"{secret}", "%s" % secret, repr([secret]), f"{secret!r:>20}"]  # noqa: UP031 # old formatting is one of the ways
    assert not any("tell-nobody" in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.copy(secret)
    assert secret.expose() == "tell-nobody"


def test_keks_print_their_fingerprint_only() -> None:
    assert repr(NEW) == f"Kek({NEW.kek_id}, <hidden>)"
    assert repr(KekRing((OLD, NEW))) == f"KekRing({OLD.kek_id}, {NEW.kek_id})"


def test_the_newest_seals_and_all_open() -> None:
    ring = KekRing((OLD, NEW))
    assert ring.newest is NEW
    assert ring.named(OLD.kek_id) is OLD


def test_a_retired_kek_opens_nothing() -> None:
    with pytest.raises(WrongKek, match="wrong key"):
        KekRing((OLD, NEW)).since(NEW.kek_id).named(OLD.kek_id)


def test_a_ring_that_begins_later_still_reads_the_log_of_the_older_ones() -> None:
    third = Kek(b"t" * 32)
    later = KekRing((OLD, NEW, third)).since(NEW.kek_id).since(third.kek_id)
    assert later.keks == (third,)
    assert later.retired == (OLD, NEW)
    assert later.named_in_log(OLD.kek_id) is OLD
    assert later.named_in_log(third.kek_id) is third
    macs, before = MacKeys(later, "store-1"), MacKeys(KekRing((OLD,)), "store-1")
    assert macs.chain(OLD.kek_id) == before.chain(OLD.kek_id)
    for of in (macs.record, macs.store):
        with pytest.raises(WrongKek, match="retired"):
            of(OLD.kek_id)
    with pytest.raises(WrongKek):
        later.since(OLD.kek_id)


def test_a_kek_that_is_retired_and_not_is_retired_and_a_ring_of_retired_ones_is_none() -> None:
    assert KekRing((OLD, NEW), (OLD,)).keks == (NEW,)
    with pytest.raises(KeystoreUnavailable, match="not retired"):
        KekRing((OLD,), (OLD,))


def test_a_retired_line_is_read_wherever_it_stands_and_never_the_newest(tmp_path: Path) -> None:
    for name in "ab":
        create_kek_file(tmp_path / name)
    lines = [(tmp_path / name).read_text().splitlines()[-1] for name in "ab"]
    first, second = (load_kek_ring(tmp_path / name).newest.kek_id for name in "ab")
    both = tmp_path / "both"
    both.touch(0o600)
    retired = lines[1].replace(KEK_LINE, RETIRED_LINE)
    for text in (f"{lines[0]}\n{retired}\n", f"{retired}\n{lines[0]}\n"):
        both.write_text(text)
        ring = load_kek_ring(both)
        assert [kek.kek_id for kek in ring.keks] == [first]
        assert [kek.kek_id for kek in ring.retired] == [second]


def test_a_kek_that_is_not_loaded_is_a_wrong_key_not_a_broken_record() -> None:
    with pytest.raises(WrongKek, match="wrong key"):
        KekRing((NEW,)).named(OLD.kek_id)


def test_the_canary_tells_a_wrong_key_and_another_keystore() -> None:
    canary = seal_canary(NEW, "store-1")
    check_canary(KekRing((OLD, NEW)), NEW.kek_id, "store-1", canary)
    with pytest.raises(WrongKek, match="wrong key"):
        check_canary(KekRing((OLD, NEW)), OLD.kek_id, "store-1", canary)
    with pytest.raises(WrongKek, match="wrong key"):
        check_canary(KekRing((NEW,)), NEW.kek_id, "store-2", canary)


def test_mac_keys_differ_by_purpose_keystore_and_kek() -> None:
    ring = KekRing((OLD, NEW))
    derived = {
        purpose(kek.kek_id)
        for macs in (MacKeys(ring, "store-1"), MacKeys(ring, "store-2"))
        for purpose in (macs.record, macs.chain, macs.store)
        for kek in (OLD, NEW)
    }
    assert len(derived) == 12


def test_a_kek_file_is_made_for_its_owner_only_and_loads(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        kek_id = create_kek_file(tmp_path / "kek")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "kek").stat().st_mode) == 0o600
    assert load_kek_ring(tmp_path / "kek").newest.kek_id == kek_id


def test_a_kek_file_is_never_overwritten(tmp_path: Path) -> None:
    create_kek_file(tmp_path / "kek")
    before = (tmp_path / "kek").read_bytes()
    with pytest.raises(Conflict):
        create_kek_file(tmp_path / "kek")
    assert (tmp_path / "kek").read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660, 0o700 | 0o001])
def test_a_kek_file_that_others_can_touch_is_refused_and_says_how_to_mend_it(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "kek"
    create_kek_file(path)
    path.chmod(mode)
    with pytest.raises(KeystoreUnavailable, match=f"chmod 600 {path}"):
        load_kek_ring(path)


def test_the_last_line_of_a_kek_file_is_the_newest(tmp_path: Path) -> None:
    first, second = create_kek_file(tmp_path / "one"), create_kek_file(tmp_path / "two")
    both = tmp_path / "both"
    both.touch(0o600)
    both.write_bytes((tmp_path / "one").read_bytes() + b"\n" + (tmp_path / "two").read_bytes())
    assert [kek.kek_id for kek in load_kek_ring(both).keks] == [first, second]


@pytest.mark.parametrize(
    "text",
    [b"", b"# nothing\n", b"secret\n", b"nqgate-kek-1:\n", b"nqgate-kek-1:AAAA\n", b"nqgate-kek-1:\xff\n",
     b"nqgate-kek-2:" + b"A" * 43 + b"=\n", b"#" * 70_000],
)  # fmt: skip
def test_what_is_no_kek_file_is_refused_without_showing_it(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "kek"
    path.touch(0o600)
    path.write_bytes(text)
    with pytest.raises(KeystoreUnavailable) as refused:
        load_kek_ring(path)
    assert "AAAA" not in str(refused.value)


def test_a_missing_kek_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(KeystoreUnavailable, match="nqgate kek create"):
        load_kek_ring(tmp_path / "kek")


def test_a_folder_is_no_kek_file(tmp_path: Path) -> None:
    with pytest.raises(KeystoreUnavailable):
        load_kek_ring(tmp_path)
