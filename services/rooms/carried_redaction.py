"""Carrying out a redaction: what is left of the event, and what else goes with it."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.auth.levels import PowerLevels
from protocol.errors import Rejected
from protocol.events import CREATE, POWER_LEVELS, Event
from protocol.json import canonical_lenient
from protocol.redaction import may_apply_redaction, redact_event
from services.rooms.head import Head
from services.rooms.relation import is_storable
from services.tenant import Tenant
from storage.events import REDACT_EVENT, StoredEvent, event_by_id
from storage.journal import Row
from storage.push.unread import FORGET_EXCEPTIONS
from storage.relations import APPEND_REDACTION, FORGET_RELATION, UNCOUNT_THREAD_EVENT


@dataclass(frozen=True, slots=True)
class Carried:
    """A redaction that is carried out: on which event, and what is left of that one."""

    target: StoredEvent
    redacted: Event


async def carried_redaction(tenant: Tenant, head: Head, event: Event) -> Carried | None:
    """What the event redacts; None where it redacts nothing, nothing that we have, or not rightly."""
    target = event.redacts
    if target is None or not is_storable(target):
        return None
    async with tenant.database.read() as tx:
        stored = await event_by_id(tx, target)
    if stored is None or stored.redacted_by is not None:
        return None
    if stored.event.is_state:
        # So that memory has what is to be replaced: the database has it whole until the commit.
        await head.state_events(tenant.database, (stored.event.key,))
    create = head.known((CREATE, ""))
    if create is None:
        return None
    levels = PowerLevels.of(head.room_version, create, head.known((POWER_LEVELS, "")))
    try:
        if not may_apply_redaction(event, stored.event, levels):
            return None
    except Rejected:  # nonsense for power levels, in old room versions
        return None
    return Carried(stored, redact_event(stored.event))


def redaction_rows(tenant: Tenant, event: Event, carried: Carried | None) -> list[Row]:
    """The rows of a redaction, and what it changes of its target; none for other events."""
    target = event.redacts
    if target is None or not is_storable(target):
        return []
    rows = [Row(APPEND_REDACTION, (event.event_id, target, event.room_id, carried is not None))]
    return rows if carried is None else [*rows, *carrying_rows(tenant, event, carried)]


def carrying_rows(tenant: Tenant, event: Event, carried: Carried) -> list[Row]:
    """What becomes of the target: it is shown as redacted because of the event."""
    target = carried.target.event.event_id
    redacted = canonical_lenient(carried.redacted.json)
    is_kept = tenant.settings.redacted_kept > 0
    return [
        Row(REDACT_EVENT, (target, redacted, event.event_id, is_kept)),
        Row(FORGET_RELATION, (target,)),
        Row(UNCOUNT_THREAD_EVENT, (target,)),
        Row(FORGET_EXCEPTIONS, (target,)),
    ]
