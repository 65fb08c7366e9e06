"""`nqgate buckets`: list, assign."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from gateway.cli.confirmed import in_words, require_proof, with_confirmation
from gateway.cli.keys import Json, Yes
from gateway.cli.opened import actor, config_path, with_store
from gateway.cli.output import confirm, say, show_json, show_rows, told_errors
from gateway.config import SettingsError, load_config
from gateway.store_buckets import store_buckets
from keystore.access_key import Claims
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.bucket_claims import tenure
from keystore.confirmation import confirmation_json
from keystore.store import Store

buckets = typer.Typer(no_args_is_help=True, help="Buckets: which account each belongs to.")


@dataclass(frozen=True, slots=True)
class _Row:
    """`created`: what the store says; None = it has no such bucket, or was not asked with the right credential."""

    name: str
    account: str
    status: str
    created: str | None

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "account": self.account, "status": self.status, "created": self.created}


@buckets.command("list")
def list_buckets(
    context: typer.Context,
    account: Annotated[str | None, typer.Option(help="Of one account only.")] = None,
    json: Json = False,
) -> None:
    """The buckets of the store and those that accounts hold or held, each with its account."""
    created: dict[str, str] = {}
    with told_errors():
        config = load_config(config_path(context))
    try:
        created = {bucket.name: bucket.created for bucket in store_buckets(config)}
    except SettingsError as error:
        say(f"Note: {error}. Only buckets that were claimed are shown.")
    claims = with_store(context, lambda store: store.list_claims(None))
    rows = [row for row in _rows(claims, created) if account in (None, row.account)]
    if json:
        show_json([row.json() for row in rows])
    else:
        cells = [(row.name, row.account, row.status.capitalize(), row.created or "-") for row in rows]
        show_rows(("NAME", "ACCOUNT", "STATUS", "CREATED"), cells)


def _rows(claims: Claims, created: dict[str, str]) -> list[_Row]:
    rows = []
    for name in sorted({*claims, *created}):
        claim = claims.get(name)
        status = "deleted" if claim is not None and not claim.held and name not in created else "active"
        rows.append(_Row(name, tenure(claim).account, status, created.get(name)))
    return rows


@buckets.command()
def assign(
    context: typer.Context,
    bucket: Annotated[str, typer.Argument(metavar="BUCKET")],
    account: Annotated[str, typer.Option(help="Whose it will be.")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Give a bucket to an account. Keys of the account that had it reach it no longer, now or when it comes back."""

    async def owner(store: Store) -> str:
        return tenure((await store.claims([bucket])).get(bucket)).account

    had = with_store(context, owner)
    if had not in (account, DEFAULT_ACCOUNT):
        confirm(bucket, f"Take the bucket {bucket} from the account {had}? Its keys get 403 there at once.", yes=yes)
    claim, confirmation = with_confirmation(context, lambda store: store.assign_bucket(bucket, account, actor()))
    if json:
        show_json({**_Row(bucket, claim.account, "active", None).json(), **confirmation_json(confirmation)})
    else:
        say(f"The bucket {bucket} belongs to the account {account} now: {in_words(confirmation)}.")
    require_proof(confirmation)
