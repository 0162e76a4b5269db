"""No event of ours goes past the room's policy server: neither those of an upgrade nor third-party invites."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.hashes import signed_bytes
from protocol.room_versions import version_named
from tests.client_api.stored import membership
from tests.federation.asking import Scene, scene
from tests.federation.test_policy import KEY, SIGN, guarded_room, honest, stored
from tests.federation.test_third_party_invite import VALIDITY, bound, pledged

__all__ = ["scene"]


async def is_signed(scene: Scene, event_id: str) -> bool:
    """Does the event bear the policy server's signature?"""
    json = (await stored(scene, event_id)).event.json
    wanted = KEY.sign(signed_bytes(json, version_named("11")))
    return bool(json["signatures"].get(scene.liar.name) == {KEY.name: wanted})


@pytest.mark.parametrize("version", ["11", "12"])
async def test_an_upgrade(scene: Scene, version: str) -> None:
    room = await guarded_room(scene)
    said = await scene.alice.ok("POST", f"rooms/{room}/upgrade", json={"new_version": version})
    state = {event["type"]: event for event in await scene.alice.ok("GET", f"rooms/{room}/state")}
    assert state["m.room.tombstone"]["content"]["replacement_room"] == said["replacement_room"]
    for event_type in ("m.room.tombstone", "m.room.power_levels"):
        assert await is_signed(scene, state[event_type]["event_id"]), event_type
    create = await scene.alice.state(said["replacement_room"], "m.room.create")
    assert create["predecessor"]["room_id"] == room
    await scene.alice.send(said["replacement_room"], "spam, which nobody is asked about here")


async def test_an_upgrade_that_is_refused_changes_nothing(scene: Scene) -> None:
    room = await guarded_room(scene)
    scene.liar.on("POST", SIGN, lambda _: (400, {"errcode": "M_FORBIDDEN", "error": "stay"}))
    before = [event["event_id"] for event in await scene.alice.messages(room)]
    assert await scene.alice.post(f"rooms/{room}/upgrade", {"new_version": "12"}) == (
        400,
        {"errcode": "M_FORBIDDEN", "error": "stay"},
    )
    assert [event["event_id"] for event in await scene.alice.messages(room)] == before
    assert (await scene.alice.ok("GET", "joined_rooms"))["joined_rooms"] == [room]
    honest(scene)
    await scene.alice.send(room, "still here")


async def test_a_room_that_goes_on_while_its_upgrade_is_signed(scene: Scene) -> None:
    room = await guarded_room(scene)
    sent: list[str] = []

    async def sign(asked: Any) -> Any:
        if asked.json["type"] == "m.room.tombstone" and not sent:
            sent.append(await scene.alice.send(room, "one more thing"))
        return {scene.liar.name: {KEY.name: KEY.sign(signed_bytes(asked.json, version_named("11")))}}

    scene.liar.on("POST", SIGN, sign)
    await scene.alice.ok("POST", f"rooms/{room}/upgrade", json={"new_version": "11"})
    types = [event["type"] for event in await scene.alice.messages(room)]
    assert types.count("m.room.tombstone") == 1
    assert types.index("m.room.tombstone") < types.index("m.room.message")  # the newest first


async def test_a_third_party_invite(scene: Scene) -> None:
    room = await guarded_room(scene)
    scene.liar.on("GET", VALIDITY, lambda _: {"valid": True})
    await pledged(scene.alice, room, scene.liar)
    bob = await scene.one.user("bob")
    body = bound(room, scene.alice.user_id, bob.user_id)
    await scene.one.nobody().ok("PUT", "/_matrix/federation/v1/3pid/onbind", json=body)
    row = await membership(scene.one, room, bob.user_id)
    assert row["membership"] == "invite"
    assert await is_signed(scene, row["event_id"])
