"""Heads: what is in memory of warm rooms, and when it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from protocol.build import EventDraft
from protocol.ids import RoomID
from protocol.matrix_error import Forbidden
from services.rooms import head as head_module
from services.rooms.append import append
from services.rooms.compose import compose
from services.rooms.create import CreateRoom, create_room
from services.rooms.head import UnknownRoom
from services.rooms.membership.join import join
from services.rooms.redact import redact
from services.rooms.send import send_event
from services.tenant import Tenant
from storage.database import Database
from storage.journal import Journal, Note
from tests.services.process import process, requester

ALICE = requester("alice")
WARM = 4  # statements of a message: the journal's claim, the head, the event, how far the sender has read
LOAD = 2  # the head with the fixed state, the sender's member event


def message(text: str = "hello") -> EventDraft:
    return EventDraft("m.room.message", {"body": text})


async def cost(tenant: Tenant, room_id: RoomID) -> int:
    """How many statements a message takes now."""
    before = tenant.database.statements_run
    await send_event(tenant, ALICE, room_id, message())
    return tenant.database.statements_run - before


@pytest.fixture
async def processes(database: Database, postgres: dict[str, str]) -> AsyncIterator[tuple[Tenant, Tenant]]:
    """Two processes on one schema that tell each other of their commits."""
    other = await Database.open(postgres, database.schema)
    one, two = await process(database), await process(other)

    async def tell_both(note: Note) -> None:
        one.feed.arrived(note)
        two.feed.arrived(note)

    yield replace(one, journal=Journal(database, tell_both)), replace(two, journal=Journal(other, tell_both))
    await other.close()


async def test_a_head_that_another_process_moved_is_loaded_anew(processes: tuple[Tenant, Tenant]) -> None:
    one, two = processes
    room_id = await create_room(one, ALICE, CreateRoom())
    await send_event(two, ALICE, room_id, message())
    assert await cost(two, room_id) == WARM

    await send_event(one, ALICE, room_id, message())

    # Had it not been told, the journal would have refused the first try, and that costs more.
    assert await cost(two, room_id) == LOAD + WARM
    assert await cost(two, room_id) == WARM


async def test_own_news_and_news_of_other_rooms_leave_a_head_warm(processes: tuple[Tenant, Tenant]) -> None:
    one, two = processes
    room_id, other_room = [await create_room(one, ALICE, CreateRoom()) for _ in range(2)]
    await send_event(one, ALICE, room_id, message())

    await send_event(two, ALICE, other_room, message())

    assert await cost(one, room_id) == WARM
    assert await cost(one, room_id) == WARM


async def test_a_reset_costs_a_load_at_most(processes: tuple[Tenant, Tenant]) -> None:
    one, _ = processes
    room_id = await create_room(one, ALICE, CreateRoom())
    await send_event(one, ALICE, room_id, message())

    one.heads.reset(one.feed.position)

    assert await cost(one, room_id) in (WARM, LOAD + WARM)


async def test_there_is_no_head_of_an_unknown_room(database: Database) -> None:
    tenant = await process(database)

    with pytest.raises(UnknownRoom):
        async with tenant.heads.locked(RoomID("!nowhere:one.test")):
            pass


async def test_what_was_built_and_not_put_into_the_journal_never_was(database: Database) -> None:
    tenant = await process(database)
    room_id = await create_room(tenant, ALICE, CreateRoom())

    async with tenant.heads.locked(room_id) as head:
        version = head.version
        await append(tenant, head, await compose(tenant, head, ALICE.user_id, message()))
        assert head.version == version + 1

    async with tenant.heads.locked(room_id) as head:
        assert head.version == version
    assert await send_event(tenant, ALICE, room_id, message())


async def test_memory_is_bounded_and_right(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_module, "MAX_STATE_EVENTS", 12)
    monkeypatch.setattr(head_module, "MAX_STATE_EVENTS_IN_ALL", 40)
    tenant = await process(database)
    rooms = [await create_room(tenant, ALICE, CreateRoom(preset="public_chat")) for _ in range(6)]
    people = [requester(f"user{number}") for number in range(30)]
    await asyncio.gather(*(join(tenant, person, room_id, {}) for room_id in rooms for person in people))
    await asyncio.gather(
        *(send_event(tenant, person, room_id, message()) for room_id in rooms for person in people)
    )

    async with tenant.heads.locked(rooms[0]) as head:
        assert head.joined == len(people) + 1
        assert head.size <= 12 + len(head_module.FIXED_KEYS)
    leaving = EventDraft("m.room.member", {"membership": "leave"}, people[0].user_id)
    await send_event(tenant, people[0], rooms[0], leaving)
    with pytest.raises(Forbidden):
        await send_event(tenant, people[0], rooms[0], message())


async def test_the_state_of_an_uncommitted_redaction_is_not_read_from_the_database(
    database: Database,
) -> None:
    tenant = await process(database)
    room_id = await create_room(tenant, ALICE, CreateRoom())
    name = EventDraft("m.room.name", {"name": "Rude"}, "")
    named = await send_event(tenant, ALICE, room_id, name)
    tenant.heads.forget(room_id)

    redacting = asyncio.create_task(redact(tenant, ALICE, room_id, named, None, "txn"))
    renaming = asyncio.create_task(send_event(tenant, ALICE, room_id, name))

    # After the redaction it is a change to set the name again.
    assert await renaming not in (named, await redacting)
