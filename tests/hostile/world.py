"""A small world on one homeserver, in which a valid request of every operation has something to be about."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote

import orjson

from storage.threepid_sessions import ThreepidSession, begin_session, validate_session
from storage.threepids import Threepid, insert_threepid
from tests.fixtures.appservice import AS_TOKEN
from tests.fixtures.client import Answer, Client
from tests.fixtures.homeserver import PASSWORD, Homeserver
from tests.hostile.operations import Operation
from web.endpoint import Auth

NAME = "one.example"
KEY_DATA = {
    "first_message_index": 1,
    "forwarded_count": 0,
    "is_verified": True,
    "session_data": {"ephemeral": "e", "ciphertext": "c", "mac": "m"},
}
AUTH_DATA = {"public_key": "abcdefg", "signatures": {}}
RULE = {"actions": ["notify"], "conditions": [{"kind": "event_match", "key": "type", "pattern": "x"}]}


@dataclass
class Place:
    """What all worlds share: bob, carol and dora, bob's rooms, and the user of the application service, if there is one."""

    homeserver: Homeserver
    bob: Client
    carol: Client
    dora: Client
    admin: Client
    bridge: Client
    joinable: str
    knockable: str
    closed: str
    closed_event: str
    media_id: str
    numbers: Any = field(default_factory=lambda: count(1))


@dataclass
class World:
    """A new user, and a room of theirs: bob is in it, carol is banned, and dora has never heard of it."""

    place: Place
    me: Client
    room: str
    left: str
    event: str
    alias: str
    filter_id: str
    version: str
    refresh_token: str
    since: str
    reserved: str
    txns: Any = field(default_factory=count)

    async def send(self, operation: Operation, request: Request, **what: Any) -> Answer:
        """What the server says to the request; `what` is given on to the client."""
        if "data" not in what and request.body is not None:
            what["data"] = orjson.dumps(request.body)
        sender = self.place.admin if "/admin/" in operation.path else self.me
        if operation.endpoint.auth is Auth.APPSERVICE:
            sender = self.place.bridge
        what.setdefault("allow_redirects", False)  # where they lead is not ours
        return await sender.request(operation.method, request.target(operation.path), **what)


@dataclass
class Request:
    """A request that can be spoilt: the path's parameters and the query raw (percent-encoded), the body as a value."""

    path: dict[str, str]
    query: list[tuple[str, str]]
    body: Any

    def target(self, template: str) -> str:
        """Path and query."""
        for name, value in self.path.items():
            template = template.replace(f"{{{name}}}", value)
        return template + ("?" + "&".join(f"{name}={value}" for name, value in self.query)).rstrip("?")


async def make_place(homeserver: Homeserver) -> Place:
    """Once for a test."""
    bob, carol, dora, admin = [await homeserver.user(name) for name in ("bob", "carol", "dora", "admin")]
    async with homeserver.tenant.database.read() as tx:
        await tx.execute("UPDATE users SET is_admin = true WHERE user_id = $1", admin.user_id)
    rule = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    closed = await bob.create_room(name="closed")
    uploaded = await bob.ok("POST", "/_matrix/media/v3/upload?filename=a.png", data=PIXEL, headers=PNG)
    return Place(
        homeserver,
        bob,
        carol,
        dora,
        admin,
        Client(homeserver.session, homeserver.url, access_token=AS_TOKEN),
        joinable=await bob.create_room(preset="public_chat"),
        knockable=await bob.create_room(initial_state=[rule]),
        closed=closed,
        closed_event=await bob.send(closed, "secret"),
        media_id=uploaded["content_uri"].rpartition("/")[2],
    )


