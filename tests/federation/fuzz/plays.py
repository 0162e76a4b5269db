"""What users of ours do for which another server is asked, and what an honest one would answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from protocol.events import MEMBER
from protocol.hashes import signed_bytes
from protocol.signing import SigningKey
from services.rooms.receive import bridge
from tests.federation.fuzz.world import World, countersigned, now
from tests.federation.lying_room import LyingRoom
from tests.federation.stranger import View
from tests.federation.telling import Teller
from tests.fixtures.client import Answer
from tests.fixtures.crypto import device_keys, one_time_keys
from tests.media_repo.pictures import picture

V1 = "/_matrix/federation/v1"
V2 = "/_matrix/federation/v2"
POLICY = SigningKey.from_seed("ed25519:policy_server", b"p" * 32)
BOUNDARY = "b0undary"

Act = Callable[[World], Awaitable[list[Answer]]]


@dataclass(frozen=True)
class Play:
    """The question whose answer is spoilt, and what a user does so that it is asked: all that they are answered."""

    method: str
    start: str
    act: Act


def part(text: str) -> str:
    """As a segment of a path."""
    return quote(text, safe="")


def _room(world: World, join_rule: str = "public") -> LyingRoom:
    room = LyingRoom(world.scene.liar, world.lying.version.id, join_rule)
    for body in ("one", "two", "three"):
        room.put("m.room.message", {"msgtype": "m.text", "body": body})
    room.opens()
    return room


async def _joins(world: World) -> list[Answer]:
    room = _room(world)
    alice, liar = world.scene.alice, world.scene.liar
    said = await alice.post(f"rooms/{part(room.id)}/join?via={liar.name}")
    return [said, await alice.post(f"rooms/{part(room.id)}/leave")]


async def _reads_on(world: World) -> list[Answer]:
    room = _room(world)
    alice, liar = world.scene.alice, world.scene.liar
    history = {
        "origin": liar.name,
        "origin_server_ts": 1,
        "pdus": [e.json for e in reversed(room.events.values())],
    }
    liar.on("GET", f"{V1}/backfill/", lambda _: history)
    at = f"rooms/{part(room.id)}"
    return [
        await alice.post(f"{at}/join?via={liar.name}"),
        await alice.get(f"{at}/messages?dir=b&limit=20"),
    ]


async def _goes_to_a_time(world: World) -> list[Answer]:
    room = _room(world)
    alice, liar = world.scene.alice, world.scene.liar
    event = room.latest
    assert event is not None
    found = {"event_id": event.event_id, "origin_server_ts": event.origin_server_ts}
    liar.on("GET", f"{V1}/timestamp_to_event/", lambda _: found)
    at = f"rooms/{part(room.id)}"
    return [
        await alice.post(f"{at}/join?via={liar.name}"),
        await alice.get(f"/_matrix/client/v1/{at}/timestamp_to_event?ts={event.origin_server_ts}&dir=b"),
    ]


async def _knocks(world: World) -> list[Answer]:
    room = _room(world, "knock")
    alice, liar = world.scene.alice, world.scene.liar
    liar.on("GET", f"{V1}/make_knock/", lambda _: room.template(alice.user_id, "knock"))
    shown = {"knock_room_state": [event.json for event in room.state.values()]}
    liar.on("PUT", f"{V1}/send_knock/", lambda _: shown)
    said = await alice.post(f"knock/{part(room.id)}?via={liar.name}")
    return [said, await alice.post(f"rooms/{part(room.id)}/leave")]


async def _declines(world: World) -> list[Answer]:
    room, liar, bob = _room(world), world.scene.liar, world.bob
    event = room.draft(MEMBER, {"membership": "invite"}, bob.user_id)
    state = [one.json for one in room.state.values()]
    body = {"room_version": room.version.id, "event": event.json, "invite_room_state": state}
    await liar.request(world.scene.one, "PUT", room.path("v2/invite", event.event_id), body)
    liar.on("GET", f"{V1}/make_leave/", lambda _: room.template(bob.user_id, "leave"))
    liar.on("PUT", f"{V2}/send_leave/", lambda _: {})
    return [await bob.post(f"rooms/{part(room.id)}/leave")]


async def _invites(world: World) -> list[Answer]:
    scene = world.scene
    scene.liar.on("PUT", f"{V2}/invite/", lambda asked: {"event": countersigned(scene, asked)})
    guest = f"@guest{next(world.numbers)}:{scene.liar.name}"
    return [await scene.alice.post(f"rooms/{part(scene.room_id)}/invite", {"user_id": guest})]


def _gets(path: str, start: str, answer: Callable[[World], Any], method: str = "GET") -> Play:
    """A client's GET, for which one question is asked; `{}` is a new number, `{liar}` the other server."""

    async def act(world: World) -> list[Answer]:
        liar = world.scene.liar
        said = answer(world)
        liar.on(method, start, lambda _: said)
        number = str(next(world.numbers))
        return [await world.scene.alice.get(path.replace("{}", number).replace("{liar}", liar.name))]

    return Play(method, start, act)


