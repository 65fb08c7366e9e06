"""What a mutation says to a database: the statements by name, and the hand that takes them to a connection.

Pure: the text is each database's own. Statements of one name take the same values and return the same columns
everywhere, so that `found_rows` reads them all.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Statements(NamedTuple):
    """In the words of one database.

    log_end                    the store row, the last change, the MAC of the one before it
    mac_at                     seq → the MAC of that change
    find_request               request id → the change under it, the MAC of the one before; or none
    find_access_key            id → always one row: the record, the last change that names it, the MAC before that
    list_access_keys           account or NULL = all → rows likewise
    page_access_keys           created_at, id, how many → those made before these, the newest first; likewise
    page_access_keys_of        the same and an account → of that one
    list_accounts              name or NULL = all → likewise
    find_buckets               a JSON array of names → those that have a claim, or a change that says they should
    list_buckets               account or NULL = all → those it holds or held
    find_admin_token           id → as find_access_key
    list_admin_tokens          account or NULL = all → those that have a record, or a change that says they should
    …_to_reseal                an id, a KEK, how many → rows behind the id that do not stand under the KEK
    ever_issued, number_taken  → one boolean
    add_…, put_…               the row, field by field; put_store: 1, then the row
    """

    log_end: str
    mac_at: str
    find_request: str
    find_access_key: str
    list_access_keys: str
    page_access_keys: str
    page_access_keys_of: str
    list_accounts: str
    find_buckets: str
    list_buckets: str
    find_admin_token: str
    list_admin_tokens: str
    access_keys_to_reseal: str
    accounts_to_reseal: str
    buckets_to_reseal: str
    admin_tokens_to_reseal: str
    ever_issued: str
    number_taken: str
    add_change: str
    put_store: str
    put_access_key: str
    put_account: str
    put_bucket: str
    put_admin_token: str
    delete_access_key: str


class Hand(Protocol):
    """On one connection, inside whatever transaction that is in."""

    async def fetch(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """All rows at once."""

    async def execute(self, statement: str, values: Sequence[object]) -> None:
        """A statement that returns no rows."""
