"""Outliers: events that are known without their place in the graph, because others rest on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from protocol.auth.rules import check_auth, check_auth_events
from protocol.errors import Rejected
from protocol.event_format import create_of_room_id
from protocol.events import CREATE, Event
from protocol.ids import EventID
from protocol.json import canonical_lenient
from services.rooms.event_rows import Place, placed_row
from services.tenant import Tenant
from storage.auth_chains import auth_chain_rows
from storage.events import Standing, events_by_id
from storage.journal import Change

_AT_ONCE = 100  # so many events hold the journal up together

Judged = Sequence[tuple[Event, str | None]]
"""Events in the order in which they rest on each other, and why each was rejected, if it was."""


async def store_outliers(tenant: Tenant, events: Sequence[Event]) -> None:
    """Stores those of the events, all of one room, that rest on nothing that is not here; the others are left out.

    Those that their auth events do not allow are stored as rejected. The events have been checked as far as that goes
    without their room.
    """
    named = {auth_event for event in events for auth_event in event.auth_events}
    named |= {create_of_room_id(event.room_id) for event in events if event.version.room_id_is_create_hash}
    async with tenant.database.read() as tx:
        stored = await events_by_id(tx, named | {event.event_id for event in events})
    known = {event_id: found.event for event_id, found in stored.items()}
    rejected = {event_id for event_id, found in stored.items() if found.standing is Standing.REJECTED}
    fresh = [event for event in events if event.event_id not in known]
    await write_outliers(tenant, await tenant.compute.run(_judged, fresh, known, rejected))


async def write_outliers(tenant: Tenant, judged: Judged) -> None:
    """Stores the events, in this order; those that are here already keep what they have."""
    for start in range(0, len(judged), _AT_ONCE):
        await tenant.journal.append(*map(_change, judged[start : start + _AT_ONCE]))


def _change(judged: tuple[Event, str | None]) -> Change:
    event, rejection = judged
    standing = Standing.OUTLIER if rejection is None else Standing.REJECTED
    encoded = canonical_lenient(event.json)
    rows = (placed_row(event, Place(standing, rejection=rejection), encoded), *auth_chain_rows((event,)))
    return Change(rows, size=len(encoded) + 512)


def _judged(events: Sequence[Event], known: Mapping[EventID, Event], rejected: Iterable[EventID]) -> Judged:
    judged: list[tuple[Event, str | None]] = []
    here, refused = dict(known), set(rejected)
    for event in in_auth_order(events):
        reason = _reason(event, here, refused)
        if reason == _MISSING:
            continue
        here[event.event_id] = event
        if reason is not None:
            refused.add(event.event_id)
        judged.append((event, reason))
    return judged


_MISSING = "an auth event is missing"


def _reason(event: Event, here: Mapping[EventID, Event], refused: set[EventID]) -> str | None:
    if any(named not in here for named in event.auth_events):
        return _MISSING
    auth_events = [here[named] for named in event.auth_events]
    state = {auth_event.key: auth_event for auth_event in auth_events}
    if event.version.room_id_is_create_hash and event.type != CREATE:
        create = here.get(create_of_room_id(event.room_id))
        if create is None:
            return _MISSING
        state[CREATE, ""] = create
    try:
        check_auth_events(event.version, event, auth_events, refused)
        check_auth(event.version, event, state)
    except Rejected as error:
        return str(error)
    return None


def in_auth_order(events: Iterable[Event]) -> Iterator[Event]:
    """The events, each after those that it rests on; without those that rest on each other in a circle."""
    by_id = {event.event_id: event for event in events}
    waits_for = {
        event_id: sum(named in by_id for named in set(e.auth_events)) for event_id, e in by_id.items()
    }
    followers: dict[EventID, list[EventID]] = {}
    for event_id, event in by_id.items():
        for named in set(event.auth_events):
            if named in by_id:
                followers.setdefault(named, []).append(event_id)
    # A create event rests on nothing, and where room IDs are its hash nothing names it: it comes first by itself.
    ready = deque(
        sorted((i for i, count in waits_for.items() if not count), key=lambda i: by_id[i].type != CREATE)
    )
    while ready:
        event_id = ready.popleft()
        yield by_id[event_id]
        for follower in followers.get(event_id, ()):
            waits_for[follower] -= 1
            if not waits_for[follower]:
                ready.append(follower)
