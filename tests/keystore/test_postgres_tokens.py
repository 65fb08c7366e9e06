"""What stands in a PostgreSQL keystore of admin tokens, and a database from before there were any."""

from pathlib import Path

import pytest

from keystore import sealed_rows
from keystore.admin_tokens import Role
from keystore.postgres import PostgresStore, open_postgres_store
from keystore.postgres_audit import audit_postgres
from keystore.postgres_server import migrations
from keystore.sealing import KekRing, Secret
from keystore.store import NewToken
from tests.support.keystore_on_postgres import Sql, made, sql, store, url

__all__ = ["sql", "store", "url"]  # fixtures, two in place of those of this folder
pytestmark = pytest.mark.server

TO_THE_SCHEMA_BEFORE = """
DROP TABLE nqgate.admin_token;
DROP INDEX nqgate.change_of_token, nqgate.change_of_account, nqgate.access_key_made, nqgate.refused_of_account;
ALTER TABLE nqgate.change DROP COLUMN token;
CREATE INDEX change_of_account ON nqgate.change (account, seq) WHERE access_key_id IS NULL AND bucket IS NULL;
DELETE FROM nqgate.schema_version WHERE version >= {};
"""


async def test_the_log_says_who_made_and_revoked_which_token(store: PostgresStore, sql: Sql) -> None:
    token, secret = await store.create_token(NewToken(Role.OWNER, "ci", "default"), "ann")
    await store.revoke_token(token.token_id, "eve")
    assert sql("SELECT kind, account, token, actor FROM nqgate.change WHERE seq > 1 ORDER BY seq") == [
        ["token.create", "default", token.token_id, "ann"],
        ["token.revoke", "default", token.token_id, "eve"],
    ]
    [[record]] = sql("SELECT convert_from(record, 'UTF8') FROM nqgate.admin_token")
    assert token.secret_sha256.hex() in record
    assert secret.expose()[-40:] not in record


async def test_a_keystore_from_before_is_brought_up_and_holds_its_first_token(
    url: str, ring: KekRing, sql: Sql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [number] = [at for at, text in enumerate(migrations(), 1) if "nqgate.admin_token" in text]
    with monkeypatch.context() as patched:
        patched.setattr(sealed_rows, "PROTOCOL", 2)
        async with open_postgres_store(url, ring, create=True) as opened:
            access_key_id = await made(opened)
            await opened.claim_bucket("photos", "default", "ann")
            accounts = await opened.list_accounts()
    sql(TO_THE_SCHEMA_BEFORE.format(number))
    assert sql("SELECT protocol FROM nqgate.store") == [["2"]]
    async with open_postgres_store(url, ring, create=False) as opened:
        assert (await audit_postgres(Secret(url), ring, tmp_path / "state")).findings == []
        assert await opened.list_tokens() == []
        token, _ = await opened.create_token(NewToken(Role.OWNER, "ci", "default"), "ann")
        assert await opened.list_tokens() == [token]
        assert await opened.list_accounts() == accounts
        assert [key.access_key_id for key in await opened.list_keys(None)] == [access_key_id]
    assert sql("SELECT protocol FROM nqgate.store") == [["4"]]
    assert (await audit_postgres(Secret(url), ring, tmp_path / "state")).findings == []
