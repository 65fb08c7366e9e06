"""GetCallerIdentity and GetAccessKeyInfo, of STS. Each returns the Result of its answer."""

from gateway.iam.asked import Asked
from gateway.iam.documents import fields
from gateway.iam.names import user_arn, user_id, user_name


async def get_caller_identity(asked: Asked) -> str:
    """Any key may ask who it is."""
    number, name = await asked.number(), user_name(asked.caller.label)
    return fields({"Arn": user_arn(number, name), "UserId": user_id(number, name), "Account": number})


async def get_access_key_info(asked: Asked) -> str:
    """Which account a key belongs to: of itself, and of those the caller manages."""
    access_key_id = asked.access_key_id()
    if not asked.names_itself(access_key_id):
        asked.require_manager()
        await asked.key(access_key_id)
    return fields({"Account": await asked.number()})
