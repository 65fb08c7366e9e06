"""Does one access key reach no more than another? What a key makes, tags, restores or deletes reaches no more than it.

It is asked of the key that acts, never of whoever made that key or of its account: MinIO's CVE-2025-62506 was that a
restricted key made another one for the same user without its own restrictions. Pure.
"""

from typing import assert_never

from keystore.access_key import AccessKey
from keystore.scope import GRANTS, AllBuckets, BucketGrant, NoBuckets, Permission, SpecificBuckets
from keystore.source_cidrs import Network


def beyond(access_key: AccessKey, limit: AccessKey) -> str:
    """In what `access_key` reaches more than `limit`, as the end of "it …"; "" when it reaches no more.

    Buckets count in the generations they are granted in: a name that was another bucket when `limit` was given it is
    not what `limit` reaches.
    """
    if access_key.account != limit.account:
        return "belongs to another account"
    if access_key.manage_keys and not limit.manage_keys:
        return "manages keys"
    if limit.expires_at is not None and (access_key.expires_at is None or access_key.expires_at > limit.expires_at):
        return "lives longer"
    if limit.networks and not _narrower(access_key.networks, limit.networks):
        return "is good from more networks"
    return _scope_beyond(access_key, limit)


def _narrower(networks: tuple[Network, ...], within: tuple[Network, ...]) -> bool:
    """None at all is everywhere."""
    return bool(networks) and all(any(_inside(network, other) for other in within) for network in networks)


def _inside(network: Network, other: Network) -> bool:
    return network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]  # of one version


def _scope_beyond(access_key: AccessKey, limit: AccessKey) -> str:
    scope = access_key.scope
    match scope:
        case NoBuckets():
            return ""
        case AllBuckets(rights=rights):
            return "" if limit.grants is None and GRANTS[rights] <= limit.everywhere else "reaches all buckets"
        case SpecificBuckets(buckets=grants):
            further = [grant.name for grant in grants if not _covered(grant, limit)]
            return f"reaches more in {', '.join(further)}" if further else ""
        case _:
            assert_never(scope)


def _covered(grant: BucketGrant, limit: AccessKey) -> bool:
    if not GRANTS[grant.rights] - {Permission.CREATE_BUCKET} <= limit.granted(grant.name):
        return False
    if limit.grants is None:
        return True
    same_bucket = limit.generations.get(grant.name, 0) == grant.generation
    return same_bucket and limit.reaches(grant.name, grant.prefix.encode())
