"""`nqgate keys`: create, list, get, test, delete. What changes a key is in key_acts."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.confirmed import in_words, require_proof, with_confirmation
from gateway.cli.opened import actor, config_path, with_store
from gateway.cli.options import read_scope
from gateway.cli.output import Exit, confirm, say, show_json, show_rows, told_errors
from gateway.cli.reveal import Reveal
from gateway.cli.shown import forget, shown_key, shown_keys, usage_of
from gateway.config import load_config
from gateway.s3.profile import PROFILES
from gateway.spans import read_moment
from keystore.access_key import check_lifetime
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.bucket_claims import tenure
from keystore.confirmation import confirmation_json
from keystore.errors import InvalidInput
from keystore.scope import Rights
from keystore.sealing import Secret
from keystore.source_cidrs import clean_cidrs
from keystore.store import NewKey, Store
from keystore.usage import NEVER

keys = typer.Typer(no_args_is_help=True, help="Access keys: make, show, change, replace, end them.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON with stable fields.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AccessKeyId = Annotated[str, typer.Argument(metavar="ACCESS_KEY_ID")]


@keys.command()
def create(
    context: typer.Context,
    label: Annotated[str, typer.Option(help="What the key is for, 1 to 64 characters.")],
    all_buckets: Annotated[bool, typer.Option("--all-buckets", help="Every bucket, those made later too.")] = False,
    bucket: Annotated[list[str] | None, typer.Option(help="One bucket; repeat for more.")] = None,
    no_buckets: Annotated[bool, typer.Option("--no-buckets", help="No bucket yet: `keys update` gives some.")] = False,
    rights: Annotated[Rights | None, typer.Option(help="Default: full for all buckets, read_write for named.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Only object keys that begin so; a / at its end is added.")] = None,
    expires: Annotated[str | None, typer.Option(help="30d, 2027-01-31 or RFC 3339.")] = None,
    not_before: Annotated[str | None, typer.Option(help="As --expires.")] = None,
    source_cidr: Annotated[list[str] | None, typer.Option(help="Only from this network; repeat for more.")] = None,
    manage_keys: Annotated[bool, typer.Option("--manage-keys", help="It may act on its account's keys (IAM).")] = False,
    account: Annotated[str, typer.Option(help="Whose key it is.")] = DEFAULT_ACCOUNT,
    secret_file: Annotated[Path | None, typer.Option(help="Write the secret there, 0600, and do not print it.")] = None,
    json: Json = False,
) -> None:
    """Make a key. Its secret is shown once, now."""
    with told_errors():
        now = time.time()
        scope = read_scope(bucket or [], rights, prefix, everything=all_buckets, nothing=no_buckets)
        refuse_reserved(context, bucket or [])
        sources = clean_cidrs(source_cidr or [])
        end, begin = read_moment(expires, now), read_moment(not_before, now)
        check_lifetime(int(now), end, longest_life(context))
        new = NewKey(account, label, scope, end, begin, sources, manage_keys)

    async def work(store: Store) -> tuple[dict[str, Any], Secret, bool]:
        twin = any(known.label == label.strip() for known in await store.list_keys(account))
        access_key, secret = await store.create_key(new, actor())
        return await shown_key(context, store, access_key), secret, twin

    with told_errors(), Reveal(secret_file) as reveal:
        shown, secret, twin = with_store(context, work)
        reveal.show(shown, secret, json=json)
    if twin:
        say(f"Note: another key of this account is labelled {shown['label']!r} too.")
    say_unreachable(shown)


def longest_life(context: typer.Context) -> int | None:
    """Seconds; None = no limit."""
    return load_config(config_path(context)).keys.max_lifetime


def refuse_reserved(context: typer.Context, buckets: Iterable[str]) -> None:
    """InvalidInput for a name of a scope that no bucket of the configured store can have."""
    reserved = PROFILES[load_config(config_path(context)).upstream.profile].reserved.intersection(buckets)
    if reserved:
        raise InvalidInput(f"the store keeps {', '.join(sorted(reserved))} for itself: no bucket can have that name")


def say_unreachable(shown: dict[str, Any]) -> None:
    """Of which named buckets the key gets 403, for now or for good."""
    for name in shown["unreachable_buckets"]:
        say(
            f"Note: the bucket {name} does not belong to the account {shown['account']}: "
            "until it does, the key gets 403 there."
        )


@keys.command("list")
def list_keys(
    context: typer.Context,
    account: Annotated[str | None, typer.Option(help="Of one account only.")] = None,
    json: Json = False,
) -> None:
    """All keys, revoked and expired ones too."""

    async def work(store: Store) -> list[dict[str, Any]]:
        return await shown_keys(context, store, await store.list_keys(account))

    found = with_store(context, work)
    if json:
        show_json(found)
    else:
        columns = ("LABEL", "ACCESS KEY ID", "BUCKETS", "STATUS", "CREATED", "LAST USED")
        show_rows(columns, [_row(one) for one in found])


def _row(shown: dict[str, Any]) -> tuple[str, ...]:
    buckets = ", ".join(_marked(shown, name) for name in shown["buckets"]) or "none"
    buckets = "All Buckets" if shown["buckets"] == "*" else buckets
    used = shown["last_used"]["at"] if shown["last_used"] else "never"
    return shown["label"], shown["access_key_id"], buckets, shown["status"].capitalize(), shown["created_at"], used


def _marked(shown: dict[str, Any], bucket: str) -> str:
    why = shown["unreachable_buckets"].get(bucket)
    return bucket if why is None else f"{bucket} ({'deleted' if why == 'deleted' else 'of another account'})"


@keys.command()
def get(context: typer.Context, access_key_id: AccessKeyId, json: Json = False) -> None:
    """One key."""

    async def work(store: Store) -> dict[str, Any]:
        return await shown_key(context, store, await store.get_key(access_key_id))

    shown = with_store(context, work)
    if json:
        show_json(shown)
    else:
        show_rows(("", ""), [(name, _text(value)) for name, value in shown.items() if value not in (None, {})])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict) and "at" in value:
        return ", ".join(str(one) for one in value.values() if one)
    if isinstance(value, dict) and "type" not in value:
        return ", ".join(f"{name} ({why})" for name, why in value.items())
    if isinstance(value, dict):
        if value["type"] == "all":
            return f"all ({value['rights']})"
        return ", ".join(f"{_within(one)} ({one['rights']})" for one in value.get("buckets", ())) or "none"
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
    from gateway.verdict import Question, Verdict, read_operation, verdict  # what decides requests: 0.2 s of importing
    from gateway.wiring import configured_policy

    with told_errors():
        bucket, _, object_key = target.partition("/")
        question = Question(read_operation(operation), bucket, object_key.encode(), source)
        policy = configured_policy(load_config(config_path(context)))

    async def work(store: Store) -> Verdict:
        known, claims = await store.get_key(access_key_id), await store.claims([bucket])
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


def evidence_of_use(context: typer.Context, access_key_id: str) -> str:
    """What speaks for or against it."""
    used = asyncio.run(usage_of(context, access_key_id)).get(access_key_id, NEVER).used
    if used is None:
        return "It was never used. "
    ago = max(0, int(time.time()) - used.at) // 60
    return f"It was last used {ago} min ago from {used.source} by {used.user_agent or 'an unnamed client'}. "


@keys.command()
def delete(context: typer.Context, access_key_id: AccessKeyId, yes: Yes = False, json: Json = False) -> None:
    """Remove a key for good. Its id is never used again."""
    label = ""
    if not yes:  # a record that no longer verifies can be deleted with --yes only
        known = with_store(context, lambda store: store.get_key(access_key_id))
        label = known.label
        advice = "" if known.status.value == "revoked" else " It is active: consider `keys revoke` first."
        confirm(label, f"Delete {access_key_id} ({label}) for good?{advice}", yes=yes)
    _, confirmation = with_confirmation(context, lambda store: store.delete_key(access_key_id, actor()))
    forget(context, access_key_id)
    if json:
        show_json({"access_key_id": access_key_id, "deleted": True, **confirmation_json(confirmation)})
    else:
        say(f"{access_key_id} is deleted: {in_words(confirmation)}.")
    require_proof(confirmation)
