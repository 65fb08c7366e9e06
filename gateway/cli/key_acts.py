"""`nqgate keys revoke`, `restore`, `roll` and `update`: what a person does to a key that there is, and it outlives."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.confirmed import in_words, require_proof, with_confirmation
from gateway.cli.keys import (
    AccessKeyId,
    Json,
    Yes,
    evidence_of_use,
    longest_life,
    refuse_reserved,
    say_unreachable,
)
from gateway.cli.opened import actor, with_store
from gateway.cli.options import NEVER, read_scope
from gateway.cli.output import confirm, say, show_json, told_errors
from gateway.cli.reveal import Reveal
from gateway.cli.shown import Shown, shown_key, shown_keys
from gateway.spans import read_moment, read_span
from keystore.access_key import RevokeReason, Status, check_lifetime, unreachable_buckets
from keystore.confirmation import Confirmation, confirmation_json
from keystore.errors import InvalidInput
from keystore.key_acts import Edit, Kept
from keystore.lineage import successors
from keystore.scope import Rights, Scope
from keystore.store import Store

key_acts = typer.Typer()


@key_acts.command()
def restore(context: typer.Context, access_key_id: AccessKeyId, json: Json = False) -> None:
    """Accept a revoked key again, on every gateway. One revoked as compromised stays so; one that expired, expired."""

    async def work(store: Store) -> Shown:
        return await shown_key(context, store, await store.restore_key(access_key_id, actor()))

    shown, confirmation = with_confirmation(context, work)
    if json:
        show_json({**shown, **confirmation_json(confirmation)})
    else:
        say(f"{access_key_id} ({shown['label']}) is restored: {in_words(confirmation)}.")
    if shown["status"] == "expired":
        say(
            f"Note: it expired at {shown['expires_at']} and is refused until it has more time: `keys update --expires`."
        )
    if not confirmation.proven:  # nothing to run again: it is restored, and who could not be asked sees it when it can
        say("Note: not every gateway has confirmed; one that has not may refuse the key until it has read the change.")


@key_acts.command()
def revoke(
    context: typer.Context,
    access_key_id: AccessKeyId,
    reason: Annotated[RevokeReason, typer.Option(help="compromised is final.")] = RevokeReason.OTHER,
    cascade: Annotated[bool, typer.Option("--cascade", help="Also the keys that replaced it, by `keys roll`.")] = False,
    drain: Annotated[bool, typer.Option("--drain", help="What runs may finish.")] = False,
    uploads: Annotated[bool, typer.Option("--abort-uploads", help="Abort the multipart uploads it began.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Refuse a key from now on, and end what it has running. Done when every gateway has confirmed it."""
    from gateway.cli.uploads import abort_uploads, require_none_left, say_outcome  # 0.15 s of importing

    with told_errors():
        if drain and uploads:
            raise InvalidInput("--abort-uploads ends what --drain lets finish; choose one")
    known = with_store(context, lambda store: store.get_key(access_key_id))
    replacing = with_store(context, lambda store: successors(store, known))
    active = [one for one in replacing if one.status is Status.ACTIVE]
    also = [one.access_key_id for one in active] if cascade else []
    evidence = "" if yes else evidence_of_use(context, access_key_id)
    more = f" and {', '.join(also)}" if also else ""
    confirm(known.label, f"Revoke {access_key_id}{more} ({known.label})? {evidence}Requests get 403 at once.", yes=yes)
    done = [_revoked(context, one, reason, drain) for one in (access_key_id, *also)]
    left = ", what was running may finish" if drain else ""
    for shown, confirmation in done if not json else ():
        say(f"{shown['access_key_id']} ({shown['label']}) is revoked: {in_words(confirmation)}{left}.")
    confirmations = [confirmation for _, confirmation in done]
    outcome = abort_uploads(context, access_key_id, confirmations, cascade=cascade) if uploads else None
    if json:
        shown, confirmation = done[0]
        cascaded = [{"access_key_id": one["access_key_id"], **confirmation_json(each)} for one, each in done[1:]]
        more_json = {**({"cascaded": cascaded} if cascade else {}), **(outcome.json() if outcome else {})}
        show_json({**shown, **confirmation_json(confirmation), **more_json})
    elif outcome is not None:
        say_outcome(outcome)
    if active and not cascade:
        say(f"Note: {active[0].access_key_id} replaced it and stays active; --cascade revokes it too.")
    for confirmation in confirmations:
        require_proof(confirmation)
    if outcome is not None:
        require_none_left(outcome)


