"""A keystore on PostgreSQL put back to what it was, as after restoring a dump of it."""

from tests.support.keystore_on_postgres import Sql

TABLES = ("store", "change", "account", "access_key", "bucket", "admin_token")


def backed_up(sql: Sql) -> None:
    """A copy of the keystore, in the same database, in the place of the one before."""
    sql("DROP SCHEMA IF EXISTS copy CASCADE; CREATE SCHEMA copy")
    for table in TABLES:
        sql(f"CREATE TABLE copy.{table} AS TABLE nqgate.{table}")


def put_back(sql: Sql) -> None:
    """As somebody does who restores a dump, in one moment."""
    acts = [f"DELETE FROM nqgate.{table}; INSERT INTO nqgate.{table} TABLE copy.{table}" for table in TABLES]
    sql("BEGIN;" + ";".join(acts) + "; COMMIT")
