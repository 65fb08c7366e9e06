"""What the words after an option mean: scopes. The same for every command that takes them."""

from typing import Final

from keystore.errors import InvalidInput
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Rights, Scope, SpecificBuckets, clean_prefix

NEVER: Final = "never"  # of an expiry


def read_scope(
    buckets: list[str], rights: Rights | None, prefix: str | None, *, everything: bool, nothing: bool | None = None
) -> Scope:
    """InvalidInput unless exactly one of All Buckets, no bucket and a list of names was chosen: a scope is never
    assumed. `nothing`: None where a command does not offer it.

    `rights` and `prefix` are for every bucket named.
    """
    if everything + bool(buckets) + bool(nothing) != 1:
        offered = "--all-buckets" if nothing is None else "--all-buckets, --no-buckets"
        raise InvalidInput(f"choose one of {offered} and one or more --bucket NAME")
    if prefix is not None and not buckets:
        raise InvalidInput("--prefix is for named buckets; choose them with --bucket NAME")
    if nothing:
        if rights is not None:
            raise InvalidInput("--rights are those in buckets; a key for no bucket has none")
        return NoBuckets()
    if everything:
        return AllBuckets(rights or Rights.FULL)
    within = clean_prefix(prefix) if prefix is not None else ""
    if prefix is not None and not within:
        raise InvalidInput("--prefix is empty; leave it out to grant the whole bucket")
    return SpecificBuckets(tuple(BucketGrant(name, rights or Rights.READ_WRITE, within) for name in buckets))
