"""Making one event on a room's head: the state that it needs, the event, and the rules; raises what clients are told."""

from __future__ import annotations

from protocol.auth.needed import needed_for, state_needed_for
from protocol.auth.rules import check_auth
from protocol.build import EventDraft, build_event
from protocol.errors import Oversized, Rejected
from protocol.event_format import MAX_PREV_EVENTS
from protocol.events import CREATE, Event
from protocol.ids import EventID, UserID
from protocol.matrix_error import Forbidden, TooLarge
from protocol.room_versions import EventFormat
from services.rooms.head import Head
from services.tenant import Tenant

_EVENT_ID_LENGTH = 18


async def compose(
    tenant: Tenant,
    head: Head,
    sender: UserID,
    draft: EventDraft,
    at: int | None = None,
    after: Event | None = None,
) -> Event:
    """The draft as the room's next event, signed and allowed. Raises Forbidden, TooLarge or InvalidEvent.

    `after`: an event that is no part of the head, which it is to follow on; not in versions that name the hashes of prev_events.
    """
    version = head.room_version
    keys = state_needed_for(version, draft.type, sender, draft.state_key, draft.content)
    state = await head.state_events(tenant.database, keys)
    named = needed_for(version, draft.type, sender, draft.state_key, draft.content)
    pairs = version.event_format is EventFormat.PAIRS
    prev_events = head.prev_events if pairs else head.extremities if after is None else (after.event_id,)
    try:
        event = build_event(
            version,
            draft,
            room_id=None if draft.type == CREATE and version.room_id_is_create_hash else head.room_id,
            sender=sender,
            prev_events=prev_events[-MAX_PREV_EVENTS:],
            auth_events=[state[key] for key in sorted(named) if key in state],
            depth=(head.depth if after is None else after.depth) + 1,
            origin_server_ts=tenant.clock.now() if at is None else at,
            key=tenant.signing_key,
            server_name=tenant.name,
            event_id=None if version.event_id_is_hash else _chosen_id(tenant),
        )
        check_auth(version, event, state)
    except Oversized as error:
        raise TooLarge(str(error)) from None
    except Rejected as error:
        raise Forbidden(str(error)) from None
    return event


def _chosen_id(tenant: Tenant) -> EventID:
    return EventID(f"${tenant.random.token(_EVENT_ID_LENGTH)}:{tenant.name}")
