import re

from keystore import minting
from keystore.access_key import ACCESS_KEY_ID
from keystore.accounts import ACCOUNT_NUMBER
from keystore.admin_tokens import TOKEN_ID


def test_minted_ids_match_the_published_scanner_rule() -> None:
    for _ in range(100):
        minted = minting.mint_access_key_id()
        assert re.fullmatch(r"NQAK[0-9a-z]{16}", minted)
        assert ACCESS_KEY_ID.match(minted)


def test_minted_token_ids_are_twelve_of_digits_and_small_letters() -> None:
    for _ in range(100):
        assert TOKEN_ID.match(minting.mint_token_id())


def test_minted_secrets_are_forty_of_base62() -> None:
    for _ in range(100):
        assert re.fullmatch(r"[0-9A-Za-z]{40}", minting.mint_secret())


def test_the_whole_alphabet_is_drawn_from() -> None:
    drawn = "".join(minting.mint_secret() for _ in range(200))
    assert set(drawn) == set(minting.SECRET_ALPHABET)


def test_account_numbers_are_twelve_digits() -> None:
    assert all(ACCOUNT_NUMBER.match(minting.mint_account_number()) for _ in range(100))


def test_nothing_is_minted_twice() -> None:
    mints = (
        minting.mint_access_key_id,
        minting.mint_token_id,
        minting.mint_secret,
        minting.mint_store_id,
        minting.mint_request_id,
    )
    for mint in mints:
        assert len({mint() for _ in range(200)}) == 200
