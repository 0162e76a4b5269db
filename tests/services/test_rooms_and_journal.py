"""Many senders in one room, through one process and through two: one chain, each event once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from protocol.build import EventDraft
from protocol.ids import EventID, RoomID
from protocol.matrix_error import Forbidden
from services.requester import Requester
from services.rooms.create import CreateRoom, create_room
from services.rooms.membership.join import join
from services.rooms.send import send_event
from services.tenant import Tenant
from storage.database import Database
from storage.journal import Change, Row, Stale
from storage.room_aliases import CLAIM_ALIAS
from storage.rooms import head_of
from storage.state import state_ids_at
from tests.services.process import process, requester

ALICE = requester("alice")


async def stored(database: Database, room_id: str) -> list[dict[str, Any]]:
    """The room's events in their order."""
    async with database.read() as tx:
        found = await tx.fetch(
            "SELECT position, event_id, type, depth, snapshot, tally, json FROM events WHERE room_id = $1 "
            "ORDER BY position",
            room_id,
        )
    return [{**row, "json": orjson.loads(row["json"])} for row in found]


async def check_one_chain(database: Database, room_id: RoomID) -> list[str]:
    """Asserts that the room is a line of events, each on the one before it; their IDs."""
    events = await stored(database, room_id)
    for before, event in itertools.pairwise(events):
        assert event["json"]["prev_events"] == [before["event_id"]]
        assert event["depth"] == before["depth"] + 1
        assert event["position"] > before["position"]
    async with database.read() as tx:
        head = await head_of(tx, room_id, ())
        current = await tx.fetch(
            "SELECT type, state_key, event_id FROM current_state WHERE room_id = $1", room_id
        )
        assert head is not None
        assert await state_ids_at(tx, head.snapshot) == {
            (row["type"], row["state_key"]): row["event_id"] for row in current
        }
        joined = await tx.fetchval(
            "SELECT count(*) FROM memberships WHERE room_id = $1 AND membership = 'join'", room_id
        )
    assert head.forward_extremities == (events[-1]["event_id"],)
    assert (head.version, head.depth) == (len(events), events[-1]["depth"])
    assert (head.tally, head.position, head.joined) == (events[-1]["tally"], events[-1]["position"], joined)
    return [event["event_id"] for event in events]


def message(text: str) -> EventDraft:
    return EventDraft("m.room.message", {"msgtype": "m.text", "body": text})


@pytest.fixture
async def processes(database: Database, postgres: dict[str, str]) -> AsyncIterator[tuple[Tenant, Tenant]]:
    """Two processes on one schema, neither of whom hears of what the other does."""
    other = await Database.open(postgres, database.schema)
    yield await process(database), await process(other)
    await other.close()


async def public_room(tenant: Tenant) -> RoomID:
    return await create_room(tenant, ALICE, CreateRoom(preset="public_chat"))


async def say_many(tenant: Tenant, who: Requester, room_id: RoomID, count: int) -> list[EventID]:
    return [
        await send_event(tenant, who, room_id, message(f"{who.user_id} {number}"), str(number))
        for number in range(count)
    ]


async def test_twenty_senders_through_one_process(database: Database) -> None:
    tenant = await process(database)
    room_id = await public_room(tenant)
    people = [requester(f"user{number}") for number in range(20)]
    await asyncio.gather(*(join(tenant, person, room_id, {}) for person in people))

    sent = await asyncio.gather(*(say_many(tenant, person, room_id, 10) for person in people))

    chain = await check_one_chain(database, room_id)
    own = {event_id for ids in sent for event_id in ids}
    assert len(own) == 200
    assert own <= set(chain)
    for ids in sent:
        assert [event_id for event_id in chain if event_id in set(ids)] == ids


async def test_twenty_senders_through_two_processes(processes: tuple[Tenant, Tenant]) -> None:
    one, two = processes
    room_id = await public_room(one)
    people = [requester(f"user{number}") for number in range(20)]
    where = [(one, two)[number % 2] for number in range(20)]
    await asyncio.gather(*(join(t, person, room_id, {}) for t, person in zip(where, people, strict=True)))

    sent = await asyncio.gather(
        *(say_many(t, person, room_id, 8) for t, person in zip(where, people, strict=True))
    )

    chain = await check_one_chain(one.database, room_id)
    own = [event_id for ids in sent for event_id in ids]
    assert len(set(own)) == 160
    assert set(own) <= set(chain)
    assert len(chain) == len(set(chain))


