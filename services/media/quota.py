"""How much one user, and all together, may keep here (`media.user_quota`, `media.total_quota`).

Like the other guards it is looked at before, and may be passed by what runs at the same moment.
"""

from __future__ import annotations

from protocol.ids import UserID
from protocol.matrix_error import ResourceLimitExceeded, UserLimitExceeded
from services.settings import MINUTE
from services.tenant import Tenant
from storage import media_usage


async def check_quota(tenant: Tenant, user_id: UserID, size: int) -> None:
    """Raises UserLimitExceeded or ResourceLimitExceeded when so many bytes more would be too many."""
    quota, total = tenant.settings.media.user_quota, tenant.settings.media.total_quota
    if quota is not None:
        async with tenant.database.read() as tx:
            used = await media_usage.bytes_of_user(tx, user_id)
        if used + size > quota:
            # «The error response MUST have an info_uri field»
            info_uri = tenant.settings.guards.info_uri or tenant.settings.public_base_url
            message = f"Your files may have {quota} bytes together; {used} are taken"
            raise UserLimitExceeded(message, extra={"info_uri": info_uri})
    if total is not None:
        now = tenant.clock.now()
        used = await tenant.stored_bytes.ask("all", lambda: _bytes_of_all(tenant), now, lambda _: MINUTE)
        if used + size > total:
            raise ResourceLimitExceeded("This server keeps as many files as it can")


async def _bytes_of_all(tenant: Tenant) -> int:
    async with tenant.database.read() as tx:
        return await media_usage.bytes_of_all(tx)
