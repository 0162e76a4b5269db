"""Joining a room whose members come later: the user can talk at once, and what needs the members waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.rooms.membership import show_room
from services.rooms.membership.observations import RoomNotCompleted
from tests.client_api.stored import state_of
from tests.federation.lying_room import LyingRoom
from tests.federation.plays import VERSIONS, join_through, membership, path, public_room, same_state
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver

MEMBER = "m.room.member"
STATE = "/_matrix/federation/v1/state/"


class Gate:
    """The rest of the state, which the lying server keeps back until it is opened."""

    def __init__(self, room: LyingRoom, omitted: set[str]) -> None:
        self.room, self.omitted = room, omitted
        self.asked, self.opened = asyncio.Event(), asyncio.Event()
        before = list(room.state.values())
        kept = [e.json for e in before if e.state_key not in omitted]
        needed = {room.liar}
        chain = [e.json for e in room.events.values() if e.type != MEMBER or e.state_key in needed]
        room.opens(
            shown={
                "state": kept,
                "auth_chain": chain,
                "members_omitted": True,
                "servers_in_room": [room.server.name],
            }
        )
        whole = {
            "pdus": [event.json for event in before],
            "auth_chain": [event.json for event in room.events.values() if event.is_state],
        }

        async def answer(_: Any) -> Any:
            self.asked.set()
            await self.opened.wait()
            return whole

        room.server.on("GET", STATE, answer)


def with_members(server: Any, version: str, names: list[str]) -> LyingRoom:
    room = LyingRoom(server, version)
    for name in names:
        user_id = f"@{name}:{server.name}"
        room.put(MEMBER, {"membership": "join"}, user_id, sender=user_id)
    room.put("m.room.name", {"name": "Crowd"}, "")
    return room


async def completed(homeserver: Homeserver, room_id: str) -> None:
    async with asyncio.timeout(10):
        while True:
            async with homeserver.tenant.database.read() as tx:
                if not await tx.fetchval("SELECT count(*) FROM partial_rooms WHERE room_id = $1", room_id):
                    return
            await asyncio.sleep(0.02)


@VERSIONS
async def test_the_members_come_later(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    server = await make_lying()
    room = with_members(server, version, ["ann", "ben", "cat"])
    others = {f"@{name}:{server.name}" for name in ("ann", "ben", "cat")}
    gate = Gate(room, others)
    one = await make_federated()
    bob = await one.user("bob")

    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    said = await bob.send(room.id, "hello")
    await bob.set_state(room.id, MEMBER, {"membership": "join", "displayname": "Bobby"}, bob.user_id)
    first = await bob.sync()
    shown = first["rooms"]["join"][room.id]
    assert said in [event["event_id"] for event in shown["timeline"]["events"]]
    waiting = asyncio.create_task(bob.get(path(room.id, "joined_members")))
    await gate.asked.wait()
    assert not waiting.done()
    gate.opened.set()

    status, members = await waiting
    assert status == 200
    assert set(members["joined"]) == others | {bob.user_id, room.liar}
    await completed(one, room.id)
    assert len([key for key in await state_of(one, room.id) if key[0] == MEMBER]) == 5
    then = await bob.sync_until(lambda reply: room.id in reply["rooms"]["join"])
    news = then["rooms"]["join"][room.id]
    assert {event["state_key"] for event in news["state"]["events"]} == others
    assert news["timeline"]["events"] == []
    assert news["summary"]["m.joined_member_count"] == 5
    assert (await bob.sync(since=""))["rooms"]["join"][room.id]["summary"]["m.joined_member_count"] == 5


async def states_since(homeserver: Homeserver, room_id: str) -> list[set[str]]:
    """The members in the state after each event of the timeline."""
    async with homeserver.tenant.database.read() as tx:
        rows = await tx.fetch(
            """
            SELECT e.position, ARRAY(
                SELECT DISTINCT l.state_key FROM state_snapshots AS s
                CROSS JOIN unnest(s.layers) AS layer JOIN state_layers AS l USING (layer)
                WHERE s.snapshot = e.snapshot AND l.type = 'm.room.member'
            ) AS members
            FROM events AS e WHERE e.room_id = $1 AND e.standing = 0 ORDER BY e.position
            """,
            room_id,
        )
    return [set(row["members"]) for row in rows]


async def test_every_state_since_the_join_is_made_whole(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann", "ben"])
    room.put(
        "m.room.power_levels", {"users": {room.liar: 100}, "events": {"org.thing": 0}, "state_default": 0}, ""
    )
    others = {f"@{name}:{server.name}" for name in ("ann", "ben")}
    gate = Gate(room, others)
    one = await make_federated()
    bob = await one.user("bob")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    # So many that layers of state are merged into one.
    for number in range(20):
        await bob.set_state(room.id, "org.thing", {"number": number}, str(number))
    await bob.send(room.id, "hello")
    gate.opened.set()

    await completed(one, room.id)
    await bob.set_state(room.id, "org.thing", {"number": 99}, "99")

    states = await states_since(one, room.id)
    assert len(states) == 23
    assert all(members == others | {room.liar, bob.user_id} for members in states), states


async def test_what_depends_on_the_members_waits(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann"])
    ann = f"@ann:{server.name}"
    room.put("m.room.power_levels", {"users": {room.liar: 100}, "users_default": 50}, "")
    gate = Gate(room, {ann})
    one = await make_federated()
    bob, carol = await one.user("bob"), await one.user("carol")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})

    waiting = [
        asyncio.create_task(request)
        for request in (
            bob.post(path(room.id, "invite"), {"user_id": ann}),
            bob.get(path(room.id, "members")),
            carol.post(path(room.id, "join"), {}),
        )
    ]
    await gate.asked.wait()
    await bob.send(room.id, "I can talk")
    assert not any(task.done() for task in waiting)
    # Others are sent on: we cannot let anybody in.
    template = await server.request(one, "GET", room.path("v1/make_join", f"@eve:{server.name}") + "?ver=11")
    assert template[0] == 404
    gate.opened.set()

    (invited, said), (status, _), (joined, _) = await asyncio.gather(*waiting)
    assert (invited, said["errcode"]) == (403, "M_FORBIDDEN")  # she is in the room
    assert (status, joined) == (200, 200)


async def test_a_failure_is_tried_again_and_survives_a_restart(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann"])
    gate = Gate(room, {f"@ann:{server.name}"})
    one = await make_federated()
    bob = await one.user("bob")
    server.on("GET", STATE, lambda _: (500, {"errcode": "M_UNKNOWN", "error": "no"}))
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    async with asyncio.timeout(10):
        while not any(isinstance(seen, RoomNotCompleted) for seen in one.observed):
            await asyncio.sleep(0.02)
    server.scripts.pop(0)
    gate.opened.set()
    async with one.tenant.database.transaction() as tx:
        # As after the time that it would have waited.
        await tx.execute("UPDATE partial_rooms SET lease = 0")

    await make_federated(beside=one)  # another process begins

    await completed(one, room.id)
    assert (await membership(one, room.id, f"@ann:{server.name}"))["membership"] == "join"


async def test_members_of_the_rest_that_are_forged_are_left_out(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann"])
    victim = "@victim:honest.example"
    room.put(MEMBER, {"membership": "join"}, victim, sender=victim)
    gate = Gate(room, {f"@ann:{server.name}", victim})
    one = await make_federated()
    bob = await one.user("bob")
    gate.opened.set()
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})

    await completed(one, room.id)

    assert (await membership(one, room.id, f"@ann:{server.name}"))["membership"] == "join"
    assert await membership(one, room.id, victim) == {}


async def test_two_of_ours_serve_and_take_a_partial_join(
    make_federated: MakeFederated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show_room, "FEW", 3)
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    for number in range(5):
        await (await one.user(f"more{number}")).join(room_id)

    await join_through(bob, room_id, one)

    status, members = await bob.get(path(room_id, "joined_members"))
    assert status == 200
    assert len(members["joined"]) == 7
    await completed(two, room_id)
    await same_state(room_id, one, two)


async def test_a_room_that_ours_have_left_is_not_completed(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann"])
    Gate(room, {f"@ann:{server.name}"})
    server.on("GET", STATE, lambda _: (403, {"errcode": "M_FORBIDDEN", "error": "not in the room"}))
    one = await make_federated()
    bob = await one.user("bob")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    async with asyncio.timeout(10):
        while not any(isinstance(seen, RoomNotCompleted) for seen in one.observed):
            await asyncio.sleep(0.02)
    await bob.leave(room.id)
    async with one.tenant.database.transaction() as tx:
        await tx.execute("UPDATE partial_rooms SET lease = 0")

    one.tenant.partial_rooms.work.set()

    await completed(one, room.id)
    assert (await membership(one, room.id, bob.user_id))["membership"] == "leave"
