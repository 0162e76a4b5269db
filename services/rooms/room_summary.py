"""The summary of one room, known here or elsewhere (§Room summaries)."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.ids import RoomID, ServerName
from protocol.json import JsonObject
from protocol.matrix_error import NotFound
from services.requester import Requester
from services.rooms.spaces import told_of
from services.rooms.summary import Summary, asked_for, known_summaries
from services.tenant import Tenant
from storage.summaries import memberships_in


async def room_summary(
    tenant: Tenant, requester: Requester | None, room_id: RoomID, via: Sequence[ServerName]
) -> JsonObject:
    """The room's summary, with the requester's membership; raises NotFound for rooms that there are not or that the
    requester may not know of. For nobody in particular other servers are not asked.
    """
    async with tenant.database.read() as tx:
        summary: Summary | None = (await known_summaries(tx, (room_id,))).get(room_id)
    if summary is None and requester is not None:
        told = await told_of(tenant, room_id, via, suggested_only=False)
        summary = told.summary if told is not None else None
    if summary is None:
        raise NotFound("There is no such room, or you may not see it")
    memberships: dict[str, set[str]] = {}
    if requester is not None:
        async with tenant.database.read() as tx:
            memberships = await memberships_in(tx, requester.user_id, asked_for((summary,)))
    if not summary.is_shown_to(memberships):
        raise NotFound("There is no such room, or you may not see it")
    own = memberships.get(room_id)
    return {**summary.json, **({"membership": next(iter(own))} if own else {})}
