from keystore import postgres_rows, sqlite_rows
from keystore.postgres_server import PostgresHand
from keystore.sqlite import SqliteHand
from keystore.statements import Hand, Statements


def test_every_database_says_each_statement_under_its_name() -> None:
    for statements in (sqlite_rows.STATEMENTS, postgres_rows.STATEMENTS):
        assert len(set(statements)) == len(Statements._fields)
        for name, text in zip(Statements._fields, statements, strict=True):
            verb = "SELECT" if name not in ("add_change", "delete_access_key") and "put" not in name else None
            assert verb is None or text.startswith(verb), name


def test_what_a_store_takes_to_its_connection_is_a_hand() -> None:
    for hand in (SqliteHand, PostgresHand):
        assert {name for name in vars(Hand) if not name.startswith("_")} <= set(vars(hand))
