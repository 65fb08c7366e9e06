"""The record and the text of an admin token: what it opens, and what is none."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore.admin_tokens import (
    TOKEN_LENGTH,
    AdminToken,
    Presented,
    Role,
    admin_token_json,
    holds,
    read_token,
    refusal,
    revoked,
    secret_hash,
    token_text,
    usable,
)
from keystore.errors import InvalidInput

NOW = 1_700_000_000
SECRET = "Ab0" * 13 + "z"
OPERATOR = AdminToken("abc123def456", "ci", Role.OPERATOR, None, NOW, "ann", secret_hash(SECRET))
OWNER = replace(OPERATOR, role=Role.OWNER, account="team", expires_at=NOW + 60)
TEXT = token_text(OPERATOR.token_id, SECRET)


# ---- what it opens ----


def test_a_token_is_usable_until_it_expires() -> None:
    assert usable(OPERATOR, NOW + 10**9)
    assert usable(OWNER, NOW + 59.9)
    for now in (NOW + 60, NOW + 61):
        assert not usable(OWNER, now)
    assert refusal(OWNER, NOW + 60) == "the admin token abc123def456 expired at 2023-11-14T22:14:20Z"


def test_a_revoked_token_opens_nothing_at_any_time() -> None:
    ended = revoked(OWNER, NOW + 5, "bob")
    assert (ended.revoked_at, ended.revoked_by, ended.version) == (NOW + 5, "bob", 2)
    for now in (0, NOW, NOW + 5, NOW + 60):
        assert not usable(ended, now)
        assert refusal(ended, now) == "the admin token abc123def456 was revoked at 2023-11-14T22:13:25Z"


def test_revoking_again_is_a_new_version_and_keeps_when_it_ended() -> None:
    again = revoked(revoked(OPERATOR, NOW, "bob"), NOW + 9, "eve")
    assert again == replace(OPERATOR, revoked_at=NOW, revoked_by="bob", version=3)


def test_only_the_text_that_was_shown_is_this_token() -> None:
    presented = read_token(TEXT)
    assert presented is not None
    assert holds(OPERATOR, presented)
    for other in (TEXT[:-1] + "y", TEXT.replace("abc123", "abc124"), token_text(OPERATOR.token_id, "0" * 40)):
        wrong = read_token(other)
        assert wrong is not None
        assert not holds(OPERATOR, wrong)


@pytest.mark.parametrize(
    "edit",
    [
        {"token_id": "abc"},
        {"token_id": "abc123def45\n"},
        {"token_id": "ABC123DEF456"},
        {"account": "team"},
        {"role": Role.OWNER},
        {"role": Role.OWNER, "account": "No Name"},
        {"revoked_at": 5},
        {"revoked_by": "bob"},
        {"version": 0},
        {"secret_sha256": b""},
        {"secret_sha256": bytes(31)},
    ],
)
def test_what_does_not_fit_together_is_no_token(edit: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(OPERATOR, **edit)  # type: ignore[arg-type]  # names and values above


# ---- as text ----


def test_a_token_reads_back_as_its_id_and_a_hash() -> None:
    assert f"nqat_abc123def456_{SECRET}" == TEXT
    assert len(TEXT) == TOKEN_LENGTH
    assert read_token(TEXT) == ("abc123def456", OPERATOR.secret_sha256)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nqat_",
        TEXT[:-1],
        TEXT + "0",
        TEXT + "\n",
        TEXT[:-1] + "\n",
        " " + TEXT[:-1],
        TEXT.upper(),
        TEXT.replace("nqat_", "nqak_"),
        TEXT.replace("abc", "ABC"),
        TEXT.replace("f456_", "f456-"),
        TEXT[:-1] + "-",
        TEXT[:-1] + "é",
        TEXT[:-1] + "٣",  # a digit, but not of ASCII
        TEXT[:-1] + "\udcff",
        TEXT[:-1] + "\0",
        "nqat_abc123def456_" * 10**6,
    ],
)
def test_whatever_else_is_no_token(text: str) -> None:
    assert read_token(text) is None


@given(st.text(min_size=TOKEN_LENGTH, max_size=TOKEN_LENGTH))
def test_text_of_that_length_is_no_token_by_that(text: str) -> None:
    assert read_token(text) is None


def test_neither_secret_nor_hash_is_in_a_repr_or_in_json() -> None:
    presented = Presented(OPERATOR.token_id, OPERATOR.secret_sha256)
    shown = admin_token_json(OPERATOR, NOW)
    told = f"{OPERATOR!r} {presented!r} {[presented]} {shown}"
    for hidden in (SECRET, OPERATOR.secret_sha256.hex(), repr(OPERATOR.secret_sha256)):
        assert hidden not in told
    assert "abc123def456" in repr(presented)


def test_the_scanner_rules_find_what_is_shown() -> None:
    config = Path(__file__).resolve().parent.parent.parent / "config" / "gitleaks.toml"
    rules = {rule["id"]: rule for rule in tomllib.loads(config.read_text())["rules"]}
    rule = rules["nqgate-admin-token"]
    assert re.search(rule["regex"], f'Authorization: Bearer {TEXT}"')
    assert all(keyword in TEXT for keyword in rule["keywords"])
    assert not re.search(rule["regex"], TEXT[:-1])


def test_json_has_always_the_same_fields() -> None:
    shown = admin_token_json(OPERATOR, NOW)
    assert shown == {
        "token_id": "abc123def456", "label": "ci", "role": "operator", "account": None, "status": "active",
        "created_at": "2023-11-14T22:13:20Z", "created_by": "ann", "expires_at": None, "revoked_at": None,
        "revoked_by": None, "version": 1,
    }  # fmt: skip
    assert list(admin_token_json(revoked(OWNER, NOW, "bob"), NOW)) == list(shown)
    states = [admin_token_json(token, NOW + 60)["status"] for token in (OPERATOR, OWNER, revoked(OWNER, NOW, "bob"))]
    assert states == ["active", "expired", "revoked"]
    json.dumps(shown)