async def test_state_set_through_two_processes_at_once_loses_nothing(
    processes: tuple[Tenant, Tenant],
) -> None:
    one, two = processes
    room_id = await public_room(one)

    async def name(tenant: Tenant, number: int) -> EventID:
        return await send_event(
            tenant, ALICE, room_id, EventDraft("org.example.name", {"n": number}, f"{number % 7}")
        )

    await asyncio.gather(*(name((one, two)[number % 2], number) for number in range(40)))

    await check_one_chain(one.database, room_id)
    async with one.database.read() as tx:
        deltas = await tx.fetch(
            "SELECT d.state_key, d.event_id, d.previous FROM state_deltas AS d "
            "WHERE d.room_id = $1 AND d.type = 'org.example.name' ORDER BY d.position",
            room_id,
        )
    newest: dict[str, str] = {}
    for delta in deltas:
        assert delta["previous"] == newest.get(delta["state_key"])
        newest[delta["state_key"]] = delta["event_id"]
    assert len(deltas) == 40


async def test_a_transaction_retried_through_another_process_is_the_same_event(
    processes: tuple[Tenant, Tenant],
) -> None:
    one, two = processes
    room_id = await public_room(one)

    sent = await asyncio.gather(
        *(send_event((one, two)[n % 2], ALICE, room_id, message("once"), "txn") for n in range(10))
    )

    assert len(set(sent)) == 1
    chain = await check_one_chain(one.database, room_id)
    assert chain.count(sent[0]) == 1
    assert await send_event(two, ALICE, room_id, message("once"), "txn") == sent[0]


async def test_a_process_that_was_behind_catches_up(processes: tuple[Tenant, Tenant]) -> None:
    one, two = processes
    room_id = await public_room(one)
    await send_event(two, ALICE, room_id, message("so that the head is in memory there"))
    levels = {"users_default": 0, "events_default": 75}
    await join(one, requester("bob"), room_id, {})
    await send_event(one, ALICE, room_id, EventDraft("m.room.power_levels", levels, ""))

    with pytest.raises(Forbidden):
        await send_event(two, requester("bob"), room_id, message("no more"))
    await send_event(two, ALICE, room_id, message("but I"))

    await check_one_chain(one.database, room_id)


async def test_a_refused_change_does_not_harm_its_neighbours(database: Database) -> None:
    tenant = await process(database)
    room_id = await public_room(tenant)
    claim = Row(CLAIM_ALIAS, ("#taken:one.test", room_id, ALICE.user_id, 0))
    await tenant.journal.append(Change(rows=(claim,)))

    sending = [asyncio.create_task(send_event(tenant, ALICE, room_id, message(str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    refused = tenant.journal.enqueue(Change(rows=(claim,)))
    sending += [asyncio.create_task(send_event(tenant, ALICE, room_id, message(str(n)))) for n in range(20)]
    sent = await asyncio.gather(*sending)

    with pytest.raises(Stale):
        await refused
    assert set(sent) <= set(await check_one_chain(database, room_id))
    assert len(set(sent)) == 40


async def test_warm_sends_of_one_batch_take_four_statements(database: Database) -> None:
    tenant = await process(database)
    room_id = await public_room(tenant)
    await send_event(tenant, ALICE, room_id, message("warm"))

    before = database.statements_run
    await asyncio.gather(*(send_event(tenant, ALICE, room_id, message(str(n)), str(n)) for n in range(30)))

    # The journal's claim, the head, the events, and how far who sends has read. No SELECT: what is needed is in memory.
    assert database.statements_run - before == 4


async def test_a_big_room_costs_a_message_no_more_statements(database: Database) -> None:
    tenant = await process(database)
    room_id = await public_room(tenant)
    people = [requester(f"user{number}") for number in range(300)]
    await asyncio.gather(*(join(tenant, person, room_id, {}) for person in people))
    await send_event(tenant, people[0], room_id, message("warm"))

    before = database.statements_run
    await send_event(tenant, people[0], room_id, message("hello"))

    assert database.statements_run - before == 4
    await check_one_chain(database, room_id)
