"""`nqgate keys`: create, list, get, test, revoke, delete."""

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway.cli.opened import actor, config_path, with_store
from gateway.cli.output import Exit, confirm, fail, say, show_json, show_rows, told_errors
from gateway.config import load_config
from gateway.serve import configured_policy
from gateway.verdict import Question, Verdict, read_operation, verdict
from keystore.access_key import RevokeReason, access_key_json
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.bucket_claims import tenure
from keystore.errors import InvalidInput
from keystore.scope import AllBuckets, BucketGrant, Rights, Scope, SpecificBuckets, clean_prefix
from keystore.sealing import Secret
from keystore.source_cidrs import clean_cidrs
from keystore.store import NewKey, Store

keys = typer.Typer(no_args_is_help=True, help="Access keys: create, list, get, test, revoke, delete.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON with stable fields.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AccessKeyId = Annotated[str, typer.Argument(metavar="ACCESS_KEY_ID")]
_SPAN: Final = re.compile(r"(\d{1,5})([smhdw])\Z", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def read_moment(text: str | None, now: float) -> int | None:
    """`30d` from now, `2027-01-31`, or RFC 3339; Unix seconds. InvalidInput for anything else."""
    if text is None:
        return None
    if span := _SPAN.match(text):
        return int(now) + int(span[1]) * _SECONDS[span[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is not a time; write 30d, 2027-01-31 or 2027-01-31T12:00:00Z") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def read_scope(buckets: list[str], rights: Rights | None, prefix: str | None, *, everything: bool) -> Scope:
    """InvalidInput unless exactly one of All Buckets and a list of names was chosen: a scope is never assumed.

    `rights` and `prefix` are for every bucket named.
    """
    if everything == bool(buckets):
        raise InvalidInput("choose either --all-buckets or one or more --bucket NAME")
    if everything:
        if prefix is not None:
            raise InvalidInput("--prefix is for named buckets; choose them with --bucket NAME")
        return AllBuckets(rights or Rights.FULL)
    within = clean_prefix(prefix) if prefix is not None else ""
    if prefix is not None and not within:
        raise InvalidInput("--prefix is empty; leave it out to grant the whole bucket")
    return SpecificBuckets(tuple(BucketGrant(name, rights or Rights.READ_WRITE, within) for name in buckets))


@keys.command()
def create(
    context: typer.Context,
    label: Annotated[str, typer.Option(help="What the key is for, 1 to 64 characters.")],
    all_buckets: Annotated[bool, typer.Option("--all-buckets", help="Every bucket, those made later too.")] = False,
    bucket: Annotated[list[str] | None, typer.Option(help="One bucket; repeat for more.")] = None,
    rights: Annotated[Rights | None, typer.Option(help="Default: full for all buckets, read_write for named.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Only object keys that begin so; a / at its end is added.")] = None,
    expires: Annotated[str | None, typer.Option(help="30d, 2027-01-31 or RFC 3339.")] = None,
    not_before: Annotated[str | None, typer.Option(help="As --expires.")] = None,
    source_cidr: Annotated[list[str] | None, typer.Option(help="Only from this network; repeat for more.")] = None,
    account: Annotated[str, typer.Option(help="Whose key it is.")] = DEFAULT_ACCOUNT,
    secret_file: Annotated[Path | None, typer.Option(help="Write the secret there, 0600, and do not print it.")] = None,
    json: Json = False,
) -> None:
    """Make a key. Its secret is shown once, now."""
    with told_errors():
        now = time.time()
        scope = read_scope(bucket or [], rights, prefix, everything=all_buckets)
        reserved = configured_policy(load_config(config_path(context))).profile.reserved.intersection(bucket or [])
        if reserved:
            raise InvalidInput(
                f"the store keeps {', '.join(sorted(reserved))} for itself: no bucket can have that name"
            )
        sources = clean_cidrs(source_cidr or [])
        new = NewKey(account, label, scope, read_moment(expires, now), read_moment(not_before, now), sources)
        if secret_file is not None and secret_file.exists():
            raise fail(f"{secret_file} is there already; nothing was done.", Exit.CONFLICT)

    async def work(store: Store) -> tuple[dict[str, Any], Secret, bool]:
        twin = any(known.label == label.strip() for known in await store.list_keys(account))
        access_key, secret = await store.create_key(new, actor())
        return access_key_json(access_key, time.time(), await store.list_claims(None)), secret, twin

    shown, secret, twin = with_store(context, work)
    if twin:
        say(f"Note: another key of this account is labelled {shown['label']!r} too.")
    for name in shown["unreachable_buckets"]:
        say(f"Note: the bucket {name} does not belong to the account {account}: until it does, the key gets 403 there.")
    with told_errors():
        _show_created(shown, secret, secret_file, json=json)


def _show_created(shown: dict[str, Any], secret: Secret, secret_file: Path | None, *, json: bool) -> None:
    if secret_file is None:
        shown["secret_access_key"] = secret.expose()
    else:
        _write_secret(secret_file, secret)
        shown["secret_file"] = str(secret_file)
    if json:
        show_json(shown)
        return
    place = ("secret_access_key", "Secret") if secret_file is None else ("secret_file", "Secret file")
    show_rows(("", ""), [("Access key id", shown["access_key_id"]), (place[1], str(shown[place[0]]))])
    if secret_file is None:
        say("The secret is shown this once. Keep it now; it cannot be shown again.")


def _write_secret(path: Path, secret: Secret) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret.expose() + "\n")


@keys.command("list")
def list_keys(
    context: typer.Context,
    account: Annotated[str | None, typer.Option(help="Of one account only.")] = None,
    json: Json = False,
) -> None:
    """All keys, revoked and expired ones too."""

    async def work(store: Store) -> list[dict[str, Any]]:
        now, claims = time.time(), await store.list_claims(None)
        return [access_key_json(known, now, claims) for known in await store.list_keys(account)]

    found = with_store(context, work)
    if json:
        show_json(found)
    else:
        show_rows(("LABEL", "ACCESS KEY ID", "BUCKETS", "STATUS", "CREATED"), [_row(one) for one in found])


def _row(shown: dict[str, Any]) -> tuple[str, ...]:
    buckets = "All Buckets" if shown["buckets"] == "*" else ", ".join(_marked(shown, name) for name in shown["buckets"])
    return shown["label"], shown["access_key_id"], buckets, shown["status"].capitalize(), shown["created_at"]


def _marked(shown: dict[str, Any], bucket: str) -> str:
    why = shown["unreachable_buckets"].get(bucket)
    return bucket if why is None else f"{bucket} ({'deleted' if why == 'deleted' else 'of another account'})"


async def _shown(store: Store, access_key_id: str) -> dict[str, Any]:
    access_key, claims = await store.get_key(access_key_id), await store.list_claims(None)
    return access_key_json(access_key, time.time(), claims)


@keys.command()
def get(context: typer.Context, access_key_id: AccessKeyId, json: Json = False) -> None:
    """One key."""
    shown = with_store(context, lambda store: _shown(store, access_key_id))
    if json:
        show_json(shown)
    else:
        show_rows(("", ""), [(name, _text(value)) for name, value in shown.items() if value not in (None, {})])


def _text(value: Any) -> str:
    if isinstance(value, dict) and "type" not in value:
        return ", ".join(f"{name} ({why})" for name, why in value.items())
    if isinstance(value, dict):
        if value["type"] == "all":
            return f"all ({value['rights']})"
        return ", ".join(f"{_within(one)} ({one['rights']})" for one in value["buckets"])
    return ", ".join(value) if isinstance(value, list) else str(value)


def _within(grant: dict[str, str]) -> str:
    return f"{grant['name']}/{grant['prefix']}" if "prefix" in grant else grant["name"]


@keys.command("test")
def ask_for_verdict(
    context: typer.Context,
    access_key_id: AccessKeyId,
    operation: Annotated[str, typer.Argument(metavar="OPERATION", help="Such as GetObject or ListObjectsV2.")],
    target: Annotated[str, typer.Argument(metavar="BUCKET[/OBJECT_KEY]", help="Of a list, BUCKET/PREFIX.")],
    source: Annotated[str | None, typer.Option("--from", help="The address it would come from.")] = None,
    json: Json = False,
) -> None:
    """May a key do this, and which rule decides? Ends with 3 when it may not."""
    with told_errors():
        bucket, _, object_key = target.partition("/")
        question = Question(read_operation(operation), bucket, object_key.encode(), source)
        policy = configured_policy(load_config(config_path(context)))

    async def work(store: Store) -> Verdict:
        known, claims = await store.get_key(access_key_id), await store.list_claims(None)
        return verdict(known, question, policy, time.time(), lambda name: tenure(claims.get(name)))

    allowed, rule = with_store(context, work)
    if json:
        show_json(
            {"access_key_id": access_key_id, "operation": question.operation.name, "allowed": allowed, "rule": rule}
        )
    else:
        show_rows(("", ""), [("allowed" if allowed else "refused", f"{rule}.")])
    if not allowed:
        raise typer.Exit(Exit.NOT_PERMITTED)


@keys.command()
def revoke(
    context: typer.Context,
    access_key_id: AccessKeyId,
    reason: Annotated[RevokeReason, typer.Option(help="compromised is final.")] = RevokeReason.OTHER,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Refuse a key from now on. When this returns, no request of it is accepted on this machine."""
    known = with_store(context, lambda store: store.get_key(access_key_id))
    confirm(known.label, f"Revoke {access_key_id} ({known.label})? Its requests get 403 at once.", yes=yes)

    async def work(store: Store) -> dict[str, Any]:
        ended = await store.revoke_key(access_key_id, reason, actor())
        return access_key_json(ended, time.time(), await store.list_claims(None))

    shown = with_store(context, work)
    if json:
        show_json(shown)
    else:
        say(f"{access_key_id} ({known.label}) is revoked.")


@keys.command()
def delete(context: typer.Context, access_key_id: AccessKeyId, yes: Yes = False, json: Json = False) -> None:
    """Remove a key for good. Its id is never used again."""
    label = ""
    if not yes:  # a record that no longer verifies can be deleted with --yes only
        known = with_store(context, lambda store: store.get_key(access_key_id))
        label = known.label
        advice = "" if known.status.value == "revoked" else " It is active: consider `keys revoke` first."
        confirm(label, f"Delete {access_key_id} ({label}) for good?{advice}", yes=yes)
    with_store(context, lambda store: store.delete_key(access_key_id, actor()))
    if json:
        show_json({"access_key_id": access_key_id, "deleted": True})
    else:
        say(f"{access_key_id} is deleted.")
