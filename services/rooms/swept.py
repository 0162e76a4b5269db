"""Redacting all that a user has sent, with the kick or ban of the user (MSC4293): no redactions are sent for it."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.auth.levels import PowerLevels
from protocol.errors import Rejected
from protocol.events import CREATE, MEMBER, POWER_LEVELS, REDACTION, Event
from protocol.redaction import redact_event
from services.rooms.carried_redaction import Carried, carrying_rows
from services.rooms.head import Head
from services.rooms.relation import is_storable
from services.tenant import Tenant
from storage.journal import Row
from storage.membership import membership_of
from storage.redacted import sent_since

FLAGS = ("redact_events", "org.matrix.msc4293.redact_events")
MOST = 10_000


def sweeps(event: Event) -> bool:
    """Is it a kick or ban that asks for it? Those who leave by themselves cannot."""
    return (
        event.type == MEMBER
        and event.membership in ("leave", "ban")
        and event.sender != event.state_key
        and any(event.content.get(flag) is True for flag in FLAGS)
    )


async def swept(tenant: Tenant, head: Head, event: Event) -> list[Carried]:
    """What goes with the kick or ban; nothing where its sender may not redact it."""
    target = event.state_key
    if target is None or not is_storable(target) or not await _may_redact(tenant, head, event):
        return []
    async with tenant.database.read() as tx:
        stay = await membership_of(tx, head.room_id, target)
        stored = await sent_since(tx, head.room_id, target, stay.since if stay is not None else 0, MOST)
    state = [one.event.key for one in stored if one.event.is_state]
    if state:  # so that memory has what is to be replaced
        await head.state_events(tenant.database, tuple(state))
    return [Carried(one, redact_event(one.event)) for one in stored]


def swept_rows(tenant: Tenant, event: Event, found: Sequence[Carried]) -> list[Row]:
    """What is written of them; they are shown as redacted because of the kick or ban."""
    return [row for carried in found for row in carrying_rows(tenant, event, carried)]


async def _may_redact(tenant: Tenant, head: Head, event: Event) -> bool:
    # «a power level higher than or equal to `redact` and `events["m.room.redaction"]` (if set)»
    state = await head.state_events(tenant.database, ((CREATE, ""), (POWER_LEVELS, "")))
    try:
        levels = PowerLevels.of(head.room_version, state[CREATE, ""], state.get((POWER_LEVELS, "")))
        power = levels.of_user(event.sender)
        return power >= levels.redact and power >= levels.to_send(REDACTION, is_state=False)
    except (KeyError, Rejected):  # nonsense for power levels, in old room versions
        return False
