"""Redactions that were here before the event that they redact."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.auth.levels import PowerLevels
from protocol.errors import Rejected
from protocol.events import CREATE, POWER_LEVELS, Event
from protocol.redaction import may_apply_redaction
from services.rooms.head import Head
from storage.events import Standing, StoredEvent

_ACCEPTED = (Standing.TIMELINE, Standing.HISTORY, Standing.HELD_BACK)


def redaction_of(head: Head, event: Event, redactions: Iterable[StoredEvent]) -> StoredEvent | None:
    """The one that may be carried out now that it is known what it redacts; None if there is none."""
    create = head.known((CREATE, ""))
    for redaction in redactions:
        if create is None or redaction.standing not in _ACCEPTED:
            continue
        try:
            levels = PowerLevels.of(head.room_version, create, head.known((POWER_LEVELS, "")))
            if may_apply_redaction(redaction.event, event, levels):
                return redaction
        except Rejected:  # nonsense for power levels, in old room versions
            return None
    return None
