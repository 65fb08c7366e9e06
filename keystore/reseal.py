"""One page of a rotation: rows under older KEKs, verified, sealed and MAC'd anew under the newest, in one mutation.

What does not verify is not carried over: a forged row under a MAC of the newest KEK would be a true one. The records
keep their bytes, so the change that wrote each of them stays its last; the page is told by a change that names none.
"""

from keystore.chain import Kind
from keystore.errors import Conflict
from keystore.found_rows import read_found_account, read_found_admin_token, read_found_bucket, read_found_key
from keystore.mutation import Entry, Mutation
from keystore.statements import Statements
from keystore.store import FIRST_PLACE, Place, Resealed, Table


async def reseal_page(mutation: Mutation, kek_id: str, place: Place, limit: int, actor: str) -> Resealed:
    """The next `limit` rows behind `place`; where none is left in the whole keystore, the older KEKs are retired.

    Conflict unless `kek_id` is the newest that is loaded. RecordRefused for a row that does not hold.
    """
    mutation.seal_under_newest()
    if mutation.rows.kek_id != kek_id:
        raise Conflict(f"the newest key-encryption key is {mutation.rows.kek_id} by now, no longer {kek_id}")
    for start in (place, FIRST_PLACE):  # from the first once more: a row put behind a place that was passed is found
        for table in list(Table)[list(Table).index(start.table) :]:
            after = start.after if table is start.table else ""
            found = await mutation.fetch(_to_reseal(mutation.statements, table), after, kek_id, limit)
            if found:
                last = await _reseal(mutation, table, found)
                told: dict[str, object] = {"kek_id": kek_id, "table": table.value, "rows": len(found), "until": last}
                await mutation.log(Entry(Kind.KEK_RESEAL, actor, "", None, None, told))
                return Resealed(len(found), Place(table, last))
    await mutation.retire_older_keks(actor)
    return Resealed(0, None)


def _to_reseal(statements: Statements, table: Table) -> str:
    return {
        Table.ACCOUNT: statements.accounts_to_reseal,
        Table.ACCESS_KEY: statements.access_keys_to_reseal,
        Table.BUCKET: statements.buckets_to_reseal,
        Table.ADMIN_TOKEN: statements.admin_tokens_to_reseal,
    }[table]


async def _reseal(mutation: Mutation, table: Table, found: list[tuple[object, ...]]) -> str:
    """The id of the last."""
    rows, statements = mutation.rows, mutation.statements
    last = ""
    for each in found:
        if table is Table.ACCESS_KEY:
            access_key, change = read_found_key(each)
            assert access_key is not None, "the page was selected from the table"
            rows.read_access_key(access_key, change)
            await mutation.execute(statements.put_access_key, rows.resealed_access_key(access_key))
            last = access_key.access_key_id
        elif table is Table.ACCOUNT:
            account, change = read_found_account(each)
            rows.read_account(account, change)
            await mutation.execute(statements.put_account, rows.resealed_account(account))
            last = account.name
        elif table is Table.ADMIN_TOKEN:
            token, change = read_found_admin_token(each)
            assert token is not None, "the page was selected from the table"
            rows.read_admin_token(token, change)
            await mutation.execute(statements.put_admin_token, rows.resealed_admin_token(token))
            last = token.token_id
        else:
            bucket, change = read_found_bucket(each)
            assert bucket is not None, "the page was selected from the table"
            rows.read_bucket(bucket, change)
            await mutation.execute(statements.put_bucket, rows.resealed_bucket(bucket))
            last = bucket.name
    return last
