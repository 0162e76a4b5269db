"""Rejecting an invite to a room of other servers, or taking a knock back (§Leaving Rooms).

The server that invited is told (make_leave, send_leave). If it does not answer, the invite is dropped all the same, with a
leave event of our own that nobody else gets to see.
"""

from __future__ import annotations

import asyncio

from protocol.build import EventDraft, build_event
from protocol.events import MEMBER, Event
from protocol.json import JsonObject
from protocol.matrix_error import Unknown
from services.ports import RemoteFailed
from services.rooms.membership.from_template import chosen_id, event_from
from services.rooms.membership.outlier import put_outlier
from services.rooms.membership.whom_to_ask import whom_to_ask
from services.tenant import Tenant
from storage.events import event_by_id
from storage.membership import Membership
from storage.servers.handshakes import remote_room

MAX_ASKED = 3
PATIENCE = 15.0  # seconds: the user wants the invite gone, whoever is down


async def decline(tenant: Tenant, membership: Membership, content: JsonObject) -> None:
    """Ends an invite or a knock of a room that we are not in; `content` are further members of the event: `reason`."""
    room_id, user_id = membership.room_id, membership.user_id
    draft = EventDraft(MEMBER, {**content, "membership": "leave"}, user_id)
    for server in (await whom_to_ask(tenant, room_id, user_id))[:MAX_ASKED]:
        try:
            async with asyncio.timeout(PATIENCE):
                template = await tenant.remotes.make_leave(server, room_id, user_id)
                event = event_from(tenant, server, template, room_id, user_id, draft)
                await tenant.remotes.send_leave(server, room_id, event)
        except (RemoteFailed, TimeoutError):
            continue
        await put_outlier(tenant, event, server)
        return
    await drop(tenant, membership, content)


async def drop(tenant: Tenant, membership: Membership, content: JsonObject) -> None:
    """Ends an invite or a knock here, without telling anybody else."""
    async with tenant.database.read() as tx:
        stored = await event_by_id(tx, membership.event_id)
        known = await remote_room(tx, membership.room_id)
    if stored is None:
        raise Unknown("The invite is lost", status=500)
    version = known.room_version if known is not None else stored.event.version
    invite = Event.from_trusted(stored.event.json, membership.event_id, version, membership.room_id)
    leave = _out_of_band(tenant, invite, membership, content)
    await put_outlier(tenant, leave, known.server if known is not None else tenant.name)


def _out_of_band(tenant: Tenant, invite: Event, membership: Membership, content: JsonObject) -> Event:
    return build_event(
        invite.version,
        EventDraft(MEMBER, {**content, "membership": "leave"}, membership.user_id),
        room_id=membership.room_id,
        sender=membership.user_id,
        prev_events=[invite],
        auth_events=[invite],
        depth=invite.depth + 1,
        origin_server_ts=tenant.clock.now(),
        key=tenant.signing_key,
        server_name=tenant.name,
        event_id=None if invite.version.event_id_is_hash else chosen_id(tenant),
    )
