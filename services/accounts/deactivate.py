"""The end of an account (§Legacy API, «Account deactivation»)."""

from __future__ import annotations

from contextlib import suppress

from protocol.ids import UserID
from protocol.matrix_error import MatrixError
from services.accounts.background import in_background
from services.accounts.revoke import change_account
from services.keys.device_lists import device_topics, updates_for_servers
from services.requester import Requester
from services.rooms.membership.leave import leave
from services.tenant import Tenant
from storage.accounts import DEACTIVATE, ERASE, get_leaving, has_left
from storage.devices import DELETE_DEVICES, get_devices
from storage.journal import Change, Row
from storage.membership import memberships_of_user

TO_BE_LEFT = ("join", "invite", "knock")


async def deactivate(tenant: Tenant, user_id: UserID, *, erase: bool) -> None:
    """From now on nobody can log in, and all tokens are dead; the rooms are left meanwhile, after a restart too."""
    async with tenant.database.read() as tx:
        device_ids = [device.device_id for device in await get_devices(tx, user_id)]
    rows = [Row(DEACTIVATE, (user_id, erase)), Row(DELETE_DEVICES, (user_id, device_ids))]
    if erase:
        rows.append(Row(ERASE, (user_id,)))
    change = Change(tuple(rows), await device_topics(tenant, user_id))
    await change_account(tenant, user_id, change, *updates_for_servers(user_id, device_ids))
    _leave_meanwhile(tenant, user_id)


async def go_on_leaving(tenant: Tenant) -> None:
    """Deactivated users leave the rooms that they had not left when the server was stopped."""
    async with tenant.database.read() as tx:
        leaving = await get_leaving(tx)
    for user_id in leaving:
        _leave_meanwhile(tenant, UserID(user_id))


def _leave_meanwhile(tenant: Tenant, user_id: UserID) -> None:
    in_background(tenant, _leave_all(tenant, user_id), f"{user_id} leaves all rooms")


async def _leave_all(tenant: Tenant, user_id: UserID) -> None:
    async with tenant.database.read() as tx:
        memberships = await memberships_of_user(tx, user_id, TO_BE_LEFT)
    for membership in memberships:
        # A room that does not let go today will not tomorrow: the user is not kept in the others for that.
        with suppress(MatrixError):
            await leave(tenant, Requester(user_id), membership.room_id, {})
    async with tenant.database.read() as tx:
        await has_left(tx, user_id)
