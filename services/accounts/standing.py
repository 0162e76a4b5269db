"""What an account may do: locked ones nothing but log out, suspended ones only read."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import UserID, server_of
from protocol.matrix_error import Forbidden, InvalidParam, NotFound, UserSuspended
from services.accounts.revoke import change_account
from services.requester import Requester
from services.tenant import Tenant
from storage.accounts import SET_STANDING, get_account
from storage.journal import Change, Row


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether an account is locked, and whether it is suspended."""

    locked: bool
    suspended: bool


def refuse_suspended(requester: Requester) -> None:
    """Raises UserSuspended: for what a suspended user may not do (§Account suspension)."""
    if requester.is_suspended:
        raise UserSuspended


async def standing_for(tenant: Tenant, requester: Requester, user_id: UserID) -> Standing:
    """The standing of a user of this server, for its administrators; raises Forbidden, InvalidParam or NotFound."""
    # «servers MUST ensure that authorisation is checked prior to trying to do account lookups»
    if not requester.is_admin:
        raise Forbidden("You are not an administrator of this server")
    if server_of(user_id) != tenant.name:
        raise InvalidParam("The user does not belong to this server")
    async with tenant.database.read() as tx:
        account = await get_account(tx, user_id)
    if account is None or account.deactivated:
        raise NotFound("There is no such user")
    if account.is_admin and user_id != requester.user_id:
        raise Forbidden("The user is an administrator too")
    return Standing(account.locked, account.suspended)


async def change_standing(
    tenant: Tenant,
    requester: Requester,
    user_id: UserID,
    *,
    locked: bool | None = None,
    suspended: bool | None = None,
) -> None:
    """Changes what is given; raises as `standing_for`, and Forbidden for the requester's own account."""
    now = await standing_for(tenant, requester, user_id)
    if user_id == requester.user_id:
        raise Forbidden("You may not do this to yourself")
    await set_standing(
        tenant,
        user_id,
        locked=now.locked if locked is None else locked,
        suspended=now.suspended if suspended is None else suspended,
    )


async def set_standing(tenant: Tenant, user_id: UserID, *, locked: bool, suspended: bool) -> None:
    """Locks or suspends the account, or frees it again; its tokens stay. Raises NotFound."""
    async with tenant.database.read() as tx:
        if await get_account(tx, user_id) is None:
            raise NotFound("There is no such user")
    await change_account(tenant, user_id, Change((Row(SET_STANDING, (user_id, locked, suspended)),)))
