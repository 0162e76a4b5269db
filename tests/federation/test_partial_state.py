"""Joining a room whose members come later: the user can talk at once, and what needs the members waits."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from protocol.ids import EventID
from services.rooms.membership import fill, first_part, show_room
from services.rooms.membership.observations import RoomNotCompleted
from tests.client_api.stored import state_of
from tests.federation.lying_room import LyingRoom
from tests.federation.peer import MakePeer
from tests.federation.plays import VERSIONS, join_through, membership, path, public_room, same_state
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.lying_server import Asked, LyingServer
from tests.sync.sliding_model import Sliding

MEMBER = "m.room.member"
STATE = "/_matrix/federation/v1/state/"
STATE_IDS = "/_matrix/federation/v1/state_ids/"
EVENT = "/_matrix/federation/v1/event/"
LAZY = '{"room":{"state":{"lazy_load_members":true}}}'
"""The filter of clients that need not be told of all members."""


class Gate:
    """The rest of the state, which the lying server keeps back until it is opened."""

    def __init__(self, room: LyingRoom, omitted: set[str], server: LyingServer | None = None) -> None:
        self.room = room
        self.asked, self.opened = asyncio.Event(), asyncio.Event()
        room.opens(shown=partial(room, omitted))
        for asked_for, answer in ((STATE_IDS, self._state_ids), (STATE, self._state), (EVENT, self._event)):
            (server or room.server).on("GET", asked_for, answer)

    async def _state_ids(self, asked: Asked) -> Any:
        self.asked.set()
        await self.opened.wait()
        before = self.room.before.get(_event_id(asked))
        if before is None:  # our join, which it has not kept
            return 404, {"errcode": "M_NOT_FOUND", "error": "Event not found"}
        chain = [event.event_id for event in self.room.events.values() if event.is_state]
        return {"pdu_ids": [event.event_id for event in before], "auth_chain_ids": chain}

    async def _state(self, asked: Asked) -> Any:
        before = self.room.before[_event_id(asked)]
        chain = [event.json for event in self.room.events.values() if event.is_state]
        return {"pdus": [event.json for event in before], "auth_chain": chain}

    async def _event(self, asked: Asked) -> Any:
        event = self.room.events[EventID(unquote(asked.path.rsplit("/", 1)[1]))]
        return {"origin": self.room.server.name, "origin_server_ts": 1, "pdus": [event.json]}


def partial(room: LyingRoom, omitted: set[str]) -> dict[str, Any]:
    """The answer to send_join, without these members."""
    return {
        "state": [event.json for event in room.state.values() if event.state_key not in omitted],
        "auth_chain": [e.json for e in room.events.values() if e.type != MEMBER or e.state_key == room.liar],
        "members_omitted": True,
        "servers_in_room": [room.server.name],
    }


def _event_id(asked: Asked) -> EventID:
    return EventID(parse_qs(asked.query)["event_id"][0])


def with_members(server: Any, version: str, names: list[str]) -> LyingRoom:
    room = LyingRoom(server, version)
    for name in names:
        user_id = f"@{name}:{server.name}"
        room.put(MEMBER, {"membership": "join"}, user_id, sender=user_id)
    room.put("m.room.name", {"name": "Crowd"}, "")
    return room


async def completed(homeserver: Homeserver, room_id: str, *, shown: bool = True) -> None:
    """Returns when the room is whole, or will not be; and, if `shown`, those who sync at this process see it."""
    async with asyncio.timeout(60):
        while True:
            async with homeserver.tenant.database.read() as tx:
                waits = await tx.fetchval("SELECT count(*) FROM partial_rooms WHERE room_id = $1", room_id)
                since = await tx.fetchval("SELECT whole_since FROM rooms WHERE room_id = $1", room_id)
            if not waits and (not shown or homeserver.tenant.feed.position >= (since or 0)):
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
    first = await bob.sync(filter=LAZY)
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
    news = (await bob.sync(timeout=60_000, filter=LAZY))["rooms"]["join"][room.id]
    assert news["timeline"]["events"] == []
    assert news["summary"]["m.joined_member_count"] == 5
    assert (await bob.sync(since=""))["rooms"]["join"][room.id]["summary"]["m.joined_member_count"] == 5


EVERYBODY, ONLY_NEEDED = [MEMBER, "*"], [MEMBER, "$LAZY"]


async def test_sliding_sync_shows_it_at_once_only_to_those_who_ask_for_no_members(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann", "ben"])
    ann, ben = f"@ann:{server.name}", f"@ben:{server.name}"
    gate = Gate(room, {ann, ben})
    one = await make_federated()
    bob = await one.user("bob")
    watchers = [
        Sliding(await bob.log_in(), {"lists": {"rooms": {"timeline_limit": 5, "required_state": state}}})
        for state in (
            [EVERYBODY],
            [["*", "*"]],
            [["m.room.name", ""], [MEMBER, ann]],
            [["*", "*"], ONLY_NEEDED],
            [["m.room.name", ""], [MEMBER, "$ME"]],
        )
    ]
    opened = {room.id: {"timeline_limit": 1, "required_state": [EVERYBODY]}}
    watchers.append(Sliding(await bob.log_in(), {"room_subscriptions": opened}))
    for watcher in watchers[:3]:
        await watcher.goes_on()
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})

    for watcher in watchers:
        await watcher.goes_on()
    assert [room.id in watcher.rooms for watcher in watchers] == [False, False, False, True, True, False]
    assert [watcher.lists.get("rooms") for watcher in watchers] == [0, 0, 0, 1, 1, None]
    waiting = asyncio.create_task(watchers[0].goes_on(timeout=60_000))
    await gate.asked.wait()
    assert not waiting.done()
    gate.opened.set()

    await waiting
    await completed(one, room.id)
    for watcher in watchers:
        await watcher.goes_on()
        assert watcher.lists.get("rooms", 1) == 1
    everybody = {(MEMBER, user) for user in (ann, ben, bob.user_id, room.liar)}
    for all_of_them in (watchers[0], watchers[1], watchers[5]):
        assert everybody <= all_of_them.rooms[room.id].state.keys()
    assert (MEMBER, ann) in watchers[2].rooms[room.id].state
    assert (MEMBER, ben) not in watchers[2].rooms[room.id].state


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
    server.on("GET", STATE_IDS, lambda _: (500, {"errcode": "M_UNKNOWN", "error": "no"}))
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    async with asyncio.timeout(60):
        while not any(isinstance(seen, RoomNotCompleted) for seen in one.observed):
            await asyncio.sleep(0.02)
    server.scripts.pop(0)
    gate.opened.set()
    async with one.tenant.database.transaction() as tx:
        # As after the time that it would have waited.
        await tx.execute("UPDATE partial_rooms SET lease = 0")

    await make_federated(beside=one)  # another process begins

    await completed(one, room.id, shown=False)  # whichever of them did it
    assert (await membership(one, room.id, f"@ann:{server.name}"))["membership"] == "join"


async def test_members_of_the_rest_that_are_forged_are_left_out(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann"])
    victim = "@victim:honest.example"
    room.put(MEMBER, {"membership": "join"}, victim, sender=victim)
    room.put("m.room.topic", {"topic": "who is here"}, "")
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
    server.on("GET", STATE_IDS, lambda _: (403, {"errcode": "M_FORBIDDEN", "error": "not in the room"}))
    one = await make_federated()
    bob = await one.user("bob")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    async with asyncio.timeout(60):
        while not any(isinstance(seen, RoomNotCompleted) for seen in one.observed):
            await asyncio.sleep(0.02)
    await bob.leave(room.id)
    async with one.tenant.database.transaction() as tx:
        await tx.execute("UPDATE partial_rooms SET lease = 0")

    one.tenant.partial_rooms.work.set()

    await completed(one, room.id)
    assert (await membership(one, room.id, bob.user_id))["membership"] == "leave"


async def test_a_server_that_only_knows_the_state_at_our_join_completes_too(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann", "ben"])
    gate = Gate(room, {f"@ann:{server.name}", f"@ben:{server.name}"})
    gate.opened.set()

    def only_at_the_join(asked: Asked) -> Any:
        if _event_id(asked) in room.events:
            return 404, {"errcode": "M_NOT_FOUND", "error": "Event not found"}
        ids = [event.event_id for event in room.state.values()]
        return {"pdu_ids": ids, "auth_chain_ids": ids}

    server.on("GET", STATE_IDS, only_at_the_join)
    one = await make_federated()
    bob = await one.user("bob")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})

    await completed(one, room.id)

    assert (await membership(one, room.id, f"@ben:{server.name}"))["membership"] == "join"


async def test_another_server_of_the_room_completes_it(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server, other = await make_lying(), await make_lying()
    room = with_members(server, "11", ["ann"])
    Gate(room, {f"@ann:{server.name}"})
    server.on("GET", STATE_IDS, lambda _: (500, {"errcode": "M_UNKNOWN", "error": "no"}))
    elsewhere = Gate(room, {f"@ann:{server.name}"}, other)
    elsewhere.opened.set()
    room.opens(shown={**partial(room, {f"@ann:{server.name}"}), "servers_in_room": [server.name, other.name]})
    one = await make_federated()
    bob = await one.user("bob")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})

    await completed(one, room.id)

    assert elsewhere.asked.is_set()
    assert (await membership(one, room.id, f"@ann:{server.name}"))["membership"] == "join"


async def test_many_members_are_written_some_at_a_time(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill, "AT_ONCE", 3)
    server = await make_lying()
    names = [f"ann{number}" for number in range(10)]
    room = with_members(server, "11", names)
    others = {f"@{name}:{server.name}" for name in names}
    gate = Gate(room, others)
    one = await make_federated()
    bob = await one.user("bob")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    said = await bob.send(room.id, "hello")
    assert "rooms" not in await bob.sync()
    gate.opened.set()
    await completed(one, room.id)
    await bob.send(room.id, "all are here")

    assert all(members == others | {room.liar, bob.user_id} for members in await states_since(one, room.id))
    then = await bob.sync_until(lambda reply: room.id in reply.get("rooms", {}).get("join", {}))
    news = then["rooms"]["join"][room.id]
    assert said in [event["event_id"] for event in news["timeline"]["events"]]
    told = [*news["state"]["events"], *news["timeline"]["events"]]
    assert {e["state_key"] for e in told if e["type"] == MEMBER} == others | {room.liar, bob.user_id}
    assert (await bob.sync(since=""))["rooms"]["join"][room.id]["summary"]["m.joined_member_count"] == 12


async def test_who_wants_all_members_sees_the_room_when_they_are_there(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann"])
    gate = Gate(room, {f"@ann:{server.name}"})
    one = await make_federated()
    bob = await one.user("bob")
    since = (await bob.sync())["next_batch"]
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    said = await bob.send(room.id, "hello")
    await bob.ok("PUT", path(room.id, "typing", bob.user_id), json={"typing": True})
    await bob.ok("POST", path(room.id, "receipt", "m.read", said), json={})
    for _ in range(2):  # the first look is at the database, the second at what was noted since
        assert "rooms" not in await bob.sync()
        await bob.send(room.id, "is anybody here?")
    assert "rooms" not in await bob.sync(since=since)
    assert "rooms" not in await bob.sync(since="")
    gate.opened.set()
    await completed(one, room.id)

    for start in (since, bob.next_batch):
        shown = (await bob.sync(since=start))["rooms"]["join"][room.id]
        assert shown["summary"]["m.joined_member_count"] == 3
        assert said in [event["event_id"] for event in shown["timeline"]["events"]]


async def test_a_room_that_is_left_and_entered_anew_meanwhile(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann"])
    ann = f"@ann:{server.name}"
    gate = Gate(room, {ann})
    one = await make_federated()
    bob = await one.user("bob")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    await gate.asked.wait()
    await bob.leave(room.id)
    gate.asked.clear()
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    await gate.asked.wait()
    gate.opened.set()

    await completed(one, room.id)

    assert (await membership(one, room.id, ann))["membership"] == "join"
    assert (await membership(one, room.id, bob.user_id))["membership"] == "join"


async def test_a_large_room_that_is_shown_whole_is_written_some_at_a_time(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_part, "MANY", 3)
    monkeypatch.setattr(fill, "AT_ONCE", 4)
    server = await make_lying()
    names = [f"ann{number}" for number in range(20)]
    room = with_members(server, "11", names)
    others = {f"@{name}:{server.name}" for name in names}
    room.opens()
    one = await make_federated()
    bob = await one.user("bob")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    await bob.send(room.id, "hello")

    status, members = await bob.get(path(room.id, "joined_members"))

    assert (status, set(members["joined"])) == (200, others | {room.liar, bob.user_id})
    await completed(one, room.id)
    assert all(there == set(members["joined"]) for there in await states_since(one, room.id))
    assert server.times_asked(STATE_IDS) == 0


async def test_another_of_ours_is_let_in_by_the_others_meanwhile(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann"])
    gate = Gate(room, {f"@ann:{server.name}"})
    one = await make_federated()
    bob, carol = await one.user("bob"), await one.user("carol")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    room.take(room.joins_handed_in()[0])
    await gate.asked.wait()

    await carol.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})

    assert not gate.opened.is_set()
    await carol.send(room.id, "hello")
    gate.opened.set()
    await completed(one, room.id)
    present = {room.liar, f"@ann:{server.name}", bob.user_id, carol.user_id}
    assert (await states_since(one, room.id))[-1] == present


async def test_the_server_that_lets_another_of_ours_in_is_not_told_so(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer = await make_federated(), await make_peer()
    bob, carol = await one.user("bob"), await one.user("carol")
    room = with_members(peer.server, "11", ["ann"])
    gate = Gate(room, {peer.user("ann")})
    join = f"{path(room.id, 'join')}?via={peer.name}"
    await bob.ok("POST", join, json={})
    room.take(room.joins_handed_in()[0])
    await carol.ok("POST", join, json={})
    renamed = {"membership": "join", "displayname": "Caroline"}
    await carol.set_state(room.id, MEMBER, renamed, carol.user_id)

    await carol.send(room.id, "hello")

    await peer.reads("hello")
    told = [pdu for taken in peer.taken for pdu in taken.pdus if pdu["type"] == MEMBER]
    assert {pdu["content"].get("displayname") for pdu in told} == {"Caroline"}
    assert not gate.opened.is_set()
    gate.opened.set()  # so that the peer can end


async def test_who_has_left_does_not_wait_for_the_members(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann"])
    gate = Gate(room, {f"@ann:{server.name}"})
    one = await make_federated()
    bob = await one.user("bob")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    await gate.asked.wait()
    waiting = asyncio.create_task(bob.get(path(room.id, "members")))
    await bob.leave(room.id)

    async with asyncio.timeout(60):
        status, _ = await waiting

    assert status == 200
    gate.opened.set()
    await completed(one, room.id)


async def test_members_at_a_position_before_the_room_was_whole(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = with_members(server, "11", ["ann"])
    ann = f"@ann:{server.name}"
    gate = Gate(room, {ann})
    one = await make_federated()
    bob = await one.user("bob")
    await bob.ok("POST", f"{path(room.id, 'join')}?via={server.name}", json={})
    at = (await bob.sync())["next_batch"]
    gate.opened.set()
    await completed(one, room.id)

    _, members = await bob.get(f"{path(room.id, 'members')}?at={at}")

    assert {event["state_key"] for event in members["chunk"]} == {ann, room.liar, bob.user_id}
