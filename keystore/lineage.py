"""The keys that replaced one another, by rolls. Knows no database."""

from keystore.access_key import AccessKey
from keystore.errors import NotFound
from keystore.store import Store


async def successors(store: Store, access_key: AccessKey) -> list[AccessKey]:
    """The keys that replaced it, one after the other, whatever their state; no further than one that is gone."""
    found: list[AccessKey] = []
    seen = {access_key.access_key_id}
    following = access_key.replaced_by
    while following is not None and following not in seen:
        seen.add(following)
        try:
            successor = await store.get_key(following)
        except NotFound:
            break
        found.append(successor)
        following = successor.replaced_by
    return found
