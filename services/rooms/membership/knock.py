"""Knocking: asking to be invited, to a room here or (§Knocking Rooms) through a server that is in it."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.build import EventDraft
from protocol.events import MEMBER
from protocol.ids import RoomID, ServerName
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden
from services.accounts.standing import refuse_suspended
from services.requester import Requester
from services.rooms.membership.candidates import first_answer
from services.rooms.membership.from_template import SUPPORTED, event_from
from services.rooms.membership.outlier import put_outlier
from services.rooms.membership.profile import filled_in
from services.rooms.membership.stripped import shown
from services.rooms.membership.whom_to_ask import whom_to_ask
from services.rooms.send import send_event
from services.tenant import Tenant
from storage.membership import membership_of
from storage.servers.handshakes import residence


async def knock(
    tenant: Tenant, requester: Requester, room_id: RoomID, content: JsonObject, via: Iterable[str] = ()
) -> None:
    """Returns when the requester has knocked. Raises NotFound for a room that nobody knows, Forbidden where the join rules
    forbid it, and what other servers' failures come to (candidates.py)."""
    refuse_suspended(requester)
    draft = EventDraft(MEMBER, {**content, "membership": "knock"}, requester.user_id)
    async with tenant.database.read() as tx:
        here = await residence(tx, room_id)
    if not here.is_resident:
        servers = await whom_to_ask(tenant, room_id, requester.user_id, via)
        if servers or here.room_version is None:
            await _knock_through(tenant, servers, requester, room_id, await filled_in(tenant, draft))
            return
    async with tenant.heads.locked(room_id) as head:
        if not head.room_version.knock_join_rule:
            raise Forbidden("This room takes no knocks")
    await send_event(tenant, requester, room_id, draft)


async def _knock_through(
    tenant: Tenant, servers: list[ServerName], requester: Requester, room_id: RoomID, draft: EventDraft
) -> None:
    user_id = requester.user_id
    async with tenant.database.read() as tx:
        before = await membership_of(tx, room_id, user_id)
    if before is not None and before.membership in ("invite", "ban"):
        raise Forbidden("You have no reason to knock, or may not")

    async def ask(server: ServerName) -> None:
        template = await tenant.remotes.make_knock(server, room_id, user_id, SUPPORTED)
        event = event_from(tenant, server, template, room_id, user_id, draft)
        state = await tenant.remotes.send_knock(server, room_id, event)
        seen = await shown(tenant, event.version, room_id, state)
        await put_outlier(tenant, event, server, seen.for_client(user_id))

    await first_answer(servers, ask)
