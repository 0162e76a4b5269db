"""For every endpoint of the federation a request that an honest server would make."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from protocol.events import MEMBER, Event
from protocol.signing import sign_json
from tests.federation.fuzz.world import IDENTITY, TOKEN, World, now
from tests.fixtures.crypto import device_keys

KEYS = "/_matrix/key/v2"
V1 = "/_matrix/federation/v1"
V2 = "/_matrix/federation/v2"

Query = list[tuple[str, str]]


@dataclass(frozen=True)
class Valid:
    """The values of the path's parameters, the query, and the body; `pdu` is where in the body an event is."""

    values: dict[str, str] = field(default_factory=dict)
    query: Query = field(default_factory=list)
    body: Any = None
    pdu: tuple[Any, ...] | None = None


Build = Callable[[World], Awaitable[Valid]]


def _asks(*values: str, query: Callable[[World], Query] = lambda _: []) -> Build:
    """A request with nothing but a path and a query."""

    async def build(world: World) -> Valid:
        return Valid({name: _value(world, name) for name in values}, query(world))

    return build


def _value(world: World, name: str) -> str:
    scene = world.scene
    there = {
        "roomId": scene.room_id,
        "spaceId": world.space,
        "eventId": world.message,
        "userId": scene.alice.user_id,
        "mediaId": world.media_id,
        "serverName": scene.liar.name,
        "keyId": scene.liar.key.name,
        "queryType": "weather",
    }
    return there[name]


def _makes(membership: str) -> Build:
    async def build(world: World) -> Valid:
        scene = world.scene
        user = scene.eve if membership == "leave" else scene.stranger.user(f"u{next(world.numbers) % 20}")
        room_id = world.knockable if membership == "knock" else scene.room_id
        versions = [("ver", str(number)) for number in range(1, 13)] if membership != "leave" else []
        return Valid({"roomId": room_id, "userId": user}, versions)

    return build


def _sends(membership: str) -> Build:
    async def build(world: World) -> Valid:
        scene = world.scene
        user = scene.stranger.user(f"u{next(world.numbers) % 20}")
        room_id = world.knockable if membership == "knock" else scene.room_id
        view = await now(scene, room_id)
        if membership == "leave":
            join = scene.stranger.joins(view, user)
            await scene.sends(join)
            view = await now(scene)
        event = scene.stranger.says(view, user, MEMBER, {"membership": membership}, user)
        return _with_event(event, event.json, ())

    return build


def _with_event(event: Event, body: Any, pdu: tuple[Any, ...]) -> Valid:
    return Valid({"roomId": event.room_id, "eventId": event.event_id}, body=body, pdu=pdu)


async def _invite_v1(world: World) -> Valid:
    event = world.lying.draft(MEMBER, {"membership": "invite"}, world.bob.user_id)
    return _with_event(event, {**event.json, "unsigned": {"invite_room_state": _stripped(world)}}, ())


async def _invite_v2(world: World) -> Valid:
    event = world.lying.draft(MEMBER, {"membership": "invite"}, world.bob.user_id)
    body = {
        "room_version": world.lying.version.id,
        "event": event.json,
        "invite_room_state": _stripped(world),
    }
    return _with_event(event, body, ("event",))


def _stripped(world: World) -> list[Any]:
    return [event.json for event in world.lying.state.values()]


async def _transaction(world: World) -> Valid:
    scene = world.scene
    event = scene.says(await now(scene))
    body = {
        "origin": scene.liar.name,
        "origin_server_ts": 1_700_000_000_000,
        "pdus": [event.json],
        "edus": [{"edu_type": kind, "content": content} for kind, content in _edus(world)],
    }
    return Valid({"txnId": f"fuzz{next(world.numbers)}"}, body=body, pdu=("pdus", 0))


