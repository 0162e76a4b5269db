"""What an account may do: locked ones nothing but log out, suspended ones only read."""

from __future__ import annotations

from protocol.ids import UserID
from protocol.matrix_error import NotFound, UserSuspended
from services.accounts.revoke import change_account
from services.requester import Requester
from services.tenant import Tenant
from storage.accounts import SET_STANDING, get_account
from storage.journal import Change, Row


def refuse_suspended(requester: Requester) -> None:
    """Raises UserSuspended: for what a suspended user may not do (§Account suspension)."""
    if requester.is_suspended:
        raise UserSuspended


async def set_standing(tenant: Tenant, user_id: UserID, *, locked: bool, suspended: bool) -> None:
    """Locks or suspends the account, or frees it again; its tokens stay. Raises NotFound."""
    async with tenant.database.read() as tx:
        if await get_account(tx, user_id) is None:
            raise NotFound("There is no such user")
    await change_account(tenant, user_id, Change((Row(SET_STANDING, (user_id, locked, suspended)),)))
