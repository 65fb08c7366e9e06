"""What a person or a program does to keys over the control plane, whichever door they came in by: console, REST, IAM.

Each act checks that the caller may see what it names (what they may not see is not there: NotFound), does it, and waits
for the gateways where the command line would. Knows no HTTP.
"""

import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from gateway.authorize import Policy
from gateway.console.key_lists import KeyPage, Shown, WantedKeys, page_of_keys, shown_keys
from gateway.refusals import Refusal
from gateway.s3.listing import ListedBucket
from gateway.verdict import Question, Verdict, verdict
from keystore.access_key import ACCESS_KEY_ID, AccessKey, RevokeReason, Status, access_key_json, check_lifetime
from keystore.audited_rows import Wanted, listed_json
from keystore.bucket_claims import BucketClaim, tenure
from keystore.confirmation import Confirmation
from keystore.errors import InvalidInput, KeystoreUnavailable, NotFound, Repeated
from keystore.key_acts import Edit, Kept
from keystore.keystore import Keystore
from keystore.lineage import successors
from keystore.refused import KEPT
from keystore.scope import Scope, SpecificBuckets
from keystore.sealing import Secret
from keystore.store import NewKey, Once
from keystore.usage import AT_MOST, NEVER, Used, usage_json

NO_SUCH_KEY: Final = "there is no access key of that id"
LOG: Final = logging.getLogger("nqgate")
UNKNOWN: Final = Confirmation(1, 0, 1, (), 0, 0, (), 0)  # not proven
MAX_NOTED: Final = 10_000  # keys whose last use is remembered
MAX_EVENTS: Final = 1000
MAX_REFUSALS: Final = 200
MAX_JUDGED: Final = 10_000  # keys of an account that a list of buckets looks at
KEYS_SHOWN: Final = 20  # of a bucket, by name


class Caller(NamedTuple):
    """Who asks. `actor`: as the log names them, with the address they came from. `account`: the only one they see and
    may act in; None = all (an operator)."""

    actor: str
    account: str | None

    def sees(self, account: str) -> bool:
        return self.account is None or self.account == account


class Made(NamedTuple):
    """A new key. `secret`: None when it was made by an earlier request with the same Idempotency-Key."""

    shown: Shown
    secret: Secret | None


class Acted(NamedTuple):
    shown: Shown
    confirmation: Confirmation


class Rolled(NamedTuple):
    """A successor with its secret, and what became of the key it replaces."""

    successor: Shown
    secret: Secret
    ended: Shown
    confirmation: Confirmation


class BucketShown(NamedTuple):
    """`status`: "active", or "deleted" for a claim that is over. `created`: what the store says, None = unknown.
    `keys`: ids and labels of active keys that reach it, at most 20; `keys_in_all`: how many do."""

    name: str
    account: str
    status: str
    created: str | None
    keys: list[tuple[str, str]]
    keys_in_all: int


