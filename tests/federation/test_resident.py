"""Letting users of other servers in: what a server that minds no rules may ask for, and what it gets."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from protocol.build import EventDraft, build_event
from protocol.event_format import parse_pdu
from protocol.events import CREATE, MEMBER, Event
from protocol.ids import EventID, RoomID, ServerName, UserID
from protocol.room_versions import version_named
from protocol.templates import read_template
from services.rooms.membership import show_room
from tests.client_api.stored import events_of
from tests.federation.plays import VERSIONS, membership, public_room
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.lying_server import LyingServer

FEDERATION = "/_matrix/federation"


def path(what: str, room_id: str, *rest: str) -> str:
    return "/".join((FEDERATION, what, quote(room_id, safe=""), *(quote(r, safe="") for r in rest)))


async def template(
    server: LyingServer, one: Homeserver, room_id: str, membership: str = "join", user: str = "eve"
) -> tuple[int, Any]:
    user_id = f"@{user}:{server.name}"
    versions = "&".join(f"ver={n}" for n in range(1, 13))
    return await server.request(one, "GET", f"{path(f'v1/make_{membership}', room_id, user_id)}?{versions}")


def completed(
    server: LyingServer, said: Any, room_id: str, membership: str = "join", user: str = "eve", **content: Any
) -> Event:
    """The event by a template, as an honest server would complete it, with further content."""
    version = version_named(said["room_version"])
    user_id = UserID(f"@{user}:{server.name}")
    place = read_template(version, said["event"], RoomID(room_id), user_id, membership)
    via = {} if place.authorised_via is None else {"join_authorised_via_users_server": place.authorised_via}
    return build_event(
        version,
        EventDraft(MEMBER, {"membership": membership, **via, **content}, user_id),
        room_id=RoomID(room_id),
        sender=user_id,
        prev_events=place.prev_events,
        auth_events=place.auth_events,
        depth=place.depth,
        origin_server_ts=server.clock.now(),
        key=server.key,
        server_name=ServerName(server.name),
        event_id=None if version.event_id_is_hash else EventID(f"${user}{server.clock.now()}:{server.name}"),
    )


async def hand_in(
    server: LyingServer, one: Homeserver, event: Event, what: str = "v2/send_join", **changes: Any
) -> tuple[int, Any]:
    query = changes.pop("query", "")
    where = path(what, changes.pop("room_id", event.room_id), changes.pop("event_id", event.event_id))
    return await server.request(one, "PUT", where + query, {**event.json, **changes})


@VERSIONS
async def test_the_room_is_shown_to_who_joins(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    room_id = await public_room(alice, version, name="Hall")
    _, said = await template(server, one, room_id)
    join = completed(server, said, room_id)

    status, shown = await hand_in(server, one, join)

    assert status == 200
    known = version_named(version)
    state = [parse_pdu(pdu, known) for pdu in shown["state"]]
    chain = {parse_pdu(pdu, known).event_id for pdu in shown["auth_chain"]}
    assert {event.key for event in state} >= {(CREATE, ""), (MEMBER, alice.user_id), ("m.room.name", "")}
    assert (MEMBER, join.sender) not in {event.key for event in state}
    named = {event_id for event in (*state, join) for event_id in event.auth_events}
    assert chain >= named
    assert shown["event"] == join.json
    assert not shown["members_omitted"]
    again = await hand_in(server, one, join)
    assert again[0] == 200
    assert {parse_pdu(pdu, known).event_id for pdu in again[1]["state"]} == {e.event_id for e in state}
    joins = [event for event in await events_of(one, room_id) if event["state_key"] == join.sender]
    assert len(joins) == 1


async def test_servers_that_know_only_the_first_form_are_answered_in_it(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    room_id = await public_room(alice)
    _, said = await template(server, one, room_id)
    join = completed(server, said, room_id)

    status, (again, shown) = await hand_in(server, one, join, "v1/send_join")

    assert (status, again) == (200, 200)
    assert {"state", "auth_chain", "event"} <= shown.keys()
    status, said = await template(server, one, room_id, "leave")
    assert status == 200
    leave = completed(server, said, room_id, "leave")
    assert await hand_in(server, one, leave, "v1/send_leave") == (200, [200, {}])


async def test_members_are_left_out_where_that_is_asked_for(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show_room, "FEW", 3)
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    named, nameless = await public_room(alice, name="Hall"), await public_room(alice)
    for number in range(7):
        user = await one.user(f"user{number}")
        await user.join(named)
        await user.join(nameless)
    shown = {}
    for room_id in (named, nameless):
        _, said = await template(server, one, room_id)
        join = completed(server, said, room_id)
        status, shown[room_id] = await hand_in(server, one, join, query="?omit_members=true")
        assert status == 200

    for room_id, members in ((named, 0), (nameless, 5)):
        reply = shown[room_id]
        assert reply["members_omitted"] is True
        assert reply["servers_in_room"] == [one.name]
        assert len([pdu for pdu in reply["state"] if pdu["type"] == MEMBER]) == members
        assert all(pdu not in reply["state"] for pdu in reply["auth_chain"])
        known = {parse_pdu(pdu, version_named("11")).event_id for pdu in reply["state"] + reply["auth_chain"]}
        needed = {event_id for pdu in reply["state"] + reply["auth_chain"] for event_id in pdu["auth_events"]}
        assert needed <= known


async def test_what_is_no_join_of_theirs_is_refused(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    room_id, other = await public_room(alice), await public_room(alice)
    _, said = await template(server, one, room_id)
    join = completed(server, said, room_id)
    leave = completed(
        server, {**said, "event": {**said["event"], "content": {"membership": "leave"}}}, room_id, "leave"
    )

    refused = (400, "M_INVALID_PARAM")
    for event, changes, expected in (
        (leave, {}, refused),
        (join, {"sender": alice.user_id, "state_key": alice.user_id}, refused),
        (join, {"content": {"membership": "join", "displayname": "x"}}, refused),
        (join, {"signatures": {server.name: {server.key.name: "A" * 86}}}, refused),
        (join, {"signatures": {}}, refused),
        (join, {"room_id": other}, refused),
        (join, {"event_id": "$" + "x" * 43}, refused),
        (join, {"depth": "deep"}, refused),
        (join, {"type": "m.room.message"}, refused),
    ):
        status, body = await hand_in(server, one, event, **changes)
        assert (status, body["errcode"]) == expected, changes
    assert await membership(one, room_id, join.sender) == {}
    assert (await hand_in(server, one, join))[0] == 200


async def test_templates_are_made_only_for_what_is_allowed(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    public, private = await public_room(alice), await alice.create_room(preset="private_chat")
    await alice.ok("POST", f"rooms/{public}/ban", json={"user_id": f"@mallory:{server.name}"})
    gone = await public_room(alice)
    await alice.leave(gone)

    async def asked(room_id: str, membership: str = "join", user: str = "eve") -> tuple[int, str]:
        status, body = await template(server, one, room_id, membership, user)
        return status, body.get("errcode", "")

    assert await asked(public) == (200, "")
    assert await asked(private) == (403, "M_FORBIDDEN")
    assert await asked(public, user="mallory") == (403, "M_FORBIDDEN")
    assert await asked(public, "leave") == (403, "M_FORBIDDEN")
    assert await asked(public, "knock") == (403, "M_FORBIDDEN")
    assert await asked("!nowhere:example.org") == (404, "M_NOT_FOUND")
    assert await asked(gone) == (404, "M_NOT_FOUND")
    status, body = await server.request(
        one, "GET", path("v1/make_join", public, f"@eve:{server.name}") + "?ver=1&ver=2"
    )
    assert (status, body["errcode"], body["room_version"]) == (400, "M_INCOMPATIBLE_ROOM_VERSION", "11")
    status, body = await server.request(one, "GET", path("v1/make_join", public, alice.user_id) + "?ver=11")
    assert (status, body["errcode"]) == (403, "M_FORBIDDEN")


async def test_a_server_that_the_room_shuts_out(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    one, server = await make_federated(), await make_lying(name="127.0.0.1")
    server.name = f"127.0.0.1:{server.port}"
    alice = await one.user("alice")
    room_id = await public_room(alice)
    _, said = await template(server, one, room_id)
    join = completed(server, said, room_id)
    acl = {"allow": ["*"], "allow_ip_literals": False}
    await alice.set_state(room_id, "m.room.server_acl", acl)

    assert (await template(server, one, room_id))[0] == 403
    assert (await hand_in(server, one, join))[0] == 403
    assert (await template(server, one, room_id, "leave"))[0] == 403


async def restricted(one: Homeserver, server: LyingServer, alice: Any) -> tuple[str, str]:
    """A space, in which the lying server's user is, and a room for its members."""
    space = await public_room(alice)
    allow = [{"type": "m.room_membership", "room_id": space}]
    rules = {"type": "m.room.join_rules", "content": {"join_rule": "restricted", "allow": allow}}
    room_id = await alice.create_room(room_version="11", initial_state=[rules])
    _, said = await template(server, one, space)
    assert (await hand_in(server, one, completed(server, said, space)))[0] == 200
    return space, room_id