async def _asks_for_keys(world: World) -> list[Answer]:
    alice, liar = world.scene.alice, world.scene.liar
    user = f"@keys{next(world.numbers)}:{liar.name}"
    keys = {**device_keys(alice), "user_id": user, "unsigned": {"device_display_name": "x"}}
    master = {"user_id": user, "usage": ["master"], "keys": {"ed25519:x": "x" * 43}}
    said = {
        "device_keys": {user: {alice.device_id: keys}},
        "master_keys": {user: master},
        "self_signing_keys": {user: master},
    }
    liar.on("POST", f"{V1}/user/keys/query", lambda _: said)
    claimed = {"one_time_keys": {user: {"X": one_time_keys("1")}}}
    liar.on("POST", f"{V1}/user/keys/claim", lambda _: claimed)
    claim = {"one_time_keys": {user: {"X": "signed_curve25519"}}, "timeout": 2000}
    return [
        await alice.post("keys/query", {"device_keys": {user: []}}),
        await alice.post("keys/claim", claim),
    ]


async def _follows_a_list(world: World) -> list[Answer]:
    scene, number = world.scene, next(world.numbers)
    user = scene.stranger.user(f"list{number}")
    await scene.sends(scene.stranger.joins(await now(scene), user))
    keys = {**device_keys(scene.alice), "user_id": user, "device_id": "EVIL"}
    devices = {
        "user_id": user,
        "stream_id": number,
        "devices": [{"device_id": "EVIL", "keys": keys, "device_display_name": "evil"}],
        "master_key": {"user_id": user, "usage": ["master"], "keys": {"ed25519:x": "x" * 43}},
    }
    scene.liar.on("GET", f"{V1}/user/devices/", lambda _: devices)
    scene.liar.on("POST", f"{V1}/user/keys/query", lambda _: {"device_keys": {user: {}}})
    asked = {"device_keys": {user: []}}
    first = await scene.alice.post("keys/query", asked)
    update = {"user_id": user, "device_id": "EVIL", "stream_id": number, "prev_id": [number - 1]}
    edu = {"edu_type": "m.device_list_update", "content": {**update, "keys": keys}}
    assert (await scene.liar.transaction(scene.one, [], [edu]))[0] == 200
    async with asyncio.timeout(60):
        while not scene.liar.times_asked(f"{V1}/user/devices/{part(user)}"):
            await asyncio.sleep(0.01)
    return [first, await scene.alice.post("keys/query", asked)]


def _fills_a_gap(tells: bool, many: int = bridge.MAX_SINGLE) -> Act:
    """`many`: more events than that of a state are asked for together."""

    async def act(world: World) -> list[Answer]:
        scene = world.scene
        teller = Teller(scene)
        view = await now(scene)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bridge, "MAX_SINGLE", many)
            return await _with_gap(world, teller, view, tells)

    return act


async def _with_gap(world: World, teller: Teller, view: View, tells: bool) -> list[Answer]:
    scene = world.scene
    teller.events |= {event.event_id: event for event in view.state.values()}
    renamed = {"membership": "join", "displayname": f"Eve {next(world.numbers)}"}
    events = [scene.says(view, MEMBER, renamed, scene.eve)]
    view = teller.knows(view, events[0])
    for _ in range(2):
        events.append(scene.says(view))
        view = teller.knows(view, events[-1])
    teller.between(*(events[:2] if tells else ()))
    status, _ = await scene.liar.transaction(scene.one, [events[2].json])
    async with asyncio.timeout(60):
        while scene.one.tenant.inbound.length(scene.room_id):
            await asyncio.sleep(0.01)
    return [(status, {}), await scene.alice.get("sync")]


