"""Plays about users of two homeservers: who they are, what they do, their keys and files."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO
from typing import Any
from urllib.parse import quote

from PIL import Image

from protocol.unpadded_base64 import encode_base64
from tests.client_api.stored import path
from tests.fixtures.client import Client
from tests.fixtures.crypto import cross_signing_of, device_keys, one_time_keys
from tests.media_repo.pictures import picture
from tests.peers.stage import LONG, Stage, heard, until

ALGORITHM = "signed_curve25519"


async def typing_and_receipts(stage: Stage) -> None:
    """Each sees that the other writes, and has read."""
    alice, bob, room_id = await stage.meeting()
    for who, reader in ((alice, bob), (bob, alice)):
        said = await who.send(room_id, "read this")
        await heard(reader, room_id, said)
        await who.ok("PUT", path(room_id, "typing", who.user_id), json={"typing": True, "timeout": 90_000})
        await _sees(reader, room_id, "m.typing", lambda content, who=who: who.user_id in content["user_ids"])
        await who.ok("PUT", path(room_id, "typing", who.user_id), json={"typing": False})
        await _sees(
            reader, room_id, "m.typing", lambda content, who=who: who.user_id not in content["user_ids"]
        )
        await reader.ok("POST", path(room_id, "receipt", "m.read", said), json={})
        await _sees(
            who,
            room_id,
            "m.receipt",
            lambda content, said=said, reader=reader: (
                reader.user_id in content.get(said, {}).get("m.read", {})
            ),
        )


async def _sees(who: Client, room_id: str, kind: str, right: Any) -> None:
    def told(reply: dict[str, Any]) -> bool:
        events = (
            reply.get("rooms", {}).get("join", {}).get(room_id, {}).get("ephemeral", {}).get("events", [])
        )
        return any(event["type"] == kind and right(event["content"]) for event in events)

    await who.sync_until(told, LONG)


async def profiles(stage: Stage) -> None:
    """Names are looked up at the other server, come along with a join, and change for all."""
    alice, bob = await stage.alice(), await stage.bob()
    await bob.ok("PUT", f"profile/{bob.user_id}/displayname", json={"displayname": "Bob the second"})
    assert (await alice.ok("GET", f"profile/{bob.user_id}"))["displayname"] == "Bob the second"
    assert await alice.ok("GET", f"profile/{bob.user_id}/displayname") == {"displayname": "Bob the second"}
    assert (await alice.get(f"profile/@nobody:{stage.other.name}"))[0] == 404
    room_id = await stage.room(alice)
    await stage.enter(bob, room_id)

    async def named(name: str) -> bool:
        async def as_said() -> bool | None:
            status, content = await alice.get(path(room_id, "state", "m.room.member", bob.user_id))
            return True if status == 200 and content.get("displayname") == name else None

        return await until(alice, as_said)

    await named("Bob the second")
    await bob.ok("PUT", f"profile/{bob.user_id}/displayname", json={"displayname": "Bob the third"})
    await named("Bob the third")


async def directory(stage: Stage) -> None:
    """The other server's public rooms are listed, their aliases and spaces looked up."""
    alice, bob = await stage.alice(), await stage.bob()
    alias = f"listed-{alice.user_id[1:].partition(':')[0]}"
    room_id = await stage.room(alice, name="Listed", room_alias_name=alias)
    await alice.ok("PUT", f"directory/list/room/{quote(room_id, safe='')}", json={"visibility": "public"})
    found = await bob.ok("POST", f"publicRooms?server={stage.resident.name}", json={"limit": 1000})
    assert room_id in [room["room_id"] for room in found["chunk"]]
    name = f"#{alias}:{stage.resident.name}"
    resolved = await bob.ok("GET", f"directory/room/{quote(name, safe='')}")
    assert resolved["room_id"] == room_id
    assert stage.resident.name in resolved["servers"]

    space = await stage.room(alice, creation_content={"type": "m.space"})
    await alice.set_state(space, "m.space.child", {"via": [stage.resident.name]}, room_id)
    await stage.enter(bob, space)
    rooms = await bob.ok("GET", f"/_matrix/client/v1/rooms/{quote(space, safe='')}/hierarchy")
    assert [room["room_id"] for room in rooms["rooms"]] == [space, room_id]
    assert rooms["rooms"][1]["name"] == "Listed"


