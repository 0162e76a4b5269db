"""Policy servers: what they do not sign does not come into their rooms."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from protocol.hashes import signed_bytes
from protocol.room_versions import version_named
from protocol.signing import SigningKey
from storage.events import Standing, event_by_id
from tests.federation.asking import Scene, part, scene
from tests.fixtures.client import Unexpected

__all__ = ["scene"]

SIGN = "/_matrix/policy/v1/sign"
KEY = SigningKey.from_seed("ed25519:policy_server", b"p" * 32)
REFUSED = (400, {"errcode": "M_FORBIDDEN", "error": "this is spam"})


def signature(scene: Scene, event: dict[str, Any], key: SigningKey = KEY) -> dict[str, Any]:
    """What the policy server answers."""
    return {scene.liar.name: {KEY.name: key.sign(signed_bytes(event, version_named("11")))}}


def honest(scene: Scene) -> None:
    """The policy server signs what does not say «spam»."""

    def sign(asked: Any) -> Any:
        return REFUSED if "spam" in str(asked.json["content"]) else signature(scene, asked.json)

    scene.liar.on("POST", SIGN, sign)


async def guarded_room(scene: Scene) -> str:
    """A room with a policy server, and Eve of the server that is the policy server."""
    room = await scene.room()
    await scene.eve_joins(room)
    honest(scene)
    await guard(scene, room)
    return room


async def guard(scene: Scene, room: str, **more: Any) -> None:
    content = {"via": scene.liar.name, "public_keys": {"ed25519": KEY.verify_key.to_base64()}} | more
    await scene.alice.set_state(room, "m.room.policy", content)


async def stored(scene: Scene, event_id: str) -> Any:
    async with scene.one.tenant.database.read() as tx:
        return await event_by_id(tx, event_id)


async def test_what_is_sent_bears_the_policy_servers_signature(scene: Scene) -> None:
    room = await guarded_room(scene)
    assert scene.liar.times_asked(SIGN) == 0  # not about the event that names the policy server
    event_id = await scene.alice.send(room, "hello")
    event = (await stored(scene, event_id)).event
    assert event.json["signatures"].keys() == {scene.one.name, scene.liar.name}
    assert event.json["signatures"][scene.liar.name] == signature(scene, event.json)[scene.liar.name]
    assert scene.liar.times_asked(SIGN) == 1
    await scene.alice.set_state(room, "m.room.name", {"name": "guarded"})
    assert scene.liar.times_asked(SIGN) == 2


async def test_what_is_refused_is_not_sent(scene: Scene) -> None:
    room = await guarded_room(scene)
    before = [event["event_id"] for event in await scene.alice.messages(room)]
    status, said = await scene.alice.put(f"rooms/{part(room)}/send/m.room.message/1", {"body": "spam"})
    assert (status, said) == (400, {"errcode": "M_FORBIDDEN", "error": "this is spam"})
    assert [event["event_id"] for event in await scene.alice.messages(room)] == before
    await scene.alice.send(room, "hello")


@pytest.mark.parametrize(
    "said",
    [{}, [], {"someone": {}}, "forged", (500, {}), (404, {"errcode": "M_UNRECOGNIZED", "error": "no"})],
)
async def test_what_is_not_well_signed_is_not_sent(scene: Scene, said: Any) -> None:
    room = await guarded_room(scene)
    other = SigningKey.from_seed("ed25519:policy_server", b"q" * 32)
    scene.liar.on(
        "POST", SIGN, lambda asked: signature(scene, asked.json, other) if said == "forged" else said
    )
    with pytest.raises(Unexpected) as refused:
        await scene.alice.send(room, "hello")
    assert refused.value.status in (403, 404, 502)


async def test_many_send_at_once(scene: Scene) -> None:
    room = await guarded_room(scene)
    sent = await asyncio.gather(*(scene.alice.send(room, str(number)) for number in range(8)))
    assert len(set(sent)) == 8
    shown = {event["event_id"] for event in await scene.alice.messages(room)}
    assert shown.issuperset(sent)


async def test_a_retry_is_sent_once(scene: Scene) -> None:
    room = await guarded_room(scene)
    body = {"body": "hello", "msgtype": "m.text"}
    replies = [await scene.alice.put(f"rooms/{part(room)}/send/m.room.message/7", body) for _ in range(2)]
    assert replies[0][0] == 200
    assert replies[0] == replies[1]


@pytest.mark.parametrize("content", [{"via": "elsewhere.example"}, {"via": 7}, {"public_keys": {}}])
async def test_a_policy_server_that_is_not_in_use_is_not_asked(scene: Scene, content: Any) -> None:
    """One who is not in the room, or whose key is not known."""
    room = await scene.room()
    await scene.eve_joins(room)
    await guard(scene, room, **content)
    await scene.alice.send(room, "hello")
    assert scene.liar.times_asked(SIGN) == 0


async def received(scene: Scene, room: str, body: str, *, sign: bool = False) -> Standing:
    """The place that a message of Eve's gets."""
    event = scene.stranger.says(await scene.view(room), scene.eve, content={"body": body})
    json = event.json
    if sign:
        own = json["signatures"][scene.liar.name]
        json = {
            **json,
            "signatures": {scene.liar.name: own | signature(scene, json)[scene.liar.name]},
        }
    status, said = await scene.liar.transaction(scene.one, [json])
    assert (status, said["pdus"][event.event_id]) == (200, {})
    standing: Standing = (await stored(scene, event.event_id)).standing
    return standing


async def test_what_comes_in_is_signed_or_soft_failed(scene: Scene) -> None:
    room = await guarded_room(scene)
    assert await received(scene, room, "hello") is Standing.TIMELINE
    assert scene.liar.times_asked(SIGN) == 1
    assert await received(scene, room, "spam") is Standing.SOFT_FAILED
    assert await received(scene, room, "spam that was signed", sign=True) is Standing.TIMELINE
    assert scene.liar.times_asked(SIGN) == 2
    bodies = [event["content"].get("body") for event in await scene.alice.messages(room)]
    assert "spam" not in bodies
    assert "spam that was signed" in bodies
    await scene.alice.send(room, "life goes on")
