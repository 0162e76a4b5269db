"""Coming back to a room of many members: what has changed is written some at a time, and nobody is told who is not there now."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from protocol.events import Event
from services.rooms.membership import fill, first_part
from storage.journal import Change
from storage.servers.room_servers import servers_of_rooms
from tests.client_api.stored import state_of
from tests.federation.lying_room import LyingRoom
from tests.federation.plays import membership, path
from tests.federation.test_partial_state import MEMBER, Gate, completed, partial, states_since, with_members
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver

MANY = 60


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few are many."""
    monkeypatch.setattr(first_part, "MANY", 10)
    monkeypatch.setattr(fill, "AT_ONCE", 5)


def many(room: LyingRoom, *, besides: int = 0) -> set[str]:
    """The first members of the room, but for the first few."""
    return {f"@ann{number}:{room.server.name}" for number in range(besides, MANY)}


async def join(bob: Client, room: LyingRoom) -> Event:
    """Bob joins, and the other server keeps his join."""
    await bob.ok("POST", f"{path(room.id, 'join')}?via={room.server.name}", json={})
    return room.take(room.joins_handed_in()[-1])


async def leave(bob: Client, room: LyingRoom) -> None:
    """Bob leaves; the other server takes that for a kick."""
    await bob.leave(room.id)
    room.put(MEMBER, {"membership": "leave"}, bob.user_id)


def shows_few(room: LyingRoom, bob: Client, *servers: str) -> None:
    """From now on the room is shown without the members, but for the liar and what Bob's join rests on."""
    shown = partial(room, {key for kind, key in room.state if kind == MEMBER} - {room.liar, bob.user_id})
    chain = [e.json for e in room.events.values() if e.state_key == bob.user_id]
    shown["auth_chain"] += chain
    room.opens(shown={**shown, "servers_in_room": [room.server.name, *servers]})


def goes_on(room: LyingRoom) -> None:
    """What happens while we are away: one leaves, one has a new name, one comes, one is banned, and there is a topic."""
    room.put(MEMBER, {"membership": "leave"}, f"@ann0:{room.server.name}", sender=f"@ann0:{room.server.name}")
    ann1 = f"@ann1:{room.server.name}"
    room.put(MEMBER, {"membership": "join", "displayname": "Anna"}, ann1, sender=ann1)
    dan = f"@dan:{room.server.name}"
    room.put(MEMBER, {"membership": "join"}, dan, sender=dan)
    room.put(MEMBER, {"membership": "ban"}, f"@ann2:{room.server.name}")
    room.put("m.room.topic", {"topic": "without you"}, "")


