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
from protocol.json import canonical_lenient
from protocol.matrix_error import Unknown
from protocol.room_versions import EventFormat
from services.push.tally import Tally, tally_of
from services.rooms.carried_redaction import carried_redaction, redaction_rows
from services.rooms.event_rows import NOWHERE, Origin, event_row, relation_rows
from services.rooms.head import Head
from services.rooms.member_rows import MemberChange, member_change
from services.rooms.tail import tail_event
from services.tenant import Tenant
from storage import topics
from storage.journal import Change, JournalUnavailable, Row
from storage.rooms import APPEND_STATE_DELTA, SET_CURRENT_STATE
from storage.state import Snapshot, next_snapshot

_ROW_BYTES = 512


@dataclass(frozen=True, slots=True)
class _StateStep:
    """What a state event does to the room's state."""

    snapshot: Snapshot
    previous: Event | None
    member: MemberChange | None
    rows: list[Row]


async def append(tenant: Tenant, head: Head, event: Event, origin: Origin = NOWHERE) -> Change:
    """Advances the head by the event, which was built on it and is allowed; the change that makes it so."""
    step = await _state_step(tenant, head, event) if event.is_state else None
    carried = await carried_redaction(tenant, head, event) if event.redacts is not None else None
    tally = await tally_of(tenant, head, event)
    encoded = canonical_lenient(event.json)
    expected = head.version
    _advance(head, event, step, tally.counts)
    if carried is not None:
        head.replace_redacted(carried.redacted)
    previous = step.previous if step is not None else None
    rows = [event_row(head, event, previous, tally, origin, encoded)]
    rows += step.rows if step is not None else ()
    rows += relation_rows(event, tally.counts)
    rows += redaction_rows(event, carried)
    rows += tally.rows
    return Change(
        rows=tuple(rows),
        wake=(topics.room(event.room_id), *(step.member.wake if step and step.member else ())),
        head=head.move(expected),
        txn=origin.digest,
        after=_after(tenant, head, event, origin, previous, tally),
        size=len(encoded) + _ROW_BYTES,
    )


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


async def _state_step(tenant: Tenant, head: Head, event: Event) -> _StateStep:
    previous = (await head.state_events(tenant.database, (event.key,))).get(event.key)
    snapshot, layer = await tenant.journal.ids.next(), await tenant.journal.ids.next()
    after, rows = next_snapshot(head.snapshot, event.room_id, {event.key: event.event_id}, snapshot, layer)
    replaced = previous.event_id if previous is not None else None
    rows.append(Row(SET_CURRENT_STATE, (event.room_id, *event.key, event.event_id)))
    rows.append(Row(APPEND_STATE_DELTA, (event.room_id, *event.key, event.event_id, replaced)))
    member = await member_change(tenant, head, event, previous)
    if member is not None:
        rows.append(member.row)
    return _StateStep(after, previous, member, rows)


def _advance(head: Head, event: Event, step: _StateStep | None, counts: bool) -> None:
    head.version += 1
    head.depth = max(head.depth, event.depth)
    before = frozenset(event.prev_events)
    head.extremities = (*(known for known in head.extremities if known not in before), event.event_id)
    if head.room_version.event_format is EventFormat.PAIRS:
        head.prev_events = (*(known for known in head.prev_events if known.event_id not in before), event)
    head.tally += counts
    if step is not None:
        head.snapshot = step.snapshot
        head.put_state(event.key, event)
        if step.member is not None:
            head.joined += step.member.joined
            head.invited += step.member.invited


def _after(
    tenant: Tenant, head: Head, event: Event, origin: Origin, previous: Event | None, tally: Tally
) -> Callable[[int], None]:
    version, snapshot, sum_of_tally = head.version, head.snapshot.snapshot, head.tally

    def after(position: int) -> None:
        head.committed(version, position)
        if origin.digest is not None:
            tenant.heads.remember_sent(origin.digest, event.event_id)
        shown = tail_event(
            position,
            event,
            snapshot=snapshot,
            device_id=origin.device_id,
            txn_id=origin.txn_id,
            replaced=previous,
            tally=sum_of_tally,
            counts=tally.counts,
            highlights_all=tally.highlights_all,
            root=tally.root,
            exceptions=tally.exceptions,
        )
        tenant.tails.append(event.room_id, version - 1, shown)

    return after
