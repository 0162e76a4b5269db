"""The door into a room: what an event that is allowed changes, as one change of the journal.

`append` advances the head in memory and says what is to be written; `commit` puts it into the journal. Both are
called under the room's lock (services/rooms/head.py), the commit is awaited after it. Nobody is told anything before
the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.events import Event
from protocol.ids import EventID
from protocol.json import canonical_lenient
from protocol.matrix_error import Unknown
from protocol.room_versions import EventFormat
from services.push.tally import NO_TALLY, Tally, tally_of
from services.rooms.carried_redaction import carried_redaction, redaction_rows
from services.rooms.event_rows import NOWHERE, Gap, Origin, Place, event_row, placed_row, relation_rows
from services.rooms.head import Head
from services.rooms.state_step import StateChanges, StateStep, state_step
from services.rooms.swept import sweeps, swept, swept_rows
from services.rooms.tail import TailEvent, tail_event
from services.tenant import Tenant
from storage import topics
from storage.auth_chains import auth_chain_rows
from storage.events import Standing
from storage.journal import Change, HeadMove, JournalUnavailable, Row
from storage.state import Snapshot

_ROW_BYTES = 512
ATTEMPTS = 100  # another process may win a busy room many times in a row
"""How often an event is built or judged anew when the head turned out to have moved."""


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """An event that does not follow on the head alone: the state after it, what it took the place of there, what the head's
    state is once it is there, and the changes that lead to that."""

    after: Snapshot
    replaced: Event | None
    head: Snapshot | None  # None: it is not stored yet
    changes: StateChanges
    extremities: tuple[EventID, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """How an event of another server enters the room; without a branch it follows on the head, like one of ours. `gap`: events
    are missing before it."""

    branch: Branch | None = None
    redacted_by: EventID | None = None  # the redaction was here first: the event is in its redacted form
    rows: tuple[Row, ...] = ()
    gap: Gap | None = None


async def append(
    tenant: Tenant, head: Head, event: Event, origin: Origin = NOWHERE, arrival: Arrival | None = None
) -> Change:
    """Advances the head by the event, which was built on it (or has arrived) and is allowed; the change that makes it so."""
    branch = arrival.branch if arrival is not None else None
    step = await _state_step(tenant, head, event, branch)
    carried = await carried_redaction(tenant, head, event) if event.redacts is not None else None
    held_back = arrival is not None and event.redacts is not None and carried is None
    tally = NO_TALLY if held_back else await tally_of(tenant, head, event)
    encoded = canonical_lenient(event.json)
    gone = await swept(tenant, head, event) if sweeps(event) else []
    expected = head.version
    _advance(head, event, step, tally.counts, branch)
    if carried is not None:
        head.replace_redacted(carried.redacted)
    for one in gone:
        head.replace_redacted(one.redacted)
    previous = (
        branch.replaced if branch is not None else step.previous.get(event.key) if step is not None else None
    )
    rows: list[Row]
    if arrival is None:
        rows = [event_row(head, event, previous, tally, origin, encoded)]
    else:
        standing = Standing.HELD_BACK if held_back else Standing.TIMELINE
        after = branch.after if branch is not None else head.snapshot
        place = Place(
            standing, after.snapshot, head.tally, previous, tally, arrival.redacted_by, gap=arrival.gap
        )
        rows = [*arrival.rows, placed_row(event, place, encoded)]
    rows += step.rows if step is not None else ()
    rows += auth_chain_rows((event,)) if event.is_state else ()
    if not held_back:
        rows += relation_rows(event, tally.counts)
    rows += redaction_rows(tenant, event, carried)
    rows += swept_rows(tenant, event, gone)
    rows += tally.rows
    gap = arrival.gap if arrival is not None else None
    shown = None
    if not held_back and not gone:
        shown = _shown(event, origin, previous, tally, step, branch, gap)
    # Where others' memory of the room is not true any more, it is forgotten, as when history comes.
    forget = (topics.history(event.room_id),) if gone else ()
    return Change(
        rows=tuple(rows),
        wake=(topics.room(event.room_id), *forget, *(step.wake if step is not None else ())),
        head=head.move(expected),
        txn=origin.digest,
        after=_after(tenant, head, event, origin, shown),
        size=len(encoded) + _ROW_BYTES,
        reserved=gap.reserved if gap is not None else 0,
    )


def unmoved(head: Head) -> HeadMove:
    """A move to where the head is already: what is written with it is refused if others have moved the head meanwhile."""
    expected = head.version
    head.version += 1
    return head.move(expected)


def commit(tenant: Tenant, changes: Sequence[Change], *heads: Head) -> asyncio.Future[list[int]]:
    """Puts the changes of these heads into the journal as one group; awaited (`committed`) without the rooms' locks."""
    done = tenant.journal.enqueue(*changes)
    for head in heads:
        head.written, head.pending = head.version, done

    def settled(done: asyncio.Future[list[int]]) -> None:
        if done.cancelled() or done.exception() is not None:
            for head in heads:
                tenant.heads.drop(head)

    done.add_done_callback(settled)
    return done