async def _rests_on_what_is_unknown(world: World) -> list[Answer]:
    scene = world.scene
    teller, view = Teller(scene), await now(scene)
    teller.events |= {event.event_id: event for event in view.state.values()}
    renamed = {"membership": "join", "displayname": f"Eve {next(world.numbers)}"}
    member = scene.says(view, MEMBER, renamed, scene.eve)
    event = scene.says(View(view.version, view.room_id, view.latest, teller.knows(view, member).state))
    status, _ = await scene.liar.transaction(scene.one, [event.json])
    return [(status, {}), await scene.alice.get("sync")]


async def _under_policy(world: World) -> list[Answer]:
    scene, liar = world.scene, world.scene.liar
    content = {"via": liar.name, "public_keys": {"ed25519": POLICY.verify_key.to_base64()}}
    await scene.alice.set_state(scene.room_id, "m.room.policy", content)

    def sign(asked: Any) -> Any:
        return {liar.name: {POLICY.name: POLICY.sign(signed_bytes(asked.json, scene.view.version))}}

    liar.on("POST", "/_matrix/policy/v1/sign", sign)
    at = f"rooms/{part(scene.room_id)}/send/m.room.message/p{next(world.numbers)}"
    said = await scene.alice.put(at, {"body": "x", "msgtype": "m.text"})
    await scene.alice.set_state(scene.room_id, "m.room.policy", {})
    return [said]


async def _by_well_known(world: World) -> list[Answer]:
    liar, host = world.scene.liar, f"host{next(world.numbers)}.fuzz.example"
    world.names.hosts[host] = liar.port
    liar.on("GET", "/.well-known/matrix/server", lambda _: {"m.server": liar.name})
    liar.on("GET", f"{V1}/query/profile", lambda _: {"displayname": "x"})
    return [await world.scene.alice.get(f"profile/@x:{host}")]


async def _by_key(world: World) -> list[Answer]:
    """A server that we do not know yet asks something: its key must be fetched."""
    liar = world.scene.liar
    host = f"key{next(world.numbers)}.fuzz.example:{liar.port}"
    world.names.hosts[host.partition(":")[0]] = liar.port
    name, liar.name = liar.name, host
    try:
        said = liar.key_object()
        liar.on("GET", "/_matrix/key/v2/server", lambda _: said)
        return [await liar.request(world.scene.one, "GET", f"{V1}/publicRooms")]
    finally:
        liar.name = name


async def _tells(world: World) -> list[Answer]:
    scene = world.scene
    scene.liar.on("PUT", f"{V1}/send/", lambda asked: {"pdus": {"$x": {}, "$y": {"error": "no"}}})
    before = scene.liar.times_asked(f"{V1}/send/")
    at = f"rooms/{part(scene.room_id)}/send/m.room.message/t{next(world.numbers)}"
    said = await scene.alice.put(at, {})
    with suppress(TimeoutError):  # after what it cannot understand, we leave a server alone for some seconds
        async with asyncio.timeout(0.3):
            while scene.liar.times_asked(f"{V1}/send/") == before:
                await asyncio.sleep(0.01)
    return [said]


def _summary(world: World) -> Any:
    room = {"room_id": "!room:x", "num_joined_members": 3, "guest_can_join": False, "world_readable": True}
    child = {"type": "m.space.child", "state_key": "!child:x", "sender": "@a:x", "origin_server_ts": 1}
    shown = {**room, "room_type": "m.space", "join_rule": "public"}
    children = {"children_state": [{**child, "content": {"via": ["x"]}}]}
    return {
        "room": {**shown, **children},
        "children": [{**room, "room_id": "!child:x"}],
        "inaccessible_children": [],
    }