class Acts:
    """`policy`: what decides requests, for `verdict`. `list_store`: which buckets the store has; SettingsError when it
    does not say. `longest`: seconds that a key may live (keys.max_lifetime). `clock`: Unix seconds.

    Raises what the store raises: NotFound, InvalidInput, Conflict, KeystoreUnavailable, RecordRefused.
    """

    def __init__(
        self,
        keystore: Keystore,
        policy: Policy,
        list_store: Callable[[], Awaitable[list[ListedBucket]]],
        longest: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keystore = keystore
        self._longest = longest
        self._noted: dict[str, int] = {}  # access key id → when its last use was noted
        self._store = keystore.store
        self._policy = policy
        self._list_store = list_store
        self._clock = clock
        self.on_confirmed: Callable[[Confirmation], None] | None = None

    @property
    def longest(self) -> int | None:
        """Seconds that a key may live; None = no limit."""
        return self._longest

    # ---- keys: reading ----

    async def page(self, caller: Caller, wanted: WantedKeys, cursor: str | None, limit: int) -> KeyPage:
        """`limit` at most; fewer also where much had to be looked at: only a page without `following` is the last."""
        if caller.account is not None:
            if wanted.account not in (None, caller.account):
                return KeyPage([], None)
            wanted = wanted._replace(account=caller.account)
        return await page_of_keys(self._keystore, wanted, cursor, limit, self._clock())

    async def access_key(self, caller: Caller, access_key_id: str) -> AccessKey:
        """The record. NotFound for one of an account that the caller does not see, in the same words as for none."""
        if ACCESS_KEY_ID.match(access_key_id):
            with contextlib.suppress(NotFound):
                found = await self._store.get_key(access_key_id)
                if caller.sees(found.account):
                    return found
        raise NotFound(NO_SUCH_KEY)

    async def key(self, caller: Caller, access_key_id: str) -> Shown:
        return await self._shown(await self.access_key(caller, access_key_id))

    async def successors(self, caller: Caller, access_key_id: str) -> list[AccessKey]:
        """The keys that replaced it, one after the other, whatever their state."""
        return await successors(self._store, await self.access_key(caller, access_key_id))

    async def events(self, caller: Caller, access_key_id: str, limit: int) -> list[dict[str, Any]]:
        """What was done to the key, the newest first, and also to one that was deleted."""
        wanted = Wanted(access_key_id, None, caller.account, max(1, min(limit, MAX_EVENTS)))
        listed = await self._keystore.changes(wanted) if ACCESS_KEY_ID.match(access_key_id) else []
        if not listed:
            raise NotFound(NO_SUCH_KEY)
        return [listed_json(one) for one in reversed(listed)]

    async def verdict(self, caller: Caller, access_key_id: str, question: Question) -> Verdict:
        known = await self.access_key(caller, access_key_id)
        claims = await self._store.claims([question.bucket])
        return verdict(known, question, self._policy, self._clock(), lambda name: tenure(claims.get(name)))

    async def note_use(self, access_key_id: str, used: Used) -> None:
        """Of a key by which somebody asked the control plane: once a minute for each, and nothing depends on it."""
        if used.at < self._noted.get(access_key_id, 0) + AT_MOST:
            return
        if len(self._noted) >= MAX_NOTED:
            self._noted.clear()
        self._noted[access_key_id] = used.at
        try:
            await self._keystore.used(access_key_id, used)
        except KeystoreUnavailable as error:
            LOG.warning("that an access key was used is not noted: %s", error)

    # ---- keys: acting ----

    async def create(self, caller: Caller, new: NewKey, once: Once | None = None) -> Made:
        """InvalidInput, NotFound for the account, `Repeated` where the Idempotency-Key was used for something else."""
        if not caller.sees(new.account):
            raise NotFound(f"there is no account {new.account!r}")
        self._refuse_reserved(new.scope)
        check_lifetime(int(self._clock()), new.expires_at, self._longest)
        try:
            access_key, secret = await self._store.create_key(new, caller.actor, once)
        except Repeated as repeated:
            if not repeated.same:
                raise
            return Made(await self.key(caller, repeated.access_key_id), None)
        return Made(await self._shown_once(access_key), secret)

    async def update(self, caller: Caller, access_key_id: str, edit: Edit, version: int | None = None) -> Acted:
        """`version`: that the caller saw; `Outdated` when it is another by now."""
        since = time.monotonic()
        known = await self.access_key(caller, access_key_id)
        if edit.scope is not None:
            self._refuse_reserved(edit.scope)
        if edit.expires_at is not Kept.KEPT:
            check_lifetime(known.created_at, edit.expires_at, self._longest)
        return await self._acted(
            await self._store.update_key(access_key_id, edit, caller.actor, version=version), since
        )

    async def revoke(self, caller: Caller, access_key_id: str, reason: RevokeReason, *, drain: bool = False) -> Acted:
        since = time.monotonic()
        await self.access_key(caller, access_key_id)
        return await self._acted(await self._store.revoke_key(access_key_id, reason, caller.actor, drain=drain), since)

    async def restore(self, caller: Caller, access_key_id: str) -> Acted:
        since = time.monotonic()
        await self.access_key(caller, access_key_id)
        return await self._acted(await self._store.restore_key(access_key_id, caller.actor), since)

    async def roll(self, caller: Caller, access_key_id: str, overlap: int) -> Rolled:
        """`overlap`: seconds for which both work, 0 = the old one is revoked."""
        since = time.monotonic()
        known = await self.access_key(caller, access_key_id)
        check_lifetime(int(self._clock()), known.expires_at, self._longest)  # the successor keeps it
        successor, secret, ended = await self._store.roll_key(access_key_id, overlap, caller.actor)
        shown, old = await self._shown_once(successor), await self._shown_once(ended)
        try:
            confirmation = await self._confirmed(since)
        except KeystoreUnavailable as error:  # the only time the secret is told
            LOG.warning("whether the end of %s is confirmed cannot be said: %s", access_key_id, error)
            confirmation = UNKNOWN
        return Rolled(shown, secret, old, confirmation)

    async def delete(self, caller: Caller, access_key_id: str) -> Confirmation:
        since = time.monotonic()
        await self.access_key(caller, access_key_id)
        await self._store.delete_key(access_key_id, caller.actor)
        confirmation = await self._confirmed(since)
        try:
            await self._keystore.forget(access_key_id)
        except KeystoreUnavailable as error:
            LOG.warning("when %s was last used is still stored: %s", access_key_id, error)
        return confirmation

    # ---- what lies around keys ----

    async def accounts(self, caller: Caller) -> list[dict[str, Any]]:
        """Those the caller sees, by name."""
        found = await self._store.list_accounts()
        return [{"name": one.name, "number": one.number} for one in found if caller.sees(one.name)]

    async def buckets(self, caller: Caller, account: str | None) -> list[BucketShown]:
        """Of one account, None = of all that the caller sees, by name. SettingsError when the store does not answer."""
        if account is not None and not caller.sees(account):
            raise NotFound(f"there is no account {account!r}")
        wanted = account or caller.account
        created = {bucket.name: bucket.created for bucket in await self._list_store()}
        claims = await self._store.list_claims(None)
        named = {name: claims.get(name) for name in sorted({*claims, *created})}
        owned = {name: claim for name, claim in named.items() if wanted in (None, _owner(claim, name in created))}
        reaching = await self._reaching(owned, wanted)
        return [
            BucketShown(
                name=name,
                account=_owner(claim, name in created),
                status="deleted" if claim is not None and not claim.held and name not in created else "active",
                created=created.get(name),
                keys=reaching[name][:KEYS_SHOWN],
                keys_in_all=len(reaching[name]),
            )
            for name, claim in owned.items()
        ]

    async def _reaching(
        self, owned: Mapping[str, BucketClaim | None], account: str | None
    ) -> dict[str, list[tuple[str, str]]]:
        """By bucket: the active keys that may do something in it."""
        reaching: dict[str, list[tuple[str, str]]] = {name: [] for name in owned}
        now, after, left = self._clock(), None, MAX_JUDGED
        while left > 0:
            page = await self._store.page_keys(account, after, 500)
            for one in page:
                if one.status is not Status.ACTIVE or one.expired(now):
                    continue
                for name in owned if one.grants is None else owned.keys() & one.grants.keys():
                    if one.permissions(name, lambda bucket: tenure(owned.get(bucket))):
                        reaching[name].append((one.access_key_id, one.label))
            if len(page) < 500:
                break
            after, left = (page[-1].created_at, page[-1].access_key_id), left - len(page)
        return reaching

    async def refusals(self, caller: Caller, account: str | None, limit: int) -> list[Refusal]:
        """The newest first. Of an account that the caller does not see: none."""
        if account is not None and not caller.sees(account):
            return []
        found = await self._keystore.refusals(account or caller.account, max(1, min(limit, MAX_REFUSALS)))
        return [Refusal(**json.loads(one.told)) for one in found]

    async def refusal(self, caller: Caller, request_id: str) -> Refusal:
        found = await self._keystore.refusal(request_id.strip().upper()[:64])
        if found is None or not caller.sees(found.account):
            raise NotFound(
                "nothing is known of that request: what was refused is kept for "
                f"{KEPT // 86_400} days, of a flood only a part, and it takes a gateway a second or two to write it"
            )
        return Refusal(**json.loads(found.told))

    # ---- ----

    async def _acted(self, access_key: AccessKey, since: float) -> Acted:
        confirmation = await self._confirmed(since)
        return Acted(await self._shown(access_key), confirmation)

    async def _confirmed(self, since: float) -> Confirmation:
        """Of what was just committed. `since`: time.monotonic() before it was."""
        confirmation = await self._keystore.confirmed(self._store.committed_seq, since)
        if self.on_confirmed is not None:
            self.on_confirmed(confirmation)
        return confirmation

    async def _shown(self, access_key: AccessKey) -> Shown:
        [shown] = await shown_keys(self._keystore, [access_key], self._clock())
        return shown

    async def _shown_once(self, access_key: AccessKey) -> Shown:
        """Beside a secret, which must be told whatever else cannot be: which buckets are not reached, then."""
        try:
            return await self._shown(access_key)
        except KeystoreUnavailable as error:
            LOG.warning("what %s does not reach is not known: %s", access_key.access_key_id, error)
            known = {**access_key_json(access_key, self._clock(), {}), "unreachable_buckets": {}}
            return {**known, **usage_json(NEVER)}

    def _refuse_reserved(self, scope: Scope) -> None:
        """InvalidInput for a name that no bucket of the store can have."""
        names = {grant.name for grant in scope.buckets} if isinstance(scope, SpecificBuckets) else set()
        reserved = self._policy.profile.reserved & names
        if reserved:
            raise InvalidInput(
                f"the store keeps {', '.join(sorted(reserved))} for itself: no bucket can have that name"
            )


def _owner(claim: BucketClaim | None, there: bool) -> str:
    """Whose the bucket is; of one that is gone, whose it was."""
    return claim.account if claim is not None and not there else tenure(claim).account
