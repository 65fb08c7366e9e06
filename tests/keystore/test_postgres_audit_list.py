"""The change log listed from PostgreSQL: which rows, in which order, and which of them are the keystore's own."""

import pytest

from keystore.access_key import RevokeReason
from keystore.audited_rows import Wanted
from keystore.postgres import PostgresStore
from keystore.postgres_audit import list_postgres_changes
from keystore.sealing import KekRing, Secret
from tests.support.keystore_on_postgres import Sql, made, sql, store, url

__all__ = ["sql", "store", "url"]  # fixtures
pytestmark = pytest.mark.server


async def test_the_log_is_listed_newest_last_and_by_what_it_names(
    url: str, ring: KekRing, store: PostgresStore, sql: Sql
) -> None:
    _, revoked = await made(store), await made(store)
    await store.create_account("team", "ann")
    await store.claim_bucket("photos", "team", "ann")
    await store.revoke_key(revoked, RevokeReason.OTHER, "bob")

    async def seqs(
        access_key_id: str | None = None, bucket: str | None = None, account: str | None = None, limit: int = 100
    ) -> list[int]:
        listed = await list_postgres_changes(Secret(url), ring, Wanted(access_key_id, bucket, account, limit))
        assert all(one.verified for one in listed)
        return [one.change.seq for one in listed]

    assert await seqs() == list(range(1, 7))
    assert await seqs(limit=3) == [4, 5, 6]
    assert await seqs(revoked) == [3, 6]
    assert await seqs(bucket="photos") == [5]
    assert await seqs(account="team") == [4, 5]
    sql("UPDATE nqgate.change SET actor = 'eve' WHERE seq = 2; DELETE FROM nqgate.change WHERE seq = 4")
    listed = await list_postgres_changes(Secret(url), ring, Wanted(None, None, None, 100))
    assert [one.change.seq for one in listed if not one.verified] == [2, 5]
