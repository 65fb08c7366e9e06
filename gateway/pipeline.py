"""The road of a request: one way, no way back. Pure: `find` and `now` are handed in."""

from collections.abc import Callable
from typing import NamedTuple

from gateway.authorize import Authorized, Policy, authorize, still_granted
from gateway.s3.addressing import Addressing
from gateway.s3.errors import Code, S3Error
from gateway.s3.operation import classify
from gateway.s3.request import RequestHead, S3Request, parse_request
from gateway.sigv4.claim import ClaimRules, check_time, read_claim
from gateway.sigv4.verify import Authenticated, authenticate, renewed
from gateway.source import NOBODY, NOWHERE, Trusted, source_address
from keystore.access_key import AccessKey, KnownKey, TenureOf
from keystore.errors import KeystoreError, NotKnownYet


class Lookups(NamedTuple):
    """What the road asks the keystore. `find`: (access key id, b"YYYYMMDD"). `record`: access key id, where no
    signature is verified. `tenure_of`: a bucket's name. All prove their answer fresh and raise KeystoreError when they
    cannot; `find` and `tenure_of` NotKnownYet too, which passes where a request is admitted: it waits and comes again.
    """

    find: Callable[[str, bytes], KnownKey | None]
    record: Callable[[str], AccessKey | None]
    tenure_of: TenureOf


class Rules(NamedTuple):
    """What the operator configured, in the form in which each stage takes it.

    `dummy_date_key`: 32 random bytes, so that an unknown access key id costs the same HMAC as a known one.
    `trusted_proxies`: whose X-Forwarded-For is believed.
    """

    addressing: Addressing
    claim: ClaimRules
    policy: Policy
    dummy_date_key: bytes
    trusted_proxies: Trusted = NOBODY


def read_request(head: RequestHead, peer: str, rules: Rules) -> S3Request:
    """The request and where it came from. `peer`: the address of its connection. S3Error as `parse_request`."""
    request = parse_request(head, rules.addressing)
    request.source = peer
    if rules.trusted_proxies is not NOBODY:
        request.source = source_address(peer, head.headers.get(b"x-forwarded-for"), rules.trusted_proxies)
    return request


def admit(head: RequestHead, lookups: Lookups, now: float, rules: Rules, peer: str = NOWHERE) -> Authorized:
    """bytes → S3Request → Claim → AccessKey → Authenticated → Authorized, or the S3Error that refuses it.

    `now`: Unix seconds. `peer`: the address of the connection. A keystore that cannot answer is 503, never 403 and
    never open.
    """
    request = read_request(head, peer, rules)
    claim = read_claim(request, rules.claim)
    check_time(claim, now)
    try:
        known = lookups.find(claim.access_key_id, claim.date)
        authenticated = authenticate(request, claim, known, now, rules.dummy_date_key)
        return authorize_holder(authenticated, lookups, rules)
    except KeystoreError as error:
        raise passed_on(error) from None


def admit_again(authorized: Authorized, lookups: Lookups, rules: Rules) -> Authorized:
    """Before anything more of an admitted request is released: is the record it was admitted under still the one, and
    are the buckets still its account's?

    What is unchanged costs a look-up for each. A changed record is judged anew, as of when the request came: a revoked,
    deleted or narrowed key raises here. A key that merely expired since lets the transfer finish.
    """
    authenticated = authorized.authenticated
    access_key = authenticated.access_key
    try:
        found = lookups.record(access_key.access_key_id)
        if found is access_key and still_granted(authorized, lookups.tenure_of):
            return authorized
        return authorize_holder(renewed(authenticated, found), lookups, rules)
    except KeystoreError as error:
        raise unavailable(error) from error


def authorize_holder(authenticated: Authenticated, lookups: Lookups, rules: Rules) -> Authorized:
    """As `authorize`; a refusal says whose request it was, for the signature has held."""
    try:
        return authorize(authenticated, rules.policy, lookups.tenure_of)
    except S3Error as error:
        access_key = authenticated.access_key
        error.holder = error.named = access_key.access_key_id
        error.account = access_key.account
        error.bucket = authenticated.request.bucket
        error.operation = _named(authenticated.request)
        raise


def _named(request: S3Request) -> str:
    """The operation, of a request that was refused; "" where it is none."""
    try:
        return classify(request).name
    except S3Error:
        return ""


def unavailable(error: KeystoreError) -> S3Error:
    """A keystore that cannot answer: 503, which clients retry."""
    return S3Error(Code.SERVICE_UNAVAILABLE, f"keystore: {error}", retry_after=1)


def passed_on(error: KeystoreError) -> Exception:
    """NotKnownYet as it is, for who can wait and ask again; anything else is 503."""
    return error if isinstance(error, NotKnownYet) else unavailable(error)