def _edus(world: World) -> list[tuple[str, dict[str, Any]]]:
    scene, number = world.scene, next(world.numbers)
    eve, alice = scene.eve, scene.alice
    keys = {**device_keys(alice), "user_id": eve, "device_id": "EVIL"}
    cross = {"user_id": eve, "usage": ["master"], "keys": {"ed25519:x": "x" * 43}}
    return [
        ("m.typing", {"room_id": scene.room_id, "user_id": eve, "typing": bool(number % 2)}),
        (
            "m.receipt",
            {scene.room_id: {"m.read": {eve: {"event_ids": [world.message], "data": {"ts": number}}}}},
        ),
        (
            "m.presence",
            {"push": [{"user_id": eve, "presence": "online", "last_active_ago": 5, "status_msg": "hi"}]},
        ),
        (
            "m.device_list_update",
            {"user_id": eve, "device_id": "EVIL", "stream_id": number, "prev_id": [number - 1], "keys": keys},
        ),
        ("m.signing_key_update", {"user_id": eve, "master_key": cross, "self_signing_key": cross}),
        (
            "m.direct_to_device",
            {
                "sender": eve,
                "type": "m.dummy",
                "message_id": f"m{number}",
                "messages": {alice.user_id: {alice.device_id: {"a": 1}, "*": {"b": 2}}},
            },
        ),
    ]


async def _missing(world: World) -> Valid:
    scene = world.scene
    body = {
        "earliest_events": [scene.view.latest[0].event_id],
        "latest_events": [world.message],
        "limit": 10,
        "min_depth": 1,
    }
    return Valid({"roomId": scene.room_id}, body=body)


async def _public_rooms(world: World) -> Valid:
    wanted = {"generic_search_term": "x", "room_types": [None, "m.space"]}
    return Valid(body={"limit": 5, "filter": wanted, "include_all_networks": False})


async def _keys_query(world: World) -> Valid:
    alice = world.scene.alice
    return Valid(body={"device_keys": {alice.user_id: [alice.device_id], world.bob.user_id: []}})


async def _keys_claim(world: World) -> Valid:
    alice = world.scene.alice
    return Valid(body={"one_time_keys": {alice.user_id: {alice.device_id: "signed_curve25519"}}})


async def _server_keys(world: World) -> Valid:
    liar = world.scene.liar
    return Valid(body={"server_keys": {liar.name: {liar.key.name: {"minimum_valid_until_ts": 1}}}})


def _signed(mxid: str) -> dict[str, Any]:
    return sign_json({"mxid": mxid, "token": TOKEN}, "id.example", IDENTITY)


async def _exchange(world: World) -> Valid:
    scene = world.scene
    guest = scene.stranger.user(f"guest{next(world.numbers) % 20}")
    body = {
        "type": MEMBER,
        "room_id": scene.room_id,
        "sender": scene.alice.user_id,
        "state_key": guest,
        "content": {
            "membership": "invite",
            "third_party_invite": {"display_name": "x", "signed": _signed(guest)},
        },
    }
    return Valid({"roomId": scene.room_id}, body=body)


async def _onbind(world: World) -> Valid:
    scene, mxid = world.scene, world.bob.user_id
    address = {"medium": "email", "address": "bob@example.org", "mxid": mxid}
    bound = {"room_id": scene.room_id, "sender": scene.alice.user_id, "signed": _signed(mxid)}
    return Valid(body={**address, "invites": [{**address, **bound}]})


async def _policy(world: World) -> Valid:
    return Valid(body=world.scene.says(await now(world.scene)).json, pdu=())


def _query(name: str, value: Callable[[World], str], *more: tuple[str, str]) -> Callable[[World], Query]:
    return lambda world: [(name, value(world)), *more]


def _message(world: World) -> str:
    return world.message


async def _hierarchy(world: World) -> Valid:
    return Valid({"roomId": world.space}, [("suggested_only", "false")])


