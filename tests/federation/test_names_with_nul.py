"""U+0000 is allowed in what others write, and PostgreSQL's text and JSON functions do not like it."""

from __future__ import annotations

from services.rooms.receive.place import receive_event
from tests.federation.asking import Scene, part, scene
from tests.fixtures.client import Client

__all__ = ["scene"]

ENCRYPTED = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}


async def left(client: Client, since: str) -> list[str]:
    """Of whose devices there is no need to know any more."""
    now = (await client.sync(since=since))["next_batch"]
    changes = await client.ok("GET", "keys/changes", params={"from": since, "to": now})
    return list(changes["left"])


async def test_a_name_with_nul_harms_nobody(scene: Scene) -> None:
    room = await scene.room(initial_state=[ENCRYPTED])
    for membership in ("join", "leave"):
        since = (await scene.alice.sync())["next_batch"]
        content = {"membership": membership, "displayname": "a\0b"}
        event = scene.stranger.says(await scene.view(room), scene.eve, "m.room.member", content, scene.eve)
        await receive_event(scene.one.tenant, event, scene.stranger.name)
        gone = await left(scene.alice, since)
    assert gone == [scene.eve]
    found = await scene.alice.ok("GET", f"rooms/{part(room)}/members")
    names = [one["content"].get("displayname") for one in found["chunk"]]
    assert "a\0b" in names
    await scene.alice.ok("GET", f"/_matrix/client/v1/rooms/{part(room)}/hierarchy")


async def test_a_room_whose_name_has_nul_is_shown_outside(scene: Scene) -> None:
    room = await scene.room(visibility="public", topic="hello")
    await scene.alice.set_state(room, "m.room.name", {"name": "a\0b"})
    await scene.alice.ok("POST", "publicRooms", json={"filter": {"generic_search_term": "hello"}})
    for page in (await scene.get("publicRooms"), await scene.get(f"hierarchy/{part(room)}")):
        shown = page["chunk"][0] if "chunk" in page else page["room"]
        assert shown["topic"] == "hello"