async def _walks_a_space(world: World) -> list[Answer]:
    scene, child = world.scene, f"!space{next(world.numbers)}:{world.scene.liar.name}"
    said = _summary(world)
    said["room"]["room_id"] = child
    scene.liar.on("GET", f"{V1}/hierarchy/", lambda _: said)
    await scene.alice.set_state(world.space, "m.space.child", {"via": [scene.liar.name]}, child)
    answers = [
        await scene.alice.get(f"/_matrix/client/v1/rooms/{part(world.space)}/hierarchy"),
        await scene.alice.get(f"/_matrix/client/v1/room_summary/{part(child)}?via={scene.liar.name}"),
    ]
    await scene.alice.set_state(world.space, "m.space.child", {}, child)
    return answers


def _file(_: World) -> web.Response:
    return web.Response(body=multipart(), content_type="multipart/mixed", headers={}, charset=None)


def multipart() -> bytes:
    """A file as servers give it."""
    described = b"Content-Type: application/json\r\n\r\n{}"
    file = b"Content-Type: image/png\r\nContent-Disposition: inline; filename=x.png\r\n\r\n" + picture(20, 20)
    rule = f"--{BOUNDARY}".encode()
    return rule + b"\r\n" + described + b"\r\n" + rule + b"\r\n" + file + b"\r\n" + rule + b"--\r\n"


ROOMS = {
    "chunk": [{"room_id": "!x:y", "num_joined_members": 3, "guest_can_join": False, "world_readable": True}],
    "next_batch": "x",
    "total_room_count_estimate": 1,
}

PLAYS: dict[str, Play] = {
    "make_join": Play("GET", f"{V1}/make_join/", _joins),
    "send_join": Play("PUT", f"{V2}/send_join/", _joins),
    "backfill": Play("GET", f"{V1}/backfill/", _reads_on),
    "timestamp_to_event": Play("GET", f"{V1}/timestamp_to_event/", _goes_to_a_time),
    "make_knock": Play("GET", f"{V1}/make_knock/", _knocks),
    "send_knock": Play("PUT", f"{V1}/send_knock/", _knocks),
    "make_leave": Play("GET", f"{V1}/make_leave/", _declines),
    "send_leave": Play("PUT", f"{V2}/send_leave/", _declines),
    "invite": Play("PUT", f"{V2}/invite/", _invites),
    "profile": _gets(
        "profile/@x{}:{liar}",
        f"{V1}/query/profile",
        lambda _: {"displayname": "x", "avatar_url": "mxc://a/b"},
    ),
    "directory": _gets(
        "directory/room/%23x{}:{liar}",
        f"{V1}/query/directory",
        lambda world: {"room_id": world.scene.room_id, "servers": [world.scene.liar.name]},
    ),
    "publicRooms": _gets("publicRooms?limit=5&server={liar}", f"{V1}/publicRooms", lambda _: ROOMS, "POST"),
    "keys/query": Play("POST", f"{V1}/user/keys/query", _asks_for_keys),
    "keys/claim": Play("POST", f"{V1}/user/keys/claim", _asks_for_keys),
    "devices": Play("GET", f"{V1}/user/devices/", _follows_a_list),
    "get_missing_events": Play("POST", f"{V1}/get_missing_events/", _fills_a_gap(True)),
    "state_ids": Play("GET", f"{V1}/state_ids/", _fills_a_gap(False)),
    "state": Play("GET", f"{V1}/state/", _fills_a_gap(False, many=0)),
    "event": Play("GET", f"{V1}/event/", _fills_a_gap(False)),
    "event_auth": Play("GET", f"{V1}/event_auth/", _rests_on_what_is_unknown),
    "policy": Play("POST", "/_matrix/policy/v1/sign", _under_policy),
    "well-known": Play("GET", "/.well-known/matrix/server", _by_well_known),
    "keys of servers": Play("GET", "/_matrix/key/v2/server", _by_key),
    "send": Play("PUT", f"{V1}/send/", _tells),
    "hierarchy": Play("GET", f"{V1}/hierarchy/", _walks_a_space),
    "media": _gets("/_matrix/client/v1/media/download/{liar}/x{}", f"{V1}/media/download/", _file),
    "thumbnail": _gets(
        "/_matrix/client/v1/media/thumbnail/{liar}/x{}?width=10&height=10", f"{V1}/media/download/", _file
    ),
}
