"""Rooms in the directories of third-party networks, which application services keep."""

from __future__ import annotations

from protocol.ids import RoomID
from protocol.matrix_error import Forbidden, InvalidParam
from services.appservices.interest import Interest
from services.appservices.registry import Appservice
from services.directory import is_in_directory
from services.requester import Requester
from services.tenant import Tenant
from storage.directory import publish, unpublish
from storage.timeline import NEWEST

MAX_NETWORK = 255


def instance_id(appservice: Appservice, network: str) -> str:
    """What clients name a network of an application service by: unique on this server."""
    return f"{appservice.id}|{network}"


async def set_in_network(
    tenant: Tenant, requester: Requester, network: str, room_id: RoomID, published: bool
) -> None:
    """Puts the room into the directory of the application service's network, or takes it out; raises NotFound, or
    Forbidden for a room that it has nothing to do with.
    """
    appservice = tenant.appservices.by_id(requester.appservice or "")
    if appservice is None:
        raise Forbidden("This is for application services only")
    if len(network) > MAX_NETWORK:
        raise InvalidParam("The network's ID is too long")
    await is_in_directory(tenant, room_id)  # is there such a room?
    if not (await Interest(tenant, appservice).windows((room_id,), NEWEST))[room_id].is_open:
        raise Forbidden("The application service has nothing to do with this room")
    name = instance_id(appservice, network)
    async with tenant.database.read() as tx:
        await (publish(tx, room_id, name) if published else unpublish(tx, room_id, name))
