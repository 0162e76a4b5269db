"""The state before an event whose prev events are branches of the room."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocol.build import EventDraft
from protocol.events import Event
from protocol.ids import EventID, RoomID
from protocol.room_versions import version_named
from services.requester import Requester
from services.rooms.append import append
from services.rooms.compose import compose
from services.rooms.create import CreateRoom, create_room
from services.rooms.head import FIXED_KEYS, Head
from services.rooms.membership.join import join
from services.rooms.receive_state import StateUnknown, state_before
from services.rooms.send import send_event
from services.tenant import Tenant
from storage.database import Database
from storage.rooms import head_of
from storage.state import next_snapshot, state_ids_at
from tests.services.process import process, requester

ALICE, BOB = requester("alice"), requester("bob")
TOPIC, LEVELS = ("m.room.topic", ""), ("m.room.power_levels", "")


async def branch(tenant: Tenant, room_id: RoomID, *steps: tuple[Requester, EventDraft]) -> Event:
    """Builds on the head as it is, and leaves the head there; the last event."""
    async with tenant.database.read() as tx:
        stored = await head_of(tx, room_id, FIXED_KEYS)
    assert stored is not None
    head = Head.stored(stored, FIXED_KEYS)
    for who, draft in steps:
        event = await compose(tenant, head, who.user_id, draft)
        change = await append(tenant, head, event)
        await tenant.journal.append(replace(change, head=None, after=None))
    return event


def topic(text: str) -> EventDraft:
    return EventDraft("m.room.topic", {"topic": text}, "")


def levels(**users: int) -> EventDraft:
    named = {requester(name).user_id: level for name, level in users.items()}
    return EventDraft("m.room.power_levels", {"users": named}, "")


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await process(database)


@pytest.fixture(params=["2", "11", "12"])
async def room_id(tenant: Tenant, request: pytest.FixtureRequest) -> RoomID:
    """Alice made it, Bob moderates."""
    room_id = await create_room(tenant, ALICE, CreateRoom(preset="public_chat", room_version=request.param))
    await join(tenant, BOB, room_id, {})
    more = {} if request.param == "12" else {"alice": 100}
    await send_event(tenant, ALICE, room_id, levels(bob=50, **more))
    return room_id


async def test_one_prev_event_has_its_own_state(tenant: Tenant, room_id: RoomID) -> None:
    event = await branch(tenant, room_id, (BOB, topic("Bob's")))

    found = await state_before(tenant, event.version, [event.event_id])

    assert found.changes == {}
    async with tenant.database.read() as tx:
        assert (await state_ids_at(tx, found.base.snapshot))[TOPIC] == event.event_id


async def test_who_is_demoted_on_one_branch_has_no_say_on_the_other(tenant: Tenant, room_id: RoomID) -> None:
    by_bob = await branch(tenant, room_id, (BOB, topic("Bob's")))
    alone = {} if by_bob.version.creator_power else {"alice": 100}
    demotion = await branch(tenant, room_id, (ALICE, topic("Alice's")), (ALICE, levels(**alone)))

    found = await state_before(tenant, by_bob.version, [by_bob.event_id, demotion.event_id])

    (of_alice,) = demotion.prev_events
    assert found.changes == {LEVELS: demotion.event_id, TOPIC: of_alice}
    number, layer = await tenant.journal.ids.next(), await tenant.journal.ids.next()
    _, rows = next_snapshot(found.base, room_id, found.changes, number, layer)
    assert rows


async def test_branches_with_one_state_need_no_resolution(tenant: Tenant, room_id: RoomID) -> None:
    message = EventDraft("m.room.message", {"body": "hello"})
    events = [await branch(tenant, room_id, (who, message)) for who in (ALICE, BOB)]

    found = await state_before(tenant, events[0].version, [event.event_id for event in events])

    assert found.changes == {}


async def test_an_unknown_prev_event_is_said_to_be_missing(tenant: Tenant) -> None:
    with pytest.raises(StateUnknown):
        await state_before(tenant, version_named("12"), [EventID("$unknown")])