def _revoked(
    context: typer.Context, access_key_id: str, reason: RevokeReason, drain: bool
) -> tuple[Shown, Confirmation]:
    async def work(store: Store) -> Shown:
        access_key = await store.revoke_key(access_key_id, reason, actor(), drain=drain)
        return await shown_key(context, store, access_key)

    return with_confirmation(context, work)


@key_acts.command()
def roll(
    context: typer.Context,
    access_key_id: AccessKeyId,
    overlap: Annotated[str, typer.Option(help="For how long both work: 0, or up to 7d.")] = "24h",
    secret_file: Annotated[Path | None, typer.Option(help="Write the secret there, 0600, and do not print it.")] = None,
    json: Json = False,
) -> None:
    """Make a successor with the same label, scope and limits, show its secret once, and end the old key later."""

    async def work(store: Store) -> tuple[Shown, Shown]:
        known = await store.get_key(access_key_id)
        check_lifetime(int(time.time()), known.expires_at, longest)  # the successor keeps it
        successor, secret, ended = await store.roll_key(access_key_id, span, actor())
        shown, old = await shown_keys(context, store, (successor, ended))
        reveal.show(shown, secret, json=json)  # at once: whatever fails from here on must not lose it
        return shown, old

    with told_errors():
        span, longest = read_span(overlap), longest_life(context)
        with Reveal(secret_file) as reveal:
            (shown, old), confirmation = with_confirmation(context, work)
    if old["status"] == "revoked":
        say(f"{access_key_id} ({old['label']}) is revoked: {in_words(confirmation)}.")
    else:
        say(f"{access_key_id} ({old['label']}) ends at {old['expires_at']}; `keys revoke` ends it now.")
    if shown["expires_at"] is not None:
        say(f"Note: the new key expires at {shown['expires_at']}, as the old one would have: `keys update --expires`.")
    say_unreachable(shown)
    require_proof(confirmation)


@key_acts.command()
def update(
    context: typer.Context,
    access_key_id: AccessKeyId,
    label: Annotated[str | None, typer.Option(help="Another label.")] = None,
    expires: Annotated[str | None, typer.Option(help="30d, 2027-01-31, RFC 3339, or never.")] = None,
    all_buckets: Annotated[bool, typer.Option("--all-buckets", help="Every bucket, those made later too.")] = False,
    bucket: Annotated[list[str] | None, typer.Option(help="One bucket of the new scope; repeat for more.")] = None,
    rights: Annotated[Rights | None, typer.Option(help="Of the new scope; as create.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Of the new scope; as create.")] = None,
    json: Json = False,
) -> None:
    """Change a key's label, expiry or scope. A scope is given whole, and granted as its buckets are owned now."""
    with told_errors():
        scope: Scope | None = None
        if all_buckets or bucket or rights is not None or prefix is not None:
            scope = read_scope(bucket or [], rights, prefix, everything=all_buckets)
            refuse_reserved(context, bucket or [])
        moment = Kept.KEPT if expires is None else read_moment(None if expires == NEVER else expires, time.time())
        edit, longest = Edit(label, moment, scope), longest_life(context)

    async def work(store: Store) -> tuple[Shown, bool, list[str]]:
        known = await store.get_key(access_key_id)
        if edit.expires_at is not Kept.KEPT:
            check_lifetime(known.created_at, edit.expires_at, longest)
        others = [one for one in await store.list_keys(known.account) if one.access_key_id != access_key_id]
        after = await store.update_key(access_key_id, edit, actor())
        lost = unreachable_buckets(known, await store.claims(known.grants or ()))
        shown = await shown_key(context, store, after)
        twin = label is not None and any(other.label == after.label for other in others)
        return shown, twin, [name for name in lost if name in _reached(shown)]

    (shown, twin, regained), confirmation = with_confirmation(context, work)
    if json:
        show_json({**shown, **confirmation_json(confirmation)})
    else:
        say(f"{access_key_id} ({shown['label']}) is changed: {in_words(confirmation)}.")
    if twin:
        say(f"Note: another key of this account is labelled {shown['label']!r} too.")
    for name in regained:
        say(f"Note: the key did not reach the bucket {name} any more; it is granted anew.")
    say_unreachable(shown)
    require_proof(confirmation)


def _reached(shown: Shown) -> set[str]:
    named = set() if shown["buckets"] == "*" else set(shown["buckets"])
    return named - set(shown["unreachable_buckets"])