async def test_we_vouch_for_who_is_in_the_space(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    _, room_id = await restricted(one, server, alice)
    _, said = await template(server, one, room_id)
    join = completed(server, said, room_id)

    status, shown = await hand_in(server, one, join)

    assert status == 200
    assert join.content["join_authorised_via_users_server"] == alice.user_id
    assert set(shown["event"]["signatures"]) == {one.name, server.name}


@pytest.mark.parametrize("lapse", ["kicked from the space", "nobody to vouch", "stranger"])
async def test_the_conditions_are_looked_at_again_before_we_sign(
    make_federated: MakeFederated, make_lying: MakeLying, lapse: str
) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    space, room_id = await restricted(one, server, alice)
    _, said = await template(server, one, room_id)
    join = completed(server, said, room_id)
    if lapse == "kicked from the space":
        await alice.ok("POST", f"rooms/{space}/kick", json={"user_id": join.sender})
    elif lapse == "nobody to vouch":
        join = completed(server, said, room_id, join_authorised_via_users_server=f"@nobody:{one.name}")
    else:
        other = completed(
            server,
            {
                **said,
                "event": {
                    **said["event"],
                    **dict.fromkeys(("sender", "state_key"), f"@mallory:{server.name}"),
                },
            },
            room_id,
            user="mallory",
        )
        join = other

    status, body = await hand_in(server, one, join)

    assert (status, body["errcode"]) == (403, "M_FORBIDDEN")
    assert await membership(one, room_id, join.sender) == {}


async def test_a_join_that_waits_in_a_room_that_goes_on(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    room_id = await public_room(alice)
    users = [f"eve{n}" for n in range(5)]
    said = [await template(server, one, room_id, user=user) for user in users]
    await alice.send(room_id, "the room goes on")
    await alice.set_state(room_id, "m.room.topic", {"topic": "on and on"})

    replies = await asyncio.gather(
        *(
            hand_in(server, one, completed(server, body, room_id, user=user))
            for user, (_, body) in zip(users, said, strict=True)
        ),
        *(alice.send(room_id, str(n)) for n in range(10)),
    )

    assert [reply[0] for reply in replies[:5]] == [200] * 5
    for user in users:
        assert (await membership(one, room_id, f"@{user}:{server.name}"))["membership"] == "join"


async def test_a_join_after_a_ban_that_was_not_known(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    room_id = await public_room(alice)
    _, said = await template(server, one, room_id)
    join = completed(server, said, room_id)
    await alice.ok("POST", f"rooms/{room_id}/ban", json={"user_id": join.sender})

    status, body = await hand_in(server, one, join)

    assert (status, body["errcode"]) == (403, "M_FORBIDDEN")
    assert (await membership(one, room_id, join.sender))["membership"] == "ban"


async def test_a_join_on_events_that_we_do_not_have(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    room_id = await public_room(alice)
    _, said = await template(server, one, room_id)
    unknown = {**said["event"], "prev_events": ["$" + "x" * 43]}

    status, body = await hand_in(server, one, completed(server, {**said, "event": unknown}, room_id))

    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")


async def test_a_knock_shows_whole_events(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    rules = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    room_id = await alice.create_room(room_version="12", initial_state=[rules], name="Club")
    _, said = await template(server, one, room_id, "knock")
    knock = completed(server, said, room_id, "knock")

    status, body = await hand_in(server, one, knock, "v1/send_knock")

    assert status == 200
    shown = [parse_pdu(pdu, version_named("12")) for pdu in body["knock_room_state"]]
    assert {event.type for event in shown} >= {CREATE, "m.room.name", "m.room.join_rules"}
    assert all(event.room_id == room_id for event in shown)
