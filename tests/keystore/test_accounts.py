import pytest

from keystore.accounts import Account
from keystore.errors import InvalidInput


@pytest.mark.parametrize("name", ["a", "default", "team-7", "x" * 63])
def test_account_names(name: str) -> None:
    assert Account(name, "123456789012", 0, "ann").name == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a b", "x" * 64, "a\n", "ä"])
def test_what_is_no_account_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        Account(name, "123456789012", 0, "ann")


@pytest.mark.parametrize(
    "number", ["", "12345678901", "1234567890123", "012345678901", "12345678901a", "123456789012\n"]
)
def test_an_account_number_has_twelve_digits_and_no_leading_zero(number: str) -> None:
    with pytest.raises(InvalidInput):
        Account("default", number, 0, "ann")