def changes_of(one: Homeserver, monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """What is put into the journal from now on."""
    seen: list[Change] = []
    enqueue = one.tenant.journal.enqueue

    def noted(*changes: Change) -> Any:
        seen.extend(changes)
        return enqueue(*changes)

    monkeypatch.setattr(type(one.tenant.journal), "enqueue", lambda _, *changes: noted(*changes))
    return seen


async def check_all_is_as_there(one: Homeserver, bob: Client, room: LyingRoom) -> None:
    """The room's state, its members and its states since the join are those of the other server."""
    expected = {key: event.event_id for key, event in room.state.items()}
    assert {key: event["event_id"] for key, event in (await ids_of(one, room.id)).items()} == expected
    joined = {e.state_key for k, e in room.state.items() if k[0] == MEMBER and e.membership == "join"}
    _, members = await bob.get(path(room.id, "joined_members"))
    assert set(members["joined"]) == joined
    async with one.tenant.database.read() as tx:
        counted = await tx.fetchval("SELECT joined FROM rooms WHERE room_id = $1", room.id)
        rows = await tx.fetch("SELECT server, joined, aside FROM room_servers WHERE room_id = $1", room.id)
    assert counted == len(joined)
    others = {name for name in joined if name != bob.user_id}
    assert {row["server"]: row["joined"] for row in rows if row["joined"]} == {room.server.name: len(others)}
    assert not any(row["aside"] for row in rows)
    everybody = {key[1] for key in room.state if key[0] == MEMBER}
    assert (await states_since(one, room.id))[-1] == everybody


async def ids_of(one: Homeserver, room_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The room's state now, by event IDs."""
    async with one.tenant.database.read() as tx:
        rows = await tx.fetch(
            "SELECT type, state_key, event_id FROM current_state WHERE room_id = $1", room_id
        )
    return {(row["type"], row["state_key"]): dict(row) for row in rows}


@pytest.mark.parametrize("omitted", [True, False])
async def test_what_has_changed_is_written_some_at_a_time(
    make_federated: MakeFederated,
    make_lying: MakeLying,
    monkeypatch: pytest.MonkeyPatch,
    small: None,
    omitted: bool,
) -> None:
    server = await make_lying()
    room = with_members(server, "11", [f"ann{number}" for number in range(MANY)])
    if omitted:
        gate = Gate(room, many(room) | {f"@dan:{server.name}"})
        gate.opened.set()
    else:
        room.opens()
    one = await make_federated()
    bob = await one.user("bob")
    await join(bob, room)
    await completed(one, room.id)
    since = (await bob.sync())["next_batch"]
    await leave(bob, room)
    goes_on(room)
    if omitted:
        shows_few(room, bob)

    seen = changes_of(one, monkeypatch)
    await join(bob, room)
    said = await bob.send(room.id, "I am back")
    await completed(one, room.id)

    await check_all_is_as_there(one, bob, room)
    # Each member that was filled in is one row; nothing comes near to what all the members are.
    assert max(len(change.rows) for change in seen) < MANY
    moves = [change for change in seen if change.head is not None]
    differing = [c for c in moves if any(f"@ann40:{server.name}" in row.values for row in c.rows)]
    assert differing == []  # who has not changed is in no row of the room's state
    news = (await bob.sync(since=since))["rooms"]["join"][room.id]
    assert said in [event["event_id"] for event in news["timeline"]["events"]]
    shown = {(e["type"], e["state_key"]): e["event_id"] for e in news["state"]["events"]}
    shown |= {
        (e["type"], e["state_key"]): e["event_id"] for e in news["timeline"]["events"] if "state_key" in e
    }
    assert shown == {key: event.event_id for key, event in room.state.items()}


async def test_a_room_that_has_become_small(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    server = await make_lying()
    room = with_members(server, "11", [f"ann{number}" for number in range(MANY)])
    room.opens()
    one = await make_federated()
    bob = await one.user("bob")
    await join(bob, room)
    await completed(one, room.id)
    await leave(bob, room)
    # A server that does not tell of those who have left, as it may have been restored from before they came.
    for user_id in many(room, besides=4):
        del room.state[MEMBER, user_id]

    seen = changes_of(one, monkeypatch)
    await join(bob, room)
    await bob.send(room.id, "I am back")
    await completed(one, room.id)

    await check_all_is_as_there(one, bob, room)
    assert max(len(change.rows) for change in seen) < MANY
    assert (await membership(one, room.id, f"@ann40:{server.name}"))["membership"] == "leave"


async def test_servers_that_have_left_are_told_of_nothing(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann"])
    eve, joe = "@eve:left.example", "@joe:stays.example"
    room.put("m.room.power_levels", {"users": {room.liar: 100}, "users_default": 50}, "")
    gate = Gate(room, set())
    gate.opened.set()
    one = await make_federated()
    bob = await one.user("bob")
    await join(bob, room)
    await completed(one, room.id)
    # As if they had been there: the other server cannot sign for them.
    async with one.tenant.database.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO room_servers (room_id, server, joined, since)
            SELECT $1, substr(u, strpos(u, ':') + 1), 1, 0 FROM unnest($2::text[]) AS u
            """,
            room.id,
            [eve, joe],
        )
    await leave(bob, room)
    gate.opened.clear()
    gate.asked.clear()
    shows_few(room, bob, "stays.example")

    await join(bob, room)
    await gate.asked.wait()
    said = await bob.send(room.id, "who is here?")

    assert await hearers(one, room.id, said) == {server.name, "stays.example"}
    gate.opened.set()
    await completed(one, room.id)
    later = await bob.send(room.id, "and now?")
    # Its user is counted again, as nobody says that she has left; what was said meanwhile is for those who were known.
    assert await hearers(one, room.id, later) == {server.name, "stays.example", "left.example"}


async def hearers(one: Homeserver, room_id: str, event_id: str) -> set[str]:
    """The servers that are told of the event."""
    async with one.tenant.database.read() as tx:
        position = await tx.fetchval("SELECT position FROM events WHERE event_id = $1", event_id)
        servers = (await servers_of_rooms(tx, [room_id], one.name))[room_id]
    return {name for name, server in servers.items() if server.hears(position)}


async def test_a_room_that_is_left_before_it_is_whole_and_entered_with_all_its_members(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann0", "ann1", "ann2"])
    gate = Gate(room, {f"@ann{number}:{server.name}" for number in range(3)} | {f"@dan:{server.name}"})
    gate.opened.set()
    one = await make_federated()
    bob = await one.user("bob")
    await join(bob, room)
    await completed(one, room.id)
    await leave(bob, room)
    goes_on(room)
    gate.opened.clear()
    gate.asked.clear()
    shows_few(room, bob)
    await join(bob, room)
    await gate.asked.wait()
    await leave(bob, room)

    room.opens()
    await join(bob, room)

    await completed(one, room.id)
    await check_all_is_as_there(one, bob, room)
    gate.opened.set()  # who was completing the room finds that it is another one by now
    async with asyncio.timeout(60):
        while any("completing !" in task.get_name() for task in asyncio.all_tasks()):
            await asyncio.sleep(0.05)
    await check_all_is_as_there(one, bob, room)
    assert await state_of(one, room.id)
