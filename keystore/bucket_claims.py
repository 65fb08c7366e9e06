"""Who a bucket belongs to, and since when: one claim for each name that was ever created, deleted or assigned here.

Pure. A bucket name that nobody claimed is the default account's. Each claim of a name by an account has a generation: a
scope that names the bucket grants only in the generation it was granted in. The same account that makes its deleted
bucket again keeps it; any other one begins a new one. So scopes need not be edited when a name changes hands.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NamedTuple

from keystore.accounts import DEFAULT_ACCOUNT
from keystore.errors import Conflict, InvalidInput
from keystore.scope import BUCKET_NAME


class ClaimState(Enum):
    HELD = "held"
    RELEASED = "released"  # the bucket was deleted: the name is free


class Tenure(NamedTuple):
    """Whose a bucket is, and in which generation: what a grant is held against."""

    account: str
    generation: int


UNCLAIMED: Final = Tenure(DEFAULT_ACCOUNT, 0)  # of every name without a claim


@dataclass(frozen=True, slots=True)
class BucketClaim:
    """One verified record. `account`: who holds the name, or held it last. `changed_at`: Unix seconds, UTC."""

    name: str
    account: str
    generation: int
    state: ClaimState
    changed_at: int
    changed_by: str
    version: int = 1

    def __post_init__(self) -> None:
        if not BUCKET_NAME.match(self.name):
            raise InvalidInput(f"{self.name!r} is not a bucket name: 3-63 of a-z, 0-9, '.' and '-'")
        if self.generation < 0 or self.version < 1:
            raise InvalidInput("a claim has a generation from 0 and a version from 1")

    @property
    def held(self) -> bool:
        return self.state is ClaimState.HELD


def generation_for(claim: BucketClaim | None, account: str) -> int:
    """In which generation `account` holds the name, or would if it claimed it now."""
    if claim is None:
        return UNCLAIMED.generation if account == DEFAULT_ACCOUNT else UNCLAIMED.generation + 1
    return claim.generation if claim.account == account else claim.generation + 1


def tenure(claim: BucketClaim | None) -> Tenure:
    """Of a name with this claim, or without one. What nobody holds is the default account's."""
    if claim is None:
        return UNCLAIMED
    owner = claim.account if claim.held else DEFAULT_ACCOUNT
    return Tenure(owner, generation_for(claim, owner))


def claimed(claim: BucketClaim | None, name: str, account: str, at: int, by: str) -> BucketClaim:
    """The claim after `account` took the name. Always a new version, also where it held the name already.

    Raises Conflict when another account holds it, InvalidInput for a name that is none.
    """
    if claim is not None and claim.held and claim.account != account:
        raise Conflict(f"the bucket name {name} belongs to another account")
    return assigned(claim, name, account, at, by)


def assigned(claim: BucketClaim | None, name: str, account: str, at: int, by: str) -> BucketClaim:
    """The claim after the operator gave the name to `account`, whoever holds it. InvalidInput as `claimed`."""
    version = 1 if claim is None else claim.version + 1
    return BucketClaim(name, account, generation_for(claim, account), ClaimState.HELD, at, by, version)


def released(claim: BucketClaim | None, name: str, at: int, by: str) -> BucketClaim:
    """The claim after the bucket was deleted; without a claim it was the default account's."""
    if claim is None:
        return BucketClaim(name, *UNCLAIMED, ClaimState.RELEASED, at, by)
    return replace(claim, state=ClaimState.RELEASED, changed_at=at, changed_by=by, version=claim.version + 1)


def undone(claim: BucketClaim, before: BucketClaim | None, at: int, by: str) -> BucketClaim:
    """The claim after the store refused to make the bucket: who had the name `before`, in that generation, has it."""
    if before is None:
        return BucketClaim(claim.name, *UNCLAIMED, ClaimState.RELEASED, at, by, claim.version + 1)
    return replace(before, changed_at=at, changed_by=by, version=claim.version + 1)
