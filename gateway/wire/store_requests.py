"""How requests to the store are signed: as which account, and for which of its addresses. It sends nothing."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from gateway.authorize import Authorized
from gateway.forward import SentBody, UpstreamRequest, UpstreamTarget, plan, plan_head_bucket, plan_list_buckets
from gateway.pipeline import passed_on, unavailable
from gateway.sigv4.signing import UpstreamSigner
from gateway.wire.pool import UpstreamPool
from keystore.derived import StoreCredential
from keystore.errors import KeystoreError

MAX_SIGNERS: Final = 10_000  # accounts with a credential of their own; then all begin anew, which costs 20 µs each


class Signers:
    """Who signs for an account: the gateway's own credential, or one that the account brought."""

    __slots__ = ("_credential_of", "_gateways", "_own", "_region")

    def __init__(
        self,
        gateways: UpstreamSigner,
        credential_of: Callable[[str], StoreCredential | None],
        region: bytes,
    ) -> None:
        self._gateways = gateways
        self._credential_of = credential_of
        self._region = region
        self._own: dict[str, tuple[StoreCredential, UpstreamSigner]] = {}

    def of(self, account: str) -> UpstreamSigner:
        """S3Error SERVICE_UNAVAILABLE when the keystore cannot answer; NotKnownYet."""
        try:
            own = self._credential_of(account)
        except KeystoreError as error:
            raise passed_on(error) from None
        if own is None:
            return self._gateways
        kept = self._own.get(account)
        if kept is not None and kept[0] is own:
            return kept[1]
        return self._remember(account, own)

    def own_id_of(self, account: str) -> str:
        """The access key id of the credential it brought, as it was last used; "" for the gateway's."""
        kept = self._own.get(account)
        return "" if kept is None else kept[0].access_key_id

    def _remember(self, account: str, own: StoreCredential) -> UpstreamSigner:
        if len(self._own) >= MAX_SIGNERS:
            self._own.clear()
        signer = UpstreamSigner(own, self._region)
        self._own[account] = (own, signer)
        return signer


class Upstream:
    """The store: where it is, how requests to it are signed for which account, and the connections to it. Where its
    addresses have names of their own, `target` is the first; a request is signed for the one it most likely goes to."""

    __slots__ = ("_targets", "pool", "signers", "target")

    def __init__(self, target: UpstreamTarget, signers: Signers, pool: UpstreamPool, hosts: Sequence[bytes]) -> None:
        self.target = target
        self._targets = {host: target._replace(host_header=host, one_of_several=True) for host in hosts if host}
        self.signers = signers
        self.pool = pool

    def plan(
        self,
        authorized: Authorized,
        body: SentBody | None,
    ) -> UpstreamRequest:
        target = self.target if not self._targets else self._likely()
        return plan(authorized, target, self.signers.of(authorized.access_key.account), time.time(), body)

    def _likely(self) -> UpstreamTarget:
        host = self.pool.host()
        return self._targets[host] if host else next(iter(self._targets.values()))

    def signed_for(self, request: UpstreamRequest, host: bytes) -> UpstreamRequest:
        """For another address than the one it was planned for. S3Error SERVICE_UNAVAILABLE without a key of the day."""
        try:
            return request.towards(host, time.time())
        except KeystoreError as error:
            raise unavailable(error) from None

    def plan_list_buckets(self, authorized: Authorized, continuation_token: str | None) -> UpstreamRequest:
        signer = self.signers.of(authorized.access_key.account)
        target = self.target if not self._targets else self._likely()
        return plan_list_buckets(target, signer, time.time(), continuation_token, authorized.request.trace)

    def plan_head_bucket(self, authorized: Authorized, owner: str) -> UpstreamRequest:
        """Asked as the account whose the name is now: accounts with credentials of their own may see other buckets."""
        target = self.target if not self._targets else self._likely()
        return plan_head_bucket(authorized.request, target, self.signers.of(owner), time.time())