async def make_world(place: Place) -> World:
    """A fresh one: nothing that was done in another is felt in it."""
    number = next(place.numbers)
    client = place.homeserver.nobody()
    body = {"username": f"u{number}", "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
    said = await client.ok("POST", "register", json=body | {"refresh_token": True})
    client.user_id, client.device_id, client.password = said["user_id"], said["device_id"], PASSWORD
    client.access_token = said["access_token"]
    room = await client.create_room(preset="public_chat", room_alias_name=f"u{number}")
    await place.bob.join(room)
    if place.homeserver.tenant.appservices.known:
        await place.bridge.join(room)
    await client.ok("POST", f"rooms/{room}/ban", json={"user_id": place.carol.user_id})
    await client.join(place.joinable)
    await client.leave(place.joinable)
    await client.ok("PUT", "pushrules/global/override/mine", json=RULE)
    await client.ok("PUT", f"user/{client.user_id}/account_data/m.custom", json={"a": 1})
    await client.ok("PUT", f"user/{client.user_id}/rooms/{room}/account_data/m.custom", json={"a": 1})
    await client.ok("PUT", f"profile/{client.user_id}/displayname", json={"displayname": "Me"})
    backup = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": AUTH_DATA}
    version = (await client.ok("POST", "room_keys/version", json=backup))["version"]
    await client.ok("PUT", f"room_keys/keys/{room}/s?version={version}", json=KEY_DATA)
    filter_id = (await client.ok("POST", f"user/{client.user_id}/filter", json={}))["filter_id"]
    await client.set_state(room, "m.custom", {}, "key")
    event = await client.send(room, "hello")
    await _make_threepid(place.homeserver, client)
    since = (await client.sync(filter=orjson.dumps({"room": {"rooms": []}}).decode()))["next_batch"]
    return World(
        place,
        client,
        room,
        place.joinable,
        event,
        f"#u{number}:{NAME}",
        filter_id,
        version,
        said["refresh_token"],
        since,
        await _reserved(client),
    )


async def _reserved(client: Client) -> str:
    """The ID of a file that the client is to upload yet."""
    created = await client.ok("POST", "/_matrix/media/v1/create", json={})
    return str(created["content_uri"]).rpartition("/")[2]


def address_of(user: Client) -> str:
    """The user's e-mail address."""
    return f"{user.user_id[1:].partition(':')[0]}@example.org"


def session_of(user: Client) -> dict[str, str]:
    """What shows that the user has another e-mail address too."""
    return {"sid": f"sid_{user.device_id}", "client_secret": "secret"}


async def _make_threepid(homeserver: Homeserver, user: Client) -> None:
    now = homeserver.tenant.clock.now()
    sid, secret = session_of(user).values()
    other = ThreepidSession(sid, "add", "email", f"other-{address_of(user)}", secret, "token", 1, None, now)
    async with homeserver.tenant.database.read() as tx:
        await insert_threepid(tx, user.user_id, Threepid("email", address_of(user), now, now))
        await begin_session(tx, other, 0)
        await validate_session(tx, sid, now)


def valid_path(world: World, operation: Operation) -> dict[str, str]:
    """The path's parameters of a valid request."""
    room = {"forgetRoom": world.left, "joinRoomById": world.place.joinable}.get(operation.name, world.room)
    named = {"joinRoom": world.place.joinable, "knockRoom": world.place.knockable}.get(
        operation.name, world.room
    )
    state = operation.name in ("getRoomStateWithKey", "setRoomStateWithKey")
    values = {
        "roomId": room,
        "roomIdOrAlias": named,
        "roomAlias": f"{world.alias[:2]}new-{world.alias[2:]}"
        if operation.name == "setRoomAlias"
        else world.alias,
        "eventId": world.event,
        "userId": world.me.user_id,
        "deviceId": world.me.device_id,
        "eventType": "m.custom" if state else "m.room.message",
        "stateKey": "key",
        "txnId": f"hostile-{next(world.txns)}",
        "type": "m.custom",
        "tag": "u.work",
        "keyName": "displayname",
        "kind": "override",
        "ruleId": "mine",
        "filterId": world.filter_id,
        "version": world.version,
        "sessionId": "s",
        "serverName": NAME,
        "mediaId": world.reserved if operation.name == "uploadContentToMXC" else world.place.media_id,
        "fileName": "a.png",
        "receiptType": "m.read",
        "relType": "m.thread",
        "appserviceId": "irc",
        "networkId": "libera",
    }
    return {name: quote(values.get(name, "x"), safe="") for name in operation.parameters}


PNG = {"Content-Type": "image/png"}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d"
    "4944415478da63f8cfc0f01f00050001ff56c72f0d0000000049454e44ae426082"
)
