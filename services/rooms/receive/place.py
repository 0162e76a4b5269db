"""Placing an event of another server in its room: the checks that need the room (§Checks performed on receipt of a PDU).

Nothing is fetched here. What is missing is raised (`Missing`), fetched without the room's lock, and the event tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from protocol.auth.needed import state_needed_for
from protocol.auth.rules import check_auth, check_auth_events
from protocol.errors import Rejected
from protocol.events import CREATE, Event, StateKey
from protocol.ids import EventID, ServerName
from protocol.json import canonical_lenient
from protocol.matrix_error import Unknown
from protocol.redaction import redact_event
from services.rooms.append import ATTEMPTS, Arrival, append, commit, committed
from services.rooms.event_rows import IN_THE_MIDDLE, Place, placed_row
from services.rooms.head import Head
from services.rooms.observations import tell_lost_state
from services.rooms.receive.branch import Stored, branch_of, state_after, stored_before
from services.rooms.receive.lookup import Missing, Surroundings, has_place, surroundings
from services.rooms.receive.observations import EventRefused
from services.rooms.receive.redactions import redaction_of
from services.rooms.receive_state import StateBefore, merged, state_before, state_ids_in
from services.rooms.state_step import ids_of
from services.tenant import Tenant
from storage import topics
from storage.auth_chains import auth_chain_rows
from storage.events import SHOW_HELD_BACK, Standing, StoredEvent, events_by_id
from storage.journal import Change, Row, Stale
from storage.servers.inbound import APPEND_BACKWARD_EXTREMITY, CLOSE_BACKWARD_EXTREMITIES, REDACTION_APPLIED

__all__ = ["Missing", "Placed", "begin_to_receive", "receive_event"]

Committing: TypeAlias = "asyncio.Future[list[int]]"


@dataclass(frozen=True, slots=True)
class Placed:
    """What place the event has got, and why it is not shown, if it is not."""

    standing: Standing
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """An event that is to be judged, and the state before it, under the keys that it needs."""

    event: Event
    around: Surroundings
    before: StateBefore
    state: Mapping[StateKey, Event]


async def receive_event(
    tenant: Tenant, event: Event, origin: ServerName, refusal: str | None = None
) -> Placed:
    """The place that the event has got, which is stored; one that was here before keeps its own.

    `refusal` says why the event is to be soft-failed, whatever the room's state says of it (a policy server's refusal).
    The event is checked as far as that goes without the room (receive/check.py). Raises Missing, and UnknownRoom.
    """
    for _ in range(ATTEMPTS):
        try:
            placed, done = await begin_to_receive(tenant, event, origin, refusal)
            if done is not None:
                await committed(done)
        except Stale:
            continue
        return placed
    raise Unknown("The room is too busy: try again", status=503)


async def begin_to_receive(
    tenant: Tenant, event: Event, origin: ServerName, refusal: str | None = None
) -> tuple[Placed, Committing | None]:
    """As `receive_event`, without waiting: the place is the event's once the commit is there (None: it had one before).

    Events that follow on it may be received meanwhile. Raises Missing, and UnknownRoom; the commit may be Stale.
    """
    async with tenant.heads.locked(event.room_id) as head:
        around = await surroundings(tenant, head, event)
        known = around.known
        if known is not None and has_place(known):
            return Placed(known.standing), None
        if around.follows_on_head:
            case = _Case(event, around, StateBefore(head.snapshot), around.state)
        else:
            before = await state_before(tenant, head.room_version, event.prev_events)
            case = _Case(event, around, before, await _state(tenant, event, before))
        reason = _rejection(head, case)
        if reason is not None:
            placed = Placed(Standing.REJECTED, reason)
        elif (reason := await _soft_failure(tenant, head, case, refusal)) is not None:
            placed = Placed(Standing.SOFT_FAILED, reason)
        else:
            return Placed(Standing.TIMELINE), await _append(tenant, head, case)
        how = placed.standing.name.lower().replace("_", "-")
        tenant.observe(EventRefused(event.room_id, event.event_id, origin, how, reason))
        return placed, await _put_aside(tenant, head, case, placed)


async def _state(tenant: Tenant, event: Event, before: StateBefore) -> dict[StateKey, Event]:
    """The state before the event, under the keys that it is authorised by and its own."""
    keys = set(state_needed_for(event.version, event.type, event.sender, event.state_key, event.content))
    if event.is_state:
        keys.add(event.key)
    async with tenant.database.read() as tx:
        ids = await state_ids_in(tx, before, keys)
        found = await events_by_id(tx, ids.values())
    return {key: found[event_id].event for key, event_id in ids.items()}


def _rejection(head: Head, case: _Case) -> str | None:
    """Why the event is rejected: by what it rests on, or by the state before it. None if it is not."""
    event, around = case.event, case.around
    create = head.known((CREATE, ""))
    if around.known is not None and around.known.standing is Standing.REJECTED:
        return "it was rejected before it had a place"
    if event.type == CREATE and (create is None or event.event_id != create.event_id):
        return "the room has its create event"
    try:
        check_auth_events(event.version, event, around.auth, around.rejected)
        named = {auth_event.key: auth_event for auth_event in around.auth}
        if event.version.room_id_is_create_hash and create is not None:  # nobody names it there
            named[CREATE, ""] = create
        check_auth(event.version, event, named)
        check_auth(event.version, event, case.state)
    except Rejected as error:
        return str(error)
    return None


async def _soft_failure(tenant: Tenant, head: Head, case: _Case, refusal: str | None) -> str | None:
    """Why nobody is to see the event, though it is not rejected; None for most.

    The state now is that of the extremities together, and of what the event follows on: who joined beyond a gap is there.
    """
    event = case.event
    if refusal is not None or case.around.follows_on_head:
        return refusal
    try:
        check_auth(event.version, event, case.around.state)
    except Rejected:
        now = await merged(tenant, head.room_version, [StateBefore(head.snapshot), case.before])
        try:
            check_auth(event.version, event, await _state(tenant, event, now))
        except Rejected as error:
            return f"by the state now: {error}"
    return None


async def _put_aside(tenant: Tenant, head: Head, case: _Case, placed: Placed) -> Committing:
    """The event is stored, but is no extremity, and nobody is told."""
    event = case.event
    stored: Stored
    if placed.standing is Standing.REJECTED:
        stored = await stored_before(tenant, event, case.before)
    else:
        stored = await state_after(tenant, event, case.before)
    encoded = canonical_lenient(event.json)
    place = Place(
        placed.standing,
        stored.snapshot.snapshot,
        replaced=case.state.get(event.key),
        rejection=placed.reason,
    )
    rows = [*stored.rows, placed_row(event, place, encoded), *auth_chain_rows((event,)), *_edges(case)]
    # With the head, though it does not move: what follows on the event waits for this.
    return commit(tenant, [Change(tuple(rows), size=len(encoded) + 512)], head)


async def _append(tenant: Tenant, head: Head, case: _Case) -> Committing:
    redaction = redaction_of(head, case.event, case.around.redactions)
    event = redact_event(case.event) if redaction is not None else case.event
    rows = _edges(case)
    branch = None
    if not case.around.follows_on_head:
        after = await state_after(tenant, event, case.before)
        rows += after.rows
        replaced = case.state.get(event.key) if event.is_state else None
        branch = await branch_of(tenant, head, event, after, replaced, case.around.prev)
        tell_lost_state(tenant, event.room_id, ids_of(branch.changes))
    if redaction is not None:
        rows.append(Row(REDACTION_APPLIED, (redaction.event.event_id,)))
    redacted_by = redaction.event.event_id if redaction is not None else None
    gap = IN_THE_MIDDLE if _missing_before(case) else None
    changes = [await append(tenant, head, event, arrival=Arrival(branch, redacted_by, tuple(rows), gap))]
    if redaction is not None and redaction.standing is Standing.HELD_BACK:
        changes.append(_shown_at_last(tenant, head, redaction))
    return commit(tenant, changes, head)


def _edges(case: _Case) -> list[Row]:
    """What the event changes of the gaps in the graph: it is none any more, and what it follows on may be one."""
    event = case.event
    rows = [
        Row(APPEND_BACKWARD_EXTREMITY, (event.room_id, event_id, event.event_id))
        for event_id in _missing_before(case)
    ]
    if case.around.known is not None or not case.around.follows_on_head:
        rows.append(Row(CLOSE_BACKWARD_EXTREMITIES, (event.room_id, [event.event_id])))
    return rows


def _missing_before(case: _Case) -> list[EventID]:
    """What the event follows on and of which we know only the state there."""
    return [prev.event.event_id for prev in case.around.prev if prev.standing is Standing.OUTLIER]


def _shown_at_last(tenant: Tenant, head: Head, redaction: StoredEvent) -> Change:
    """A redaction that was held back is shown behind what it redacts."""
    room_id, expected = head.room_id, head.version
    head.version += 1
    version = head.version

    def after(position: int) -> None:
        head.committed(version, position)
        tenant.tails.drop(room_id)

    return Change(
        rows=(Row(SHOW_HELD_BACK, (redaction.event.event_id, head.tally)),),
        wake=(topics.room(room_id),),
        head=head.move(expected),
        after=after,
    )
