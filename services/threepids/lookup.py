"""Whose an address is."""

from __future__ import annotations

from protocol.ids import UserID
from protocol.matrix_error import MatrixError
from services.tenant import Tenant
from services.threepids.addresses import canonical
from storage.threepids import owner_of


async def user_with(tenant: Tenant, medium: str, address: str) -> UserID | None:
    """The user of ours whose address it is; None for what is nobody's, or no address."""
    try:
        address = canonical(medium, address)
    except MatrixError:
        return None
    async with tenant.database.read() as tx:
        owner = await owner_of(tx, medium, address)
    return None if owner is None else UserID(owner)
