"""Stub until merged."""

from keystore.confirmation import Confirmation
from keystore.sealing import KekRing, Secret


async def confirm_postgres(url: Secret, ring: KekRing, seq: int, *, since: float, settle: float = 2.0) -> Confirmation:
    raise NotImplementedError
