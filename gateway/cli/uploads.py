"""`nqgate keys revoke --abort-uploads`: what the key began at the store, and nobody has completed, is aborted there.

An upload that somebody may be completing is left alone: stores do not keep the two apart, and the object that was just
made could lose its parts. What is left is said, and the command ends with 7: run it again.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import typer

from gateway.cli.opened import beside, config_path, opened_store
from gateway.cli.output import Exit, fail, progress, say
from gateway.config import Config, SettingsError, load_config
from gateway.store_uploads import ABORTED, GONE, Aborts
from keystore.access_key import Status
from keystore.audit import printable
from keystore.confirmation import Confirmation
from keystore.derived import StoreCredential, UpstreamCredential
from keystore.errors import KeystoreError
from keystore.lineage import successors
from keystore.uploads import Note, Unfinished, Upload

WRITTEN_WITHIN: Final = 3.0  # seconds; gateways write what they noted within 1.5
COMPLETING_FOR: Final = 900  # seconds after which nobody is completing it any more: a large one takes minutes
SHOWN: Final = 10  # uploads that are left, by name
_TOUCHING: Final = frozenset({"CompleteMultipartUpload", "UploadPart", "UploadPartCopy"})


class Outcome(NamedTuple):
    """`left`: why each was not aborted. `unknown`: why there may be more than these; "" when there are none."""

    aborted: int
    left: dict[Upload, str]
    unknown: str

    def json(self) -> dict[str, int]:
        """Uploads that had ended by themselves are in neither number."""
        return {"uploads_aborted": self.aborted, "uploads_left": len(self.left)}


def abort_uploads(
    context: typer.Context, access_key_id: str, confirmations: Sequence[Confirmation], *, cascade: bool
) -> Outcome:
    """Of a key that is revoked, with `cascade` also of the revoked ones that replaced it. Raises nothing that is
    foreseen: the revoke stands, and is to be told."""
    if any(one.gateways for one in confirmations):
        time.sleep(WRITTEN_WITHIN)
    try:
        config = load_config(config_path(context))
        own, found = asyncio.run(_unfinished(context, access_key_id, cascade=cascade))
        upstream = config.upstream
        credential = own or UpstreamCredential(upstream.access_key_id, upstream.secret())
    except (KeystoreError, SettingsError, OSError) as error:
        return Outcome(0, {}, f"which uploads are unfinished is not known: {error}")
    left = {one.upload: why for one in found if (why := _why_left(one, confirmations))}
    became = _aborted(config, credential, [one.upload for one in found if one.upload not in left])
    left |= {upload: why for upload, why in became.items() if why not in (ABORTED, GONE)}
    _forget(context, [upload for upload in became if upload not in left])
    return Outcome(list(became.values()).count(ABORTED), left, _still_beginning(confirmations))


def say_outcome(outcome: Outcome) -> None:
    many = "upload" if outcome.aborted == 1 else "uploads"
    say(f"{outcome.aborted} unfinished {many} aborted.")


def require_none_left(outcome: Outcome) -> None:
    """Exit 7 when an upload is left, or may be."""
    for upload, why in list(outcome.left.items())[:SHOWN]:
        say(f"Left: {printable(_name(upload))}: {why}.")
    if outcome.unknown:
        say(f"Note: {outcome.unknown}.")
    if outcome.left:
        many = "upload is" if len(outcome.left) == 1 else "uploads are"
        raise fail(f"Revoked, but {len(outcome.left)} unfinished {many} left. Run it again.", Exit.UNAVAILABLE)
    if outcome.unknown:
        raise fail("Revoked, but unfinished uploads may be left. Run it again.", Exit.UNAVAILABLE)


async def _unfinished(
    context: typer.Context, access_key_id: str, *, cascade: bool
) -> tuple[StoreCredential | None, list[Unfinished]]:
    """The account's own credential at the store, if it has one, and what its keys began."""
    async with opened_store(config_path(context)) as store:
        access_key = await store.get_key(access_key_id)
        replacing = await successors(store, access_key) if cascade else []  # those revoked before too: it may run again
        ids = [access_key_id, *(one.access_key_id for one in replacing if one.status is Status.REVOKED)]
        credential = await store.store_credential(access_key.account)
    return credential, await beside(context).unfinished(ids)


def _why_left(one: Unfinished, confirmations: Sequence[Confirmation]) -> str:
    """Why it must not be aborted now; "" when it may be."""
    if any(confirmation.lapsed or confirmation.elsewhere for confirmation in confirmations):
        return "a gateway that did not confirm may be completing it"
    if time.time() - one.completing_at < COMPLETING_FOR:
        return "the store has a CompleteMultipartUpload of it that it has not answered"
    for what in _unsettled(confirmations):
        operation = what.partition(" ")[0]
        if operation in _TOUCHING and f"{operation} {_name(one.upload)}".startswith(what):  # long names are cut
            return f"the store has not answered a {operation} of it"
    return ""


def _still_beginning(confirmations: Sequence[Confirmation]) -> str:
    beginning = [printable(what) for what in _unsettled(confirmations) if what.startswith("CreateMultipartUpload ")]
    return f"the store has not answered yet, and may begin one more: {', '.join(beginning)}" if beginning else ""


def _unsettled(confirmations: Sequence[Confirmation]) -> list[str]:
    return [what for one in confirmations for what in one.in_store_unsettled]


def _aborted(config: Config, credential: StoreCredential, uploads: Sequence[Upload]) -> dict[Upload, str]:
    with progress() as tell:
        return Aborts(config, credential, lambda done: tell(f"{done} of {len(uploads)} uploads")).run(uploads)


def _forget(context: typer.Context, ended: Sequence[Upload]) -> None:
    """What cannot be written is asked for again the next time, and is gone then."""
    try:
        asyncio.run(beside(context).note(dict.fromkeys(ended, Note(ended=True)), time.time()))
    except KeystoreError as error:
        say(f"Note: that uploads are over is not written: {error}.")


def _name(upload: Upload) -> str:
    return f"{upload.bucket}/{upload.object_key.decode('utf-8', 'replace')}"
