"""/sync tells of rooms: what was said, what the state is, who came and went."""

from __future__ import annotations

from tests.fixtures.homeserver import Homeserver


async def test_a_first_sync_has_the_room_and_later_ones_what_is_new(homeserver: Homeserver) -> None:
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    room = await alice.create_room(preset="public_chat", name="Room")
    await bob.join(room)
    first = await bob.sync()
    assert room in first["rooms"]["join"]
    said = await alice.send(room, "hello")
    news = await bob.sync(timeout=5000)
    timeline = news["rooms"]["join"][room]["timeline"]
    assert [event["event_id"] for event in timeline["events"]] == [said]
    assert not timeline["limited"]
    assert "rooms" not in await bob.sync()
