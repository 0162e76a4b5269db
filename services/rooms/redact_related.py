"""Redacting what relates to an event together with it: its edits, a whole thread, a poll's votes (MSC3912)."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.errors import ProtocolError
from protocol.ids import EventID, RoomID
from protocol.matrix_error import MatrixError
from services.accounts.background import in_background
from services.requester import Requester
from services.rooms.redact import redact
from services.tenant import Tenant
from storage.relations import Related, children_of
from storage.timeline import NEWEST, OLDEST

ANY = "*"
MOST = 10_000
"""Events that go with one."""


def redact_related(
    tenant: Tenant,
    requester: Requester,
    room_id: RoomID,
    target: EventID,
    reason: str | None,
    rel_types: Sequence[str],
) -> None:
    """Begins to redact what relates to the event by these types (ANY: by all), as far as the user may do that."""
    work = _redact_all(tenant, requester, room_id, target, reason, rel_types)
    in_background(tenant, work, f"what relates to {target} is redacted")


async def _redact_all(
    tenant: Tenant,
    requester: Requester,
    room_id: RoomID,
    target: EventID,
    reason: str | None,
    rel_types: Sequence[str],
) -> None:
    wanted = (None,) if ANY in rel_types else tuple(dict.fromkeys(rel_types))
    for rel_type in wanted:
        related = Related(room_id, target, rel_type=rel_type)
        async with tenant.database.read() as tx:
            children = await children_of(tx, related, OLDEST, NEWEST, MOST, is_backwards=True)
        for child in children:
            try:
                # The same again, after a retry of the client, is the same transaction.
                txn_id = f"with {target}"
                await redact(tenant, requester, room_id, EventID(child), reason, txn_id)
            except (MatrixError, ProtocolError):  # «the server should skip» what the user may not redact
                continue
