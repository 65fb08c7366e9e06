"""Acts on a key that there is and that make no secret: revoke, restore, edit, delete. Each asks on a page of its own,
which a script may show as a dialog, and is done by its POST only.
"""

from typing import Any

from aiohttp import web

from gateway.console.forms import KeyForm, Limits, Wrong, edit_of, form_of, marked, read_form, uniform
from gateway.console.pages_making import choice_of
from gateway.console.rows import row_of
from gateway.console.sessions import Notice
from gateway.console.visit import Visit
from gateway.console.words import evidence, in_words, sentence, unproven
from keystore.access_key import RevokeReason
from keystore.confirmation import Confirmation
from keystore.errors import InvalidInput


async def _asked(visit: Visit, template: str, error: str = "", status: int = 200, **more: Any) -> web.Response:
    shown = await visit.site.acts.key(visit.session.signed.caller, visit.access_key_id)
    return await visit.show(
        template,
        status=status,
        row=row_of(shown, visit.now, visit.site.settings.rotate_after),
        shown=shown,
        evidence=evidence(shown, visit.now),
        error=error,
        **more,
    )


def told(what: str, confirmation: Confirmation) -> Notice:
    doubt = unproven(confirmation)
    text = f"{what}: {in_words(confirmation)}."
    return Notice(f"{text} {doubt}", "warning") if doubt else Notice(text)


def called(shown: dict[str, Any]) -> str:
    return f"{shown['label']} ({shown['access_key_id']})"


async def revoke_form(visit: Visit) -> web.Response:
    return await _asked(visit, "revoke.html", reasons=list(RevokeReason))


async def revoke(visit: Visit) -> web.Response:
    drain = visit.field("drain") == "yes"
    try:
        reason = RevokeReason(visit.field("reason"))
    except ValueError:
        return await _asked(visit, "revoke.html", "Choose a reason.", 422, reasons=list(RevokeReason))
    if drain and reason is RevokeReason.COMPROMISED:
        error = "What a compromised key has running must not finish: leave that choice out."
        return await _asked(visit, "revoke.html", error, 422, reasons=list(RevokeReason))
    acted = await visit.site.acts.revoke(visit.session.signed.caller, visit.access_key_id, reason, drain=drain)
    return visit.go("/keys", told(f"{called(acted.shown)} is revoked", acted.confirmation))


async def restore_form(visit: Visit) -> web.Response:
    return await _asked(visit, "restore.html")


async def restore(visit: Visit) -> web.Response:
    acted = await visit.site.acts.restore(visit.session.signed.caller, visit.access_key_id)
    return visit.go(f"/keys/{visit.access_key_id}", told(f"{called(acted.shown)} is restored", acted.confirmation))


async def delete_form(visit: Visit) -> web.Response:
    return await _asked(visit, "delete.html", prove=not visit.session.proved(visit.now))


async def delete(visit: Visit) -> web.Response:
    caller, acts = visit.session.signed.caller, visit.site.acts
    shown = await acts.key(caller, visit.access_key_id)
    if visit.field("label").strip() != shown["label"]:
        error = "That is not its label, so nothing was deleted."
        return await _asked(visit, "delete.html", error, 422, prove=not visit.session.proved(visit.now))
    if proof := await visit.step_up():
        return await _asked(visit, "delete.html", proof, 403, prove=True)
    confirmation = await acts.delete(caller, visit.access_key_id)
    return visit.go("/keys", told(f"{called(shown)} is deleted", confirmation))


async def edit_form(visit: Visit) -> web.Response:
    shown = await visit.site.acts.key(visit.session.signed.caller, visit.access_key_id)
    return await _show_edit(visit, shown, form_of(shown), {})


async def edit(visit: Visit) -> web.Response:
    caller, acts = visit.session.signed.caller, visit.site.acts
    shown = await acts.key(caller, visit.access_key_id)
    form = read_form(visit.fields)
    choice = await choice_of(visit, shown["account"])
    try:
        limits = Limits(visit.now, choice.known, visit.site.settings.max_lifetime)
        wanted = edit_of(form, shown, limits, with_scope=_with_scope(shown))
        if wanted.scope is not None and (proof := await visit.step_up()):
            return await _show_edit(visit, shown, form, {"proof": proof}, 403)
        acted = await acts.update(caller, visit.access_key_id, wanted, _version(visit))
    except Wrong as wrong:
        return await _show_edit(visit, shown, form, wrong.fields, 422)
    except InvalidInput as error:
        return await _show_edit(visit, shown, form, {"all": sentence(str(error))}, 422)
    return visit.go(f"/keys/{visit.access_key_id}", told(f"{called(acted.shown)} is changed", acted.confirmation))


def _with_scope(shown: dict[str, Any]) -> bool:
    return shown["status"] != "revoked" and uniform(shown["scope"])


def _version(visit: Visit) -> int | None:
    """Of the key as the form showed it: somebody else's change in between is not overwritten unseen."""
    text = visit.field("version")
    return int(text) if text.isdecimal() and len(text) < 10 else None


async def _show_edit(
    visit: Visit, shown: dict[str, Any], form: KeyForm, wrong: dict[str, str], status: int = 200
) -> web.Response:
    return await visit.show(
        "edit.html",
        status=status,
        shown=shown,
        row=row_of(shown, visit.now, visit.site.settings.rotate_after),
        form=form,
        wrong=marked(wrong),
        faulty=bool(wrong),
        choice=await choice_of(visit, shown["account"]),
        with_scope=_with_scope(shown),
        prove=bool(wrong.get("proof")),
        version=visit.field("version") or shown["version"],
    )