async def keys(stage: Stage) -> None:
    """Bob gets the keys of Alice's devices, hears of new ones, and claims each one-time key once."""
    alice, bob, _ = await stage.meeting()
    await _query_until(bob, alice, set())
    await bob.sync()
    uploaded = device_keys(alice, _curve25519(alice))
    one_time = one_time_keys("1", "2")
    await alice.ok("POST", "keys/upload", json={"device_keys": uploaded, "one_time_keys": one_time})
    await _told_of(bob, alice)
    found = await bob.ok("POST", "keys/query", json={"device_keys": {alice.user_id: []}})
    assert _without_unsigned(found["device_keys"][alice.user_id]) == {alice.device_id: uploaded}
    claimed: dict[str, Any] = {}
    for _ in one_time:
        wanted = {"one_time_keys": {alice.user_id: {alice.device_id: ALGORITHM}}}
        reply = await bob.ok("POST", "keys/claim", json=wanted)
        claimed |= reply["one_time_keys"][alice.user_id][alice.device_id]
    assert claimed == one_time

    telephone = await alice.log_in(device_id="TELEPHONE")
    await telephone.ok(
        "POST", "keys/upload", json={"device_keys": device_keys(telephone, _curve25519(telephone))}
    )
    await _query_until(bob, alice, {alice.device_id, telephone.device_id})
    crossed = cross_signing_of(alice).body()
    await _with_password(alice, "keys/device_signing/upload", crossed)
    await _master_key(bob, alice, crossed["master_key"]["keys"])


async def lose_a_device(stage: Stage) -> None:
    """Bob hears that a device of Alice's is no more."""
    alice, bob, _ = await stage.meeting()
    telephone = await alice.log_in(device_id="TELEPHONE")
    for device in (alice, telephone):
        await device.ok("POST", "keys/upload", json={"device_keys": device_keys(device, _curve25519(device))})
    await _query_until(bob, alice, {alice.device_id, telephone.device_id})
    await telephone.ok("POST", "logout")
    await _query_until(bob, alice, {alice.device_id})


async def _with_password(who: Client, path: str, body: dict[str, Any]) -> None:
    """Posts; if the server wants to know who it is, the password is said."""
    status, said = await who.post(path, body)
    if status == 401:
        identifier = {"type": "m.id.user", "user": who.user_id}
        auth = {"type": "m.login.password", "session": said["session"], "identifier": identifier}
        status, said = await who.post(path, body | {"auth": auth | {"password": who.password}})
    assert status == 200, said


def _curve25519(device: Client) -> str:
    return encode_base64(sha256(device.device_id.encode()).digest())


async def _told_of(who: Client, other: Client) -> None:
    await who.sync_until(
        lambda reply: other.user_id in reply.get("device_lists", {}).get("changed", []), LONG
    )


async def _query_until(who: Client, other: Client, devices: set[str]) -> None:
    async def known() -> bool | None:
        found = await who.ok("POST", "keys/query", json={"device_keys": {other.user_id: []}})
        return True if set(found["device_keys"].get(other.user_id, {})) == devices else None

    await until(who, known)


async def _master_key(who: Client, other: Client, expected: dict[str, str]) -> None:
    async def known() -> bool | None:
        found = await who.ok("POST", "keys/query", json={"device_keys": {other.user_id: []}})
        return True if found.get("master_keys", {}).get(other.user_id, {}).get("keys") == expected else None

    await until(who, known)


def _without_unsigned(devices: dict[str, Any]) -> dict[str, Any]:
    return {
        device: {key: value for key, value in keys.items() if key != "unsigned"}
        for device, keys in devices.items()
    }


async def to_device(stage: Stage) -> None:
    """Messages to devices arrive, both ways, each once and in order."""
    alice, bob = await stage.alice(), await stage.bob()
    for sender, receiver in ((alice, bob), (bob, alice)):
        for number in range(3):
            messages = {receiver.user_id: {receiver.device_id: {"body": f"secret {number}"}}}
            await sender.ok("PUT", f"sendToDevice/m.room.encrypted/{number}", json={"messages": messages})
        arrived: list[Any] = []

        def all_here(reply: dict[str, Any], arrived: list[Any] = arrived) -> bool:
            arrived += reply.get("to_device", {}).get("events", [])
            return len(arrived) >= 3

        await receiver.sync_until(all_here, LONG)
        assert [event["content"]["body"] for event in arrived] == ["secret 0", "secret 1", "secret 2"]
        assert {(event["sender"], event["type"]) for event in arrived} == {
            (sender.user_id, "m.room.encrypted")
        }


async def media(stage: Stage) -> None:
    """A picture of Alice's is fetched by Bob, whole and small."""
    alice, bob = await stage.alice(), await stage.bob()
    data = picture(300, 200)
    said = await alice.ok(
        "POST",
        "/_matrix/media/v3/upload?filename=holidays.png",
        data=data,
        headers={"Content-Type": "image/png"},
    )
    where = said["content_uri"].removeprefix("mxc://")
    assert await bob.ok("GET", f"/_matrix/client/v1/media/download/{where}") == data
    small = await bob.ok("GET", f"/_matrix/client/v1/media/thumbnail/{where}?width=32&height=32&method=crop")
    assert Image.open(BytesIO(small)).size == (32, 32)
    assert (await bob.get(f"/_matrix/client/v1/media/download/{stage.resident.name}/nothing"))[0] == 404
