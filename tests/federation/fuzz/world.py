"""A homeserver with one of everything that another server can ask for, and that other server, which is in a room of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from federation.client.names import Endpoint, Service
from protocol.event_format import MAX_PREV_EVENTS, parse_pdu
from protocol.json import JsonObject
from protocol.signing import SigningKey
from tests.federation.lying_room import LyingRoom
from tests.federation.scene import Scene, set_the_scene
from tests.federation.stranger import View, view_of_room
from tests.fixtures.client import Client
from tests.fixtures.crypto import cross_signing_of, device_keys, one_time_keys
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.lying_server import Asked
from tests.media_repo.pictures import picture, upload

IDENTITY = SigningKey.from_seed("ed25519:0", b"I" * 32)
TOKEN = "token"
SECONDS = 2_000
"""How long the homeserver waits for others (ms)."""


@dataclass
class LocalNames:
    """`localhost` is this machine; so are these hosts, with whatever port: at that one. There are no others."""

    hosts: dict[str, int] = field(default_factory=dict)

    async def endpoints(self, host: str, port: int) -> Sequence[Endpoint]:
        """As told."""
        if host == "localhost":
            return [Endpoint("127.0.0.1", port)]
        return [Endpoint("127.0.0.1", self.hosts[host])] if host in self.hosts else []

    async def services(self, name: str) -> Sequence[Service]:
        """None."""
        return ()


@dataclass
class World:
    """What there is; `invited` is a user of ours whom others invite, `lying` the other server's own room."""

    scene: Scene
    bob: Client
    names: LocalNames
    message: str
    knockable: str
    space: str
    alias: str
    media_id: str
    openid: str
    lying: LyingRoom
    numbers: Iterator[int] = field(default_factory=lambda: count(1))


async def make_world(make_federated: MakeFederated, make_lying: MakeLying, version: str) -> World:
    """A new world; rooms are of this version."""
    names = LocalNames()
    scene = await set_the_scene(
        make_federated,
        make_lying,
        version,
        certified=("localhost", "127.0.0.1", "*.fuzz.example"),
        federation={"timeout": SECONDS},
        presence_enabled=True,
        names=names,
    )
    alice, room_id = scene.alice, scene.room_id
    alias = f"#room:{scene.one.name}"
    pledge = {
        "display_name": "b...@example.org",
        "key_validity_url": f"https://localhost:{scene.liar.port}/_matrix/identity/v2/pubkey/isvalid",
        "public_key": IDENTITY.verify_key.to_base64(),
    }
    scene.liar.on("PUT", "/_matrix/federation/v1/send/", lambda _: {"pdus": {}})
    scene.liar.on("GET", "/_matrix/identity/v2/pubkey/isvalid", lambda _: {"valid": True})
    scene.liar.on(
        "PUT", "/_matrix/federation/v2/invite/", lambda asked: {"event": countersigned(scene, asked)}
    )
    await alice.ok("PUT", f"profile/{alice.user_id}/displayname", json={"displayname": "Alice"})
    await alice.set_state(room_id, "m.room.third_party_invite", pledge, TOKEN)
    await alice.ok("PUT", f"directory/room/{alias.replace('#', '%23')}", json={"room_id": room_id})
    await alice.ok("PUT", f"directory/list/room/{room_id.replace('!', '%21')}", json={"visibility": "public"})
    await with_keys(alice)
    space = await alice.create_room(
        preset="public_chat", room_version=version, creation_content={"type": "m.space"}
    )
    await alice.set_state(space, "m.space.child", {"via": [scene.one.name]}, room_id)
    knocks = [{"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}]
    return World(
        scene,
        await scene.one.user("bob"),
        names,
        message=await alice.send(room_id, "hello"),
        knockable=await alice.create_room(
            room_version=version, initial_state=knocks if int(version) >= 7 else []
        ),
        space=space,
        alias=alias,
        media_id=(await upload(alice, picture(90, 70))).rpartition("/")[2],
        openid=(await alice.ok("POST", f"user/{alice.user_id}/openid/request_token", json={}))[
            "access_token"
        ],
        lying=LyingRoom(scene.liar, version),
    )


async def now(scene: Scene, room_id: str | None = None) -> View:
    """The room's graph as it is on the server; of its ends as many as an event may follow on."""
    view = await view_of_room(scene.one.tenant, room_id or scene.room_id)
    return replace(view, latest=view.latest[-MAX_PREV_EVENTS:])


def countersigned(scene: Scene, asked: Asked) -> JsonObject:
    """The invite that came, with the other server's signature."""
    return scene.liar.signed(parse_pdu(asked.json["event"], scene.view.version)).json


async def with_keys(alice: Client) -> None:
    """Her device has keys, and she has cross-signing keys."""
    keys = {"device_keys": device_keys(alice), "one_time_keys": one_time_keys("1", "2", "3")}
    await alice.ok("POST", "keys/upload", json=keys)
    await alice.ok("POST", "keys/device_signing/upload", json=cross_signing_of(alice).body())
