"""Importing what was said before a room's beginning, in rooms that no other server can be in (docs/decisions/0010)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from protocol.build import EventDraft
from protocol.events import CREATE, REDACTION, Event
from protocol.ids import EventID, RoomID, UserID
from protocol.json import canonical_lenient
from protocol.matrix_error import InvalidParam
from protocol.room_versions import EventFormat
from services.appservices.past import Past
from services.media.naming import files_in
from services.requester import Requester
from services.rooms.append import commit, committed, unmoved
from services.rooms.compose import compose
from services.rooms.draft_checks import check_draft_in_state
from services.rooms.event_rows import Place, placed_row, relation_rows
from services.rooms.head import Head
from services.tenant import Tenant
from storage import topics
from storage.events import NAME_TXN, Standing
from storage.journal import Change, Row
from storage.media_in_events import NAME_FILE
from storage.search.follow import INDEX_HISTORY
from storage.servers.inbound import history_positions


async def append_before(
    tenant: Tenant,
    actors: dict[UserID, Requester],
    room_id: RoomID,
    past: Sequence[Past],
    digests: Sequence[bytes],
) -> list[EventID]:
    """The events stand before all that the room has, in their order: shown to who pages back, never news, and never unread.

    In the room's graph they follow on what is there now, and nothing follows on them; the state at each is that of now, which
    says who may see it. Raises InvalidParam, Forbidden, Stale or Duplicate.
    """
    if any(one.type == REDACTION for one in past):
        raise InvalidParam("Redactions are imported at the end of a room only")
    async with tenant.database.read() as tx:
        positions = await history_positions(tx, len(past))
    async with tenant.heads.locked(room_id) as head:
        await _check_room(tenant, head)
        changes: list[Change] = []
        events: list[Event] = []
        for one, digest, position in zip(past, digests, reversed(positions), strict=True):
            draft = EventDraft(one.type, one.content)
            await check_draft_in_state(tenant, head, actors[one.sender], draft)
            after = events[-1] if events else None
            event = await compose(tenant, head, one.sender, draft, one.at, after)
            changes.append(_change(head, event, position, digest))
            events.append(event)
        changes[-1] = replace(changes[-1], head=unmoved(head))
        done = commit(tenant, changes, head)
    await committed(done)
    return [event.event_id for event in events]


async def _check_room(tenant: Tenant, head: Head) -> None:
    """«where room version and federation allow it»"""
    state = await head.state_events(tenant.database, ((CREATE, ""),))
    create = state.get((CREATE, ""))
    if create is None or create.content.get("m.federate", True) is not False:
        raise InvalidParam(
            "Other servers could never see what is put before the beginning: only rooms with m.federate: false have it"
        )
    if head.room_version.event_format is EventFormat.PAIRS:
        raise InvalidParam("Rooms of this version have no history before their beginning")


def _change(head: Head, event: Event, position: int, digest: bytes) -> Change:
    encoded = canonical_lenient(event.json)
    place = Place(Standing.HISTORY, head.snapshot.snapshot, position=position)
    rows = (
        placed_row(event, place, encoded),
        *relation_rows(event, False, position),
        Row(INDEX_HISTORY, (event.event_id,)),
        Row(NAME_TXN, (event.event_id, digest)),
        *(
            Row(NAME_FILE, (origin.decode(), name.decode(), event.event_id, event.room_id))
            for origin, name in files_in(encoded)
        ),
    )
    return Change(rows, wake=(topics.history(event.room_id),), txn=digest, size=len(encoded) + 512)