VALID: dict[tuple[str, str], Build] = {
    ("GET", "/.well-known/matrix/server"): _asks(),
    ("POST", f"{V1}/3pid/onbind"): _onbind,
    ("PUT", f"{V1}/3pid/onbind"): _onbind,
    ("GET", f"{V1}/backfill/{{roomId}}"): _asks("roomId", query=_query("v", _message, ("limit", "5"))),
    ("GET", f"{V1}/event/{{eventId}}"): _asks("eventId"),
    ("GET", f"{V1}/event_auth/{{roomId}}/{{eventId}}"): _asks("roomId", "eventId"),
    ("PUT", f"{V1}/exchange_third_party_invite/{{roomId}}"): _exchange,
    ("POST", f"{V1}/get_missing_events/{{roomId}}"): _missing,
    ("GET", f"{V1}/hierarchy/{{roomId}}"): _hierarchy,
    ("PUT", f"{V1}/invite/{{roomId}}/{{eventId}}"): _invite_v1,
    ("PUT", f"{V2}/invite/{{roomId}}/{{eventId}}"): _invite_v2,
    ("GET", f"{V1}/make_join/{{roomId}}/{{userId}}"): _makes("join"),
    ("GET", f"{V1}/make_knock/{{roomId}}/{{userId}}"): _makes("knock"),
    ("GET", f"{V1}/make_leave/{{roomId}}/{{userId}}"): _makes("leave"),
    ("GET", f"{V1}/media/download/{{mediaId}}"): _asks("mediaId"),
    ("GET", f"{V1}/media/thumbnail/{{mediaId}}"): _asks(
        "mediaId", query=lambda _: [("width", "32"), ("height", "32"), ("method", "scale")]
    ),
    ("GET", f"{V1}/openid/userinfo"): _asks(query=_query("access_token", lambda world: world.openid)),
    ("GET", f"{V1}/publicRooms"): _asks(query=lambda _: [("limit", "5"), ("include_all_networks", "false")]),
    ("POST", f"{V1}/publicRooms"): _public_rooms,
    ("GET", f"{V1}/query/directory"): _asks(query=_query("room_alias", lambda world: world.alias)),
    ("GET", f"{V1}/query/profile"): _asks(
        query=_query("user_id", lambda world: world.scene.alice.user_id, ("field", "displayname"))
    ),
    ("GET", f"{V1}/query/{{queryType}}"): _asks("queryType"),
    ("PUT", f"{V1}/send/{{txnId}}"): _transaction,
    ("PUT", f"{V1}/send_join/{{roomId}}/{{eventId}}"): _sends("join"),
    ("PUT", f"{V2}/send_join/{{roomId}}/{{eventId}}"): _sends("join"),
    ("PUT", f"{V1}/send_knock/{{roomId}}/{{eventId}}"): _sends("knock"),
    ("PUT", f"{V1}/send_leave/{{roomId}}/{{eventId}}"): _sends("leave"),
    ("PUT", f"{V2}/send_leave/{{roomId}}/{{eventId}}"): _sends("leave"),
    ("GET", f"{V1}/state/{{roomId}}"): _asks("roomId", query=_query("event_id", _message)),
    ("GET", f"{V1}/state_ids/{{roomId}}"): _asks("roomId", query=_query("event_id", _message)),
    ("GET", f"{V1}/timestamp_to_event/{{roomId}}"): _asks(
        "roomId", query=lambda _: [("ts", "1700000000000"), ("dir", "f")]
    ),
    ("GET", f"{V1}/user/devices/{{userId}}"): _asks("userId"),
    ("POST", f"{V1}/user/keys/claim"): _keys_claim,
    ("POST", f"{V1}/user/keys/query"): _keys_query,
    ("GET", f"{V1}/version"): _asks(),
    ("GET", "/_matrix/federation/unstable/org.matrix.msc4370/extremities/{roomId}"): _asks("roomId"),
    ("POST", f"{KEYS}/query"): _server_keys,
    ("GET", f"{KEYS}/query/{{serverName}}"): _asks("serverName"),
    ("GET", f"{KEYS}/query/{{serverName}}/{{keyId}}"): _asks(
        "serverName", "keyId", query=lambda _: [("minimum_valid_until_ts", "5")]
    ),
    ("GET", f"{KEYS}/server"): _asks(),
    ("GET", f"{KEYS}/server/"): _asks(),
    ("GET", f"{KEYS}/server/{{keyId}}"): _asks("keyId"),
    ("POST", "/_matrix/policy/v1/sign"): _policy,
}
