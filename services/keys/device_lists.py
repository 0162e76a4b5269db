"""Tells whom it concerns that a user's devices, keys or signatures have changed."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.ids import UserID
from services.sync.token import Token
from services.tenant import Tenant
from storage import topics
from storage.devices import get_rooms_to_tell
from storage.journal import Change, Row
from storage.keys.device_changes import APPEND_DEVICE_CHANGE
from storage.keys.device_lists import APPEND_DEVICE_LIST_CHANGE, device_list_changes
from storage.timeline import NEWEST


async def device_topics(tenant: Tenant, user_id: UserID) -> tuple[str, ...]:
    """Who is to look again when the user's devices have changed: the user's rooms, and the user."""
    async with tenant.database.read() as tx:
        rooms = await get_rooms_to_tell(tx, user_id)
    return (*map(topics.device_lists, rooms), topics.device_lists(user_id), topics.user(user_id))


async def device_list_changed(tenant: Tenant, user_id: UserID, names: Iterable[str], *rows: Row) -> None:
    """Writes the rows; all who share a room with the user are told, and the user's own devices.

    `names` are the devices that have changed, and CROSS_SIGNING when the user's cross-signing keys have.
    """
    row = Row(APPEND_DEVICE_LIST_CHANGE, (user_id,))
    change = Change((*rows, row), await device_topics(tenant, user_id))
    await tenant.journal.append(change, *updates_for_servers(user_id, names))


def updates_for_servers(user_id: UserID, names: Iterable[str]) -> list[Change]:
    """To be written behind what has changed the devices (or CROSS_SIGNING): an update, with a number, for each."""
    return [Change((Row(APPEND_DEVICE_CHANGE, (user_id, name)),)) for name in dict.fromkeys(names)]


async def key_counts_changed(tenant: Tenant, *users: str) -> None:
    """The users' devices look at what they have left; there is no row, for /sync always tells how many keys there are."""
    await tenant.journal.append(Change((), tuple(topics.user(user_id) for user_id in users)))


async def changes_between(
    tenant: Tenant, user_id: UserID, since: Token, upto: Token
) -> tuple[list[str], list[str]]:
    """Whose devices the user must look at again, by what happened between two points of /sync; and whose not any more.

    Only the last change of each user is known. One that is later than `upto` may hide one before: so it counts as well.
    """
    if since.position >= upto.position:
        return [], []
    async with tenant.database.read() as tx:
        return await device_list_changes(tx, user_id, since.position, NEWEST)