async def committed(done: asyncio.Future[list[int]]) -> list[int]:
    """The positions. Raises Stale or Duplicate, and Unknown (503) when the database went away in the middle.

    One who stops waiting does not stop the commit.
    """
    try:
        return await asyncio.shield(done)
    except JournalUnavailable:
        raise Unknown("The database is away: try again", status=503) from None


async def _state_step(tenant: Tenant, head: Head, event: Event, branch: Branch | None) -> StateStep | None:
    if branch is not None:
        if not branch.changes:
            return None
        return await state_step(tenant, head, event.room_id, branch.changes, branch.head)
    return await state_step(tenant, head, event.room_id, {event.key: event}) if event.is_state else None


def _advance(head: Head, event: Event, step: StateStep | None, counts: bool, branch: Branch | None) -> None:
    head.version += 1
    head.depth = max(head.depth, event.depth)
    if branch is not None:
        head.extremities = branch.extremities
    else:
        before = frozenset(event.prev_events)
        head.extremities = (*(known for known in head.extremities if known not in before), event.event_id)
    if head.room_version.event_format is EventFormat.PAIRS:
        left = frozenset(head.extremities)
        head.prev_events = tuple(known for known in (*head.prev_events, event) if known.event_id in left)
    head.tally += counts
    if step is not None:
        step.apply(head)


def _shown(
    event: Event,
    origin: Origin,
    previous: Event | None,
    tally: Tally,
    step: StateStep | None,
    branch: Branch | None,
    gap: Gap | None,
) -> Callable[[int, int, int], TailEvent]:
    """The event as readers get it, once it has its position, its snapshot and the room's tally."""
    changes = step.changes if step is not None else {}
    is_plain = (
        changes.keys() == {event.key} and changes[event.key] is event if event.is_state else not changes
    )

    def shown(position: int, snapshot: int, sum_of_tally: int) -> TailEvent:
        return tail_event(
            position,
            event,
            snapshot=branch.after.snapshot if branch is not None else snapshot,
            device_id=origin.device_id,
            txn_id=origin.txn_id,
            replaced=previous,
            tally=sum_of_tally,
            counts=tally.counts,
            plain=is_plain,
            highlights_all=tally.highlights_all,
            root=tally.root,
            exceptions=tally.exceptions,
            gap=gap is not None,
        )

    return shown


def _after(
    tenant: Tenant,
    head: Head,
    event: Event,
    origin: Origin,
    shown: Callable[[int, int, int], TailEvent] | None,
) -> Callable[[int], None]:
    version, snapshot, sum_of_tally = head.version, head.snapshot.snapshot, head.tally

    def after(position: int) -> None:
        before = head.position if head.settled == version - 1 else None
        head.committed(version, position)
        if origin.digest is not None:
            tenant.heads.remember_sent(origin.digest, event.event_id)
        if shown is None:
            tenant.tails.drop(event.room_id)
        else:
            tenant.tails.append(event.room_id, version - 1, shown(position, snapshot, sum_of_tally), before)

    return after
