"""`Acts` in memory, for pages: one gateway that always confirms, buckets that are listed by hand. It keeps the contract
of `gateway.console.acts` and no more; whether an act really ends a key is proven elsewhere."""

import secrets
from dataclasses import replace
from typing import Any

from gateway.console.acts import (
    Acted,
    Acts,
    BucketShown,
    Caller,
    KeyPage,
    Made,
    Once,
    Rolled,
    Shown,
    WantedKeys,
)
from gateway.console.site import Refused, SignedIn
from gateway.refusals import Refusal
from gateway.verdict import Question, Verdict
from keystore.access_key import AccessKey, RevokeReason, access_key_json, rfc3339
from keystore.access_key import revoked as revoked_key
from keystore.confirmation import Confirmation
from keystore.errors import Conflict, KeystoreError, NotFound
from keystore.key_acts import Edit, restored, rolled, updated
from keystore.scope import AllBuckets
from keystore.sealing import Secret
from keystore.store import NewKey, draft_key
from keystore.usage import NEVER, Usage, usage_json

CONFIRMED = Confirmation(3, 3, 0, (), 2, 0, (), 14)
DAY = 86_400


class FakeActs(Acts):
    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.keys: dict[str, AccessKey] = {}
        self.usage: dict[str, Usage] = {}
        self.listed: list[tuple[str, str]] = []  # name, account
        self.names = ["default"]
        self.told: list[Refusal] = []
        self.log: dict[str, list[dict[str, Any]]] = {}
        self.made: dict[str, tuple[str, str]] = {}
        self.secrets: list[str] = []
        self.callers: list[Caller] = []
        self.confirmation = CONFIRMED
        self.broken: KeystoreError | None = None

    # ---- for tests ----

    def add(self, label: str, scope: Any = None, **fields: Any) -> AccessKey:
        now = int(self.clock())
        new = NewKey(fields.pop("account", "default"), label, scope or AllBuckets())
        made = replace(draft_key(new, f"NQAK{secrets.token_hex(8)}", now, "operator@test"), **fields)
        self.keys[made.access_key_id] = made
        self._note(made.access_key_id, "key.create", "operator@test")
        return made

    def _note(self, access_key_id: str, kind: str, actor: str) -> None:
        entry = {"at": rfc3339(int(self.clock())), "kind": kind, "actor": actor, "body": {}}
        self.log.setdefault(access_key_id, []).append(entry)

    def _seen(self, caller: Caller, access_key_id: str) -> AccessKey:
        self.callers.append(caller)
        if self.broken:
            raise self.broken
        found = self.keys.get(access_key_id)
        if found is None or not caller.sees(found.account):
            raise NotFound(f"there is no access key {access_key_id}")
        return found

    def _shown(self, access_key: AccessKey) -> Shown:
        usage = self.usage.get(access_key.access_key_id, NEVER)
        return {**access_key_json(access_key, self.clock(), {}), "unreachable_buckets": {}, **usage_json(usage)}

    def _acted(self, caller: Caller, after: AccessKey, kind: str) -> Acted:
        self.keys[after.access_key_id] = after
        self._note(after.access_key_id, f"key.{kind}", caller.actor)
        return Acted(self._shown(after), self.confirmation)

    def _secret(self) -> Secret:
        self.secrets.append(secrets.token_hex(20))
        return Secret(self.secrets[-1])

    # ---- the contract ----

    async def create(self, caller: Caller, new: NewKey, once: Once | None = None) -> Made:
        if not caller.sees(new.account):
            raise NotFound(f"there is no account {new.account}")
        if once is not None and once.request_id in self.made:
            made, digest = self.made[once.request_id]
            if digest != once.digest:
                raise Conflict("the same Idempotency-Key came with another wish")
            return Made(self._shown(self.keys[made]), None)
        access_key = draft_key(new, f"NQAK{secrets.token_hex(8)}", int(self.clock()), caller.actor)
        if once is not None:
            self.made[once.request_id] = access_key.access_key_id, once.digest
        return Made(self._acted(caller, access_key, "create").shown, self._secret())

    async def page(self, caller: Caller, wanted: WantedKeys, cursor: str | None, limit: int) -> KeyPage:
        if self.broken:
            raise self.broken
        found = [one for one in reversed(self.keys.values()) if caller.sees(one.account) and self._wanted(one, wanted)]
        begin = int(cursor or 0)
        end = begin + limit
        shown = [self._shown(one) for one in found[begin:end]]
        return KeyPage(shown, str(end) if end < len(found) else None)

    def _wanted(self, one: AccessKey, wanted: WantedKeys) -> bool:
        shown, now = self._shown(one), self.clock()
        used = self.usage.get(one.access_key_id, NEVER).used
        idle = now - (used.at if used else one.created_at)
        expiring = shown["status"] == "active" and one.expires_at is not None and one.expires_at - now < 7 * DAY
        status = {
            None: True,
            "active": shown["status"] == "active",
            "revoked": shown["status"] != "active",
            "expiring": expiring,
        }
        return (
            wanted.account in (None, one.account)
            and status[wanted.status]
            and (wanted.q is None or wanted.q.lower() in one.label.lower() or wanted.q == one.access_key_id)
            and (wanted.bucket is None or one.grants is None or wanted.bucket in one.grants)
            and (wanted.unused_days is None or idle >= wanted.unused_days * DAY)
            and (not wanted.all_buckets or one.grants is None)
        )

    async def key(self, caller: Caller, access_key_id: str) -> Shown:
        return self._shown(self._seen(caller, access_key_id))

    async def update(self, caller: Caller, access_key_id: str, edit: Edit, version: int | None = None) -> Acted:
        known = self._seen(caller, access_key_id)
        if version is not None and version != known.version:
            raise Conflict(f"{access_key_id} was changed meanwhile")
        return self._acted(caller, updated(known, edit, {}, int(self.clock())), "update")

    async def revoke(self, caller: Caller, access_key_id: str, reason: RevokeReason, *, drain: bool = False) -> Acted:
        known = self._seen(caller, access_key_id)
        after = revoked_key(known, int(self.clock()), caller.actor, reason, drain=drain)
        return self._acted(caller, after, "revoke")

    async def restore(self, caller: Caller, access_key_id: str) -> Acted:
        return self._acted(caller, restored(self._seen(caller, access_key_id)), "restore")

    async def roll(self, caller: Caller, access_key_id: str, overlap: int) -> Rolled:
        known = self._seen(caller, access_key_id)
        both = rolled(known, f"NQAK{secrets.token_hex(8)}", overlap, int(self.clock()), caller.actor)
        ended = self._acted(caller, both.ended, "roll").shown
        return Rolled(self._acted(caller, both.successor, "create").shown, self._secret(), ended, self.confirmation)

    async def delete(self, caller: Caller, access_key_id: str) -> Confirmation:
        self._seen(caller, access_key_id)
        del self.keys[access_key_id]
        return self.confirmation

    async def events(self, caller: Caller, access_key_id: str, limit: int) -> list[dict[str, Any]]:
        self._seen(caller, access_key_id)
        return self.log.get(access_key_id, [])[::-1][:limit]

    async def verdict(self, caller: Caller, access_key_id: str, question: Question) -> Verdict:
        reached = self._seen(caller, access_key_id).granted(question.bucket)
        if question.operation.permission in reached:
            return Verdict(True, f"bucket {question.bucket}")
        return Verdict(False, f"the bucket {question.bucket} is not in the scope")

    async def buckets(self, caller: Caller, account: str | None) -> list[BucketShown]:
        if self.broken:
            raise self.broken
        return [
            self._bucket(name, owner) for name, owner in self.listed if caller.sees(owner) and account in (None, owner)
        ]

    def _bucket(self, name: str, owner: str) -> BucketShown:
        reaching = [
            (one.access_key_id, one.label)
            for one in self.keys.values()
            if one.account == owner and self._shown(one)["status"] == "active" and one.granted(name)
        ]
        return BucketShown(name, owner, "active", "2026-05-04T09:00:00Z", reaching[:20], len(reaching))

    async def accounts(self, caller: Caller) -> list[dict[str, Any]]:
        return [{"name": name} for name in self.names if caller.sees(name)]

    async def refusals(self, caller: Caller, account: str | None, limit: int) -> list[Refusal]:
        return [one for one in self.told if caller.sees(one.account) and account in (None, one.account)][:limit]

    async def refusal(self, caller: Caller, request_id: str) -> Refusal:
        for one in self.told:
            if one.request_id == request_id and caller.sees(one.account):
                return one
        raise NotFound(f"nothing is known of {request_id}")


class FakeSignIn:
    """Tokens by their text; links work once. `ended`: ids of tokens that open nothing any more."""

    def __init__(self) -> None:
        self.tokens: dict[str, SignedIn] = {}
        self.links: dict[str, SignedIn] = {}
        self.ended: set[str] = set()
        self.asked: list[str] = []

    async def token(self, text: str, address: str) -> SignedIn:
        self.asked.append(address)
        if text not in self.tokens or self.tokens[text].token_id in self.ended:
            raise Refused("That token opens nothing here.")
        return self.tokens[text]

    async def link(self, text: str, address: str) -> SignedIn:
        self.asked.append(address)
        if text not in self.links:
            raise Refused("That link opens nothing: it works once, and not for long.")
        return self.links.pop(text)

    async def still(self, token_id: str) -> bool:
        return token_id not in self.ended
