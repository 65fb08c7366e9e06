"""The two acts that make a secret: create and roll. The secret is in the answer to the POST and nowhere else; no page
that is asked for by GET ever holds one.
"""

import hashlib
import json
import secrets
from typing import Final, NamedTuple

from aiohttp import web

from gateway.config import SettingsError
from gateway.console.acts import BucketShown
from gateway.console.forms import (
    OVERLAPS,
    KeyForm,
    Limits,
    Wrong,
    listed_names,
    marked,
    new_key,
    read_form,
)
from gateway.console.key_lists import Shown, WantedKeys
from gateway.console.rows import row_of
from gateway.console.visit import Visit
from gateway.console.words import evidence, in_words, reach, sentence, unproven
from keystore.accounts import ACCOUNT_NAME
from keystore.errors import InvalidInput, KeystoreError
from keystore.sealing import Secret
from keystore.store import NewKey, Once

_ONCE_BYTES: Final = 16


class Choice(NamedTuple):
    """The buckets of an account. `known`: None when nobody could say, and names are typed."""

    listed: list[BucketShown]
    known: frozenset[str] | None


async def choice_of(visit: Visit, account: str) -> Choice:
    try:
        listed = await visit.site.acts.buckets(visit.session.signed.caller, account)
    except (KeystoreError, SettingsError):
        return Choice([], None)
    return Choice([bucket for bucket in listed if bucket.status == "active"], listed_names(listed))


async def create_form(visit: Visit) -> web.Response:
    account = await _account(visit, visit.query("account"))
    if account is None:
        return await visit.show("choose_account.html")
    bucket = visit.query("bucket")
    return await _show_form(visit, account, KeyForm(buckets=(bucket,) if bucket else ()), {})


async def create(visit: Visit) -> web.Response:
    account = await _account(visit, visit.field("account"))
    if account is None:
        return await visit.show("choose_account.html")
    form = read_form(visit.fields)
    choice = await choice_of(visit, account)
    try:
        new = new_key(form, account, Limits(visit.now, choice.known, visit.site.settings.max_lifetime))
    except Wrong as wrong:
        return await _show_form(visit, account, form, wrong.fields, status=422)
    proof = await visit.step_up()
    if proof:
        return await _show_form(visit, account, form, {"proof": proof}, status=403)
    twin = await _has_twin(visit, new)
    try:
        made = await visit.site.acts.create(visit.session.signed.caller, new, _once(visit, form, account))
    except InvalidInput as error:
        return await _show_form(visit, account, form, {"all": sentence(str(error))}, status=422)
    if made.secret is None:
        return await visit.show("made_already.html", shown=made.shown)
    notes = [f"Another key of this account is labelled {new.label!r} too."] if twin else []
    return await reveal(visit, made.shown, made.secret, notes)


async def reveal(visit: Visit, shown: Shown, secret: Secret, notes: list[str]) -> web.Response:
    return await visit.show(
        "reveal.html",
        status=201,
        shown=shown,
        secret=secret.expose(),
        notes=notes,
        reach=reach(shown["scope"]),
        one_bucket="" if shown["buckets"] == "*" else next(iter(shown["buckets"]), ""),
    )


async def _account(visit: Visit, asked: str) -> str | None:
    """Whose key it will be. None: an operator has to choose first."""
    session = visit.session
    if session.signed.account is not None:
        return session.signed.account
    if asked and ACCOUNT_NAME.match(asked):
        return asked
    if session.account is not None:
        return session.account
    names = [str(account["name"]) for account in await visit.site.acts.accounts(session.signed.caller)]
    return names[0] if len(names) == 1 else None


async def _show_form(
    visit: Visit, account: str, form: KeyForm, wrong: dict[str, str], *, status: int = 200
) -> web.Response:
    choice = await choice_of(visit, account)
    return await visit.show(
        "create.html",
        status=status,
        account=account,
        form=form,
        wrong=marked(wrong),
        faulty=bool(wrong),
        choice=choice,
        once=secrets.token_hex(_ONCE_BYTES),
        prove=not visit.session.proved(visit.now),
    )


def _once(visit: Visit, form: KeyForm, account: str) -> Once | None:
    """A form that is sent twice makes one key: it carries an id of its own from when it was shown."""
    sent = visit.field("once")
    if not sent:
        return None
    who = visit.session.signed
    named = hashlib.sha256(f"console\0{who.role}\0{who.account}\0{visit.session.csrf}\0{sent}".encode()).hexdigest()
    asked = json.dumps([account, *form], sort_keys=True)
    return Once(named[:32], hashlib.sha256(asked.encode()).hexdigest())


async def _has_twin(visit: Visit, new: NewKey) -> bool:
    wanted = WantedKeys(account=new.account, q=new.label)
    page = await visit.site.acts.page(visit.session.signed.caller, wanted, None, 50)
    return any(shown["label"] == new.label for shown in page.keys)


# ---- roll ----


async def roll_form(visit: Visit) -> web.Response:
    return await _show_roll(visit, "", 200)


async def roll(visit: Visit) -> web.Response:
    overlap = OVERLAPS.get(visit.field("overlap"))
    if overlap is None:
        return await _show_roll(visit, "Choose how long both keys work.", 422)
    proof = await visit.step_up()
    if proof:
        return await _show_roll(visit, proof, 403)
    rolled = await visit.site.acts.roll(visit.session.signed.caller, visit.access_key_id, overlap)
    old = rolled.ended["access_key_id"]
    if rolled.ended["status"] == "revoked":
        notes = [f"{old} is revoked: {in_words(rolled.confirmation)}."]
    else:
        notes = [f"{old} works on until its overlap is over; revoke it as soon as nothing uses it."]
    if doubt := unproven(rolled.confirmation):
        notes.append(doubt)
    return await reveal(visit, rolled.successor, rolled.secret, notes)


async def _show_roll(visit: Visit, error: str, status: int) -> web.Response:
    shown = await visit.site.acts.key(visit.session.signed.caller, visit.access_key_id)
    return await visit.show(
        "roll.html",
        status=status,
        row=row_of(shown, visit.now, visit.site.settings.rotate_after),
        shown=shown,
        evidence=evidence(shown, visit.now),
        overlaps=OVERLAPS,
        error=error,
        prove=not visit.session.proved(visit.now),
    )
