import re
from pathlib import Path

import pytest

from gateway.console.links import LASTS, make_link, read_link
from keystore.admin_tokens import Role
from keystore.kek_file import add_kek
from keystore.sealing import KekRing, create_kek_file, load_kek_ring

NOW = 1_800_000_000.4


@pytest.fixture
def ring(tmp_path: Path) -> KekRing:
    create_kek_file(tmp_path / "kek")
    return load_kek_ring(tmp_path / "kek")


@pytest.mark.parametrize(("role", "account"), [(Role.OPERATOR, None), (Role.OWNER, "acme")])
def test_a_link_says_who_comes_in_and_until_when(ring: KekRing, role: Role, account: str | None) -> None:
    link = read_link(ring, make_link(ring, account, NOW))
    assert link is not None
    assert link[1:] == (role, account, 1_800_000_000 + LASTS)
    assert re.fullmatch(r"[0-9a-f]{32}", link.nonce)


def test_no_two_links_are_the_same(ring: KekRing) -> None:
    texts = [make_link(ring, None, NOW) for _ in range(20)]
    assert len({link.nonce for text in texts if (link := read_link(ring, text))}) == 20


def test_a_link_changed_in_any_character_is_none(ring: KekRing) -> None:
    text = make_link(ring, "acme", NOW)
    for place in range(len(text)):
        other = "A" if text[place] != "A" else "B"
        assert read_link(ring, text[:place] + other + text[place + 1 :]) is None


@pytest.mark.parametrize("text", ["", "nql_", "nql_" + "A" * 400 + "." + "0" * 64, "nql_QQ." + "0" * 64, "x" * 100_000])
def test_what_is_no_link_is_none(ring: KekRing, text: str) -> None:
    assert read_link(ring, text) is None


def test_a_link_of_another_gateway_is_none(ring: KekRing, tmp_path: Path) -> None:
    create_kek_file(tmp_path / "another")
    assert read_link(ring, make_link(load_kek_ring(tmp_path / "another"), None, NOW)) is None


def test_a_link_made_before_a_kek_was_added_still_opens(ring: KekRing, tmp_path: Path) -> None:
    text = make_link(ring, None, NOW)
    add_kek(tmp_path / "kek")
    more = load_kek_ring(tmp_path / "kek")
    assert read_link(more, text) is not None
    assert read_link(ring, make_link(more, None, NOW)) is None


def test_a_link_under_a_retired_kek_is_none(ring: KekRing, tmp_path: Path) -> None:
    text = make_link(ring, None, NOW)
    add_kek(tmp_path / "kek")
    more = load_kek_ring(tmp_path / "kek")
    assert read_link(KekRing(more.keks[1:], more.keks[:1]), text) is None
