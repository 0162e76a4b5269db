"""Templates and rooms of servers that lie: nothing of theirs is signed or believed that was not asked for."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.events import CREATE, MEMBER
from tests.federation.lying_room import LyingRoom
from tests.federation.plays import membership, path
from tests.fixtures.federation import MakeFederated, MakeLying


async def joined(make_federated: MakeFederated, room: LyingRoom) -> tuple[Any, int]:
    """A homeserver whose user has tried to join, and the status that came of it."""
    one = await make_federated()
    bob = await one.user("bob")
    status, _ = await bob.post(f"{path(room.id, 'join')}?via={room.server.name}", {})
    return one, status


@pytest.mark.parametrize("version", ["1", "6", "10", "11", "12"])
async def test_an_honest_one_is_followed(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    room = LyingRoom(await make_lying(), version)
    room.opens()

    one, status = await joined(make_federated, room)

    assert status == 200
    assert (await membership(one, room.id, f"@bob:{one.name}"))["membership"] == "join"


LIES: list[dict[str, Any]] = [
    {"type": "m.room.power_levels"},
    {"room_id": "!other:one.example"},
    {"sender": "@liar:one.example"},
    {"state_key": "@liar:one.example"},
    {"content": {"membership": "ban"}},
    {"content": {"membership": "leave"}},
    {"prev_events": []},
    {"prev_events": ["$x"] * 30},
    {"depth": "deep"},
]


@pytest.mark.parametrize("lie", LIES, ids=str)
async def test_a_template_of_something_else_is_not_signed(
    make_federated: MakeFederated, make_lying: MakeLying, lie: dict[str, Any]
) -> None:
    room = LyingRoom(await make_lying())
    room.opens(template=lie)

    one, status = await joined(make_federated, room)

    assert status == 502
    assert room.joins_handed_in() == []
    assert await membership(one, room.id, f"@bob:{one.name}") == {}


async def test_what_else_a_template_says_is_left_out(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    room = LyingRoom(await make_lying())
    content = {"membership": "join", "displayname": "Fool", "third_party_invite": {}, "reason": "stupid"}
    room.opens(template={"content": content, "redacts": "$x", "origin_server_ts": 1, "unsigned": {"a": 1}})

    one, status = await joined(make_federated, room)

    assert status == 200
    join = room.joins_handed_in()[0]
    assert join.content == {"membership": "join", "displayname": "bob"} or join.content == {
        "membership": "join"
    }
    assert join.origin_server_ts > 1
    assert "redacts" not in join.json
    assert set(join.json["signatures"]) == {one.name}


@pytest.mark.parametrize("who", ["us", "a third"])
async def test_nobody_vouches_for_us_but_the_server_that_says_so(
    make_federated: MakeFederated, make_lying: MakeLying, who: str
) -> None:
    room = LyingRoom(await make_lying())
    one = await make_federated()
    bob = await one.user("bob")
    via = bob.user_id if who == "us" else "@somebody:third.example"
    room.opens(template={"content": {"membership": "join", "join_authorised_via_users_server": via}})

    status, _ = await bob.post(f"{path(room.id, 'join')}?via={room.server.name}", {})

    assert status == 502
    assert room.joins_handed_in() == []


async def test_a_server_that_does_not_sign_what_it_authorises(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    server = await make_lying()
    room = LyingRoom(server)
    rules = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": "!s:x"}]}
    room.put("m.room.join_rules", rules, "")
    content = {"membership": "join", "join_authorised_via_users_server": room.liar}
    room.opens(template={"content": content})

    one, status = await joined(make_federated, room)

    assert status == 502
    assert len(room.joins_handed_in()) == 1
    assert await membership(one, room.id, f"@bob:{one.name}") == {}


async def test_a_version_that_the_room_does_not_have(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    room = LyingRoom(await make_lying(), "10")
    room.opens()
    room.server.on(
        "GET",
        "/_matrix/federation/v1/make_join/",
        lambda _: {**room.template(f"@bob:{one.name}"), "room_version": "11"},
    )
    one = await make_federated()
    bob = await one.user("bob")

    status, _ = await bob.post(f"{path(room.id, 'join')}?via={room.server.name}", {})

    assert status == 502
    assert await membership(one, room.id, bob.user_id) == {}


def without_create(room: LyingRoom) -> dict[str, Any]:
    return {"state": [event.json for key, event in room.state.items() if key[0] != CREATE]}


def of_another_room(room: LyingRoom) -> dict[str, Any]:
    return LyingRoom(room.server, room.version.id).shown()


def with_bad_signatures(room: LyingRoom) -> dict[str, Any]:
    forged = {room.server.name: {room.server.key.name: "A" * 86}}
    return {name: [{**pdu, "signatures": forged} for pdu in pdus] for name, pdus in room.shown().items()}


def with_nobody_in_it(room: LyingRoom) -> dict[str, Any]:
    shown = room.shown()
    return {name: [pdu for pdu in pdus if pdu["type"] != MEMBER] for name, pdus in shown.items()}


def with_nonsense(room: LyingRoom) -> dict[str, Any]:
    return {"state": [{}, {"type": 7}, {"content": []}], "auth_chain": [{"auth_events": "x"}]}


def shut(room: LyingRoom) -> dict[str, Any]:
    rules = room.put("m.room.join_rules", {"join_rule": "invite"}, "")
    state = [event.json for key, event in room.state.items() if key != rules.key]
    return {"state": [*state, rules.json]}


@pytest.mark.parametrize(
    "lie", [without_create, of_another_room, with_bad_signatures, with_nobody_in_it, with_nonsense, shut]
)
@pytest.mark.parametrize("version", ["10", "12"])
async def test_a_room_that_is_not_the_one(
    make_federated: MakeFederated, make_lying: MakeLying, lie: Any, version: str
) -> None:
    room = LyingRoom(await make_lying(), version)
    template = room.template("@bob:there")["event"]
    room.opens(
        template={name: template[name] for name in ("prev_events", "auth_events", "depth")},
        shown=lie(room),
    )

    one, status = await joined(make_federated, room)

    assert status == 502
    assert await membership(one, room.id, f"@bob:{one.name}") == {}


async def test_members_that_did_not_sign_are_left_out(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    room = LyingRoom(await make_lying())
    victim = "@victim:honest.example"
    room.put(MEMBER, {"membership": "join"}, victim, sender=victim)
    room.put(
        MEMBER, {"membership": "join"}, f"@friend:{room.server.name}", sender=f"@friend:{room.server.name}"
    )
    room.opens()

    one, status = await joined(make_federated, room)

    assert status == 200
    assert await membership(one, room.id, victim) == {}
    assert (await membership(one, room.id, f"@friend:{room.server.name}"))["membership"] == "join"


async def test_an_endless_answer_is_cut_off(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    room = LyingRoom(await make_lying())
    room.opens(shown={"state": [{"content": {"body": "x" * 1000}} for _ in range(60_000)]})

    one, status = await joined(make_federated, room)

    assert status == 502
    assert await membership(one, room.id, f"@bob:{one.name}") == {}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ((400, {"errcode": "M_MISSING_PARAM", "error": "?"}), (502, "M_UNKNOWN")),
        ((400, {"errcode": "M_INVALID_PARAM", "error": "?"}), (502, "M_UNKNOWN")),
        ((500, {"errcode": "M_UNKNOWN", "error": "?"}), (502, "M_UNKNOWN")),
        ((401, {"errcode": "M_UNKNOWN_TOKEN", "error": "?"}), (502, "M_UNKNOWN")),
        ((403, {"errcode": "M_FORBIDDEN", "error": "?"}), (403, "M_FORBIDDEN")),
        ((403, {"errcode": "M_USER_LOCKED", "error": "?"}), (403, "M_FORBIDDEN")),
        ((404, {"errcode": "M_NOT_FOUND", "error": "?"}), (404, "M_NOT_FOUND")),
        (
            (400, {"errcode": "M_INCOMPATIBLE_ROOM_VERSION", "error": "?", "room_version": "99"}),
            (400, "M_INCOMPATIBLE_ROOM_VERSION"),
        ),
        ((200, {"room_version": "11"}), (502, "M_UNKNOWN")),
        ((200, [1]), (502, "M_UNKNOWN")),
    ],
    ids=str,
)
async def test_what_the_client_is_told_of_a_refusal(
    make_federated: MakeFederated, make_lying: MakeLying, said: Any, told: tuple[int, str]
) -> None:
    server = await make_lying()
    server.on("GET", "/_matrix/federation/v1/make_join/", lambda _: said)
    one = await make_federated()
    bob = await one.user("bob")

    status, body = await bob.post(f"rooms/!r:{server.name}/join?via={server.name}", {})

    assert (status, body["errcode"]) == told


@pytest.mark.parametrize(
    "lie", [{"sender": "@other:one"}, {"content": {"membership": "join"}}, {"room_id": "!x:y"}]
)
async def test_a_leave_is_not_what_the_inviting_server_makes_of_it(
    make_federated: MakeFederated, make_lying: MakeLying, lie: dict[str, Any]
) -> None:
    one, server = await make_federated(), await make_lying()
    bob = await one.user("bob")
    room = LyingRoom(server)
    invite = room.put(MEMBER, {"membership": "invite"}, bob.user_id)
    body = {"room_version": "11", "event": invite.json, "invite_room_state": []}
    assert (await server.request(one, "PUT", room.path("v2/invite", invite.event_id), body))[0] == 200
    made = room.template(bob.user_id, "leave")
    server.on(
        "GET", "/_matrix/federation/v1/make_leave/", lambda _: {**made, "event": {**made["event"], **lie}}
    )

    await bob.leave(room.id)

    assert server.times_asked("/_matrix/federation/v1/make_leave/") == 1
    assert server.times_asked("/_matrix/federation/v2/send_leave/") == 0
    assert (await membership(one, room.id, bob.user_id))["membership"] == "leave"


async def test_a_knock_shows_only_what_is_what_it_claims(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    bob = await one.user("bob")
    room, other = LyingRoom(server, "12", "knock"), LyingRoom(server, "12")
    room.put("m.room.name", {"name": "Club"}, "")
    topic = other.put("m.room.topic", {"topic": "of another room"}, "")
    avatar = room.put("m.room.avatar", {"url": "mxc://a/b"}, "")
    forged = {**avatar.json, "content": {"url": "mxc://evil/b"}}
    shown = [room.state[CREATE, ""].json, room.state["m.room.name", ""].json, topic.json, forged, 7]
    server.on("GET", "/_matrix/federation/v1/make_knock/", lambda _: room.template(bob.user_id, "knock"))
    server.on("PUT", "/_matrix/federation/v1/send_knock/", lambda _: {"knock_room_state": shown})

    await bob.ok("POST", f"knock/{path(room.id)[6:]}?via={server.name}", json={})

    row = await membership(one, room.id, bob.user_id)
    assert row["membership"] == "knock"
    contents = {event["type"]: event["content"] for event in row["stripped"]}
    assert contents["m.room.name"] == {"name": "Club"}
    assert "m.room.topic" not in contents
    assert contents.get("m.room.avatar", {}) == {}
