"""`nqgate audit`: verify, list. Both only read."""

import asyncio
import json as json_text
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from gateway.cli.keys import Json
from gateway.cli.opened import beside, config_path
from gateway.cli.output import Exit, progress, say, show_json, show_rows, told_errors
from gateway.config import KeystoreSettings, load_config
from keystore.audit import Finding, Report, printable
from keystore.audited_rows import Listed, Progress, Wanted, listed_json
from keystore.postgres_audit import audit_postgres
from keystore.sealing import KekRing, Secret, load_kek_ring
from keystore.sqlite_audit import audit_keystore

audit = typer.Typer(no_args_is_help=True, help="The change log: who did what, and whether all of the keystore holds.")

WORTH_PROGRESS: Final = 20_000  # rows; fewer are read before a person wonders


@audit.command()
def verify(context: typer.Context, json: Json = False) -> None:
    """Hold every row against the change log, open every seal. Ends with 1 when something does not hold."""
    with told_errors():
        keystore = load_config(config_path(context)).keystore
        ring = load_kek_ring(keystore.kek_file)
        with _progress() as tell:
            report = _audited(keystore, ring, tell)
    if json:
        show_json(report.json())
    elif report.findings:
        show_rows(("TABLE", "ID", "FINDING"), [_cells(finding) for finding in report.findings])
    read = f"{report.changes} changes, {report.access_keys} access keys, {report.accounts} accounts"
    read += f", {report.buckets} buckets, {report.admin_tokens} admin tokens"
    if report.found:
        more = report.found - len(report.findings)
        say(f"{read}. Findings: {report.found}{f', {more} of them not shown' if more else ''}. Nothing was changed.")
        raise typer.Exit(Exit.FAILURE)
    say(f"{read}: all of it holds.")


def _audited(keystore: KeystoreSettings, ring: KekRing, tell: Progress) -> Report:
    if not keystore.remote:
        return audit_keystore(keystore.path, ring, keystore.state_file, tell)
    url = Secret(keystore.url.get_secret_value())
    return asyncio.run(audit_postgres(url, ring, keystore.host_state_file, tell))


def _cells(finding: Finding) -> tuple[str, str, str]:
    return finding.table, finding.id or "-", finding.what


@contextmanager
def _progress() -> Iterator[Progress]:
    """Of a keystore that takes long enough to wonder."""
    with progress() as show:
        yield (
            lambda done, whole: show(f"{100 * done // whole:3} % of {whole} rows") if whole >= WORTH_PROGRESS else None
        )


@audit.command("list")
def list_log(
    context: typer.Context,
    access_key_id: Annotated[str | None, typer.Option("--key", metavar="ID", help="Of one access key.")] = None,
    bucket: Annotated[str | None, typer.Option(help="Of one bucket.")] = None,
    account: Annotated[str | None, typer.Option(help="Of one account, its keys, buckets and tokens.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 100,
    json: Json = False,
) -> None:
    """Who changed what, the newest last. Ends with 1 when a row is not the keystore's own."""
    with told_errors():
        listed = asyncio.run(beside(context).changes(Wanted(access_key_id, bucket, account, limit)))
    if json:
        show_json([listed_json(one) for one in listed])
    else:
        show_rows(("SEQ", "TIME", "KIND", "ACTOR", "ACCOUNT", "SUBJECT", "WHAT"), [_row(one) for one in listed])
    broken = [str(one.change.seq) for one in listed if not one.verified]
    if broken:
        say(f"Not written by this keystore: {', '.join(broken[:10])}. `nqgate audit verify` says more.")
        raise typer.Exit(Exit.FAILURE)


def _row(listed: Listed) -> tuple[str, ...]:
    shown = listed_json(listed)
    subject = shown["access_key_id"] or shown["bucket"] or shown["token_id"] or "-"
    words = " ".join(f"{name}={_word(value)}" for name, value in shown["body"].items()) or "-"
    kind = shown["kind"] if listed.verified else f"{shown['kind']} (not verified)"
    return str(shown["seq"]), shown["at"], kind, shown["actor"], shown["account"] or "-", subject, printable(words)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json_text.dumps(value, ensure_ascii=False, separators=(",", ":"))
