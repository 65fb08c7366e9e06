import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.iam.errors import IamError
from gateway.iam.names import read_user_name, user_arn, user_id, user_name


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("backup", "backup"),
        ("nightly backup (host 7)", "nightly-backup-host-7"),
        ("Büro Süd", "Buro-Sud"),
        ("東京", "key"),
        ("--", "key"),
        ("ann@example.com", "ann@example.com"),
        ("a+b=c,d_e.f", "a+b=c,d_e.f"),
        ("x" * 64, "x" * 64),
        ("\ufdfa" * 64, "key"),
    ],
)
def test_a_label_gives_a_user_name_without_spaces(label: str, name: str) -> None:
    assert user_name(label) == name


@given(st.text(max_size=80))
def test_a_user_name_is_one_that_iam_knows_and_gives_itself(label: str) -> None:
    name = user_name(label)
    assert re.fullmatch(r"[A-Za-z0-9_+=,.@-]{1,64}", name)
    assert user_name(name) == name
    assert read_user_name(name) == name


@pytest.mark.parametrize("text", ["", "a b", "-a", "a-", "a--b/c", "ü", "x" * 65, "a\n"])
def test_what_no_key_is_called_is_refused(text: str) -> None:
    with pytest.raises(IamError):
        read_user_name(text)


def test_a_user_has_an_arn_and_an_id_of_its_account() -> None:
    assert user_arn("123456789012", "app") == "arn:aws:iam::123456789012:user/app"
    assert re.fullmatch(r"NQUS[A-Z2-7]{16}", user_id("123456789012", "app"))
    assert len({user_id(number, name) for number in ("1", "2") for name in ("a", "b")}) == 4
