"""Redacting an event."""

from __future__ import annotations

from protocol.build import EventDraft
from protocol.events import REDACTION
from protocol.ids import EventID, RoomID
from services.requester import Requester
from services.rooms.send import origin_of, send_from
from services.tenant import Tenant


async def redact(
    tenant: Tenant, requester: Requester, room_id: RoomID, target: EventID, reason: str | None, txn_id: str
) -> EventID:
    """The ID of the redaction. Raises Forbidden, and NotFound for an unknown event of somebody else."""
    content = {} if reason is None else {"reason": reason}
    draft = EventDraft(REDACTION, content, redacts=target)
    origin = origin_of(requester, txn_id, "redact", room_id, target)
    return await send_from(tenant, requester, room_id, draft, origin)
