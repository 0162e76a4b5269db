"""mautrix, the framework that most bridges are made with, as an application service: one conversation, each side looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mautrix.appservice import DOUBLE_PUPPET_SOURCE_KEY
from mautrix.errors import MExclusive, MForbidden
from mautrix.types import (
    BatchSendEvent,
    EventType,
    Membership,
    MessageType,
    PowerLevelStateEventContent,
    PresenceState,
    RoomCreatePreset,
    TextMessageEventContent,
)

from tests.fixtures.client import Client
from tests.peers.mautrix_bridge import PUPPET_TOKEN, Bridge, running_bridge


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    async with running_bridge(tmp_path) as running:
        yield running


async def test_a_bridge_carries_a_conversation(bridge: Bridge) -> None:
    alice = await bridge.person("alice")
    await _they_find_each_other(bridge)
    room = await _a_portal_is_made(bridge, alice)
    await _they_talk(bridge, alice, room)
    await _what_passes_by(bridge, alice, room)
    await _state_and_power(bridge, alice, room)
    await _alice_by_the_bridge(bridge, alice, room)
    await _whoever_is_asked_for(bridge, alice)
    await _nothing_is_lost(bridge, alice, room)


async def test_a_bridge_imports_what_was_said_before(bridge: Bridge) -> None:
    alice, ghost = await bridge.person("alice"), bridge.ghost("dora")
    await ghost.ensure_registered()
    room = await ghost.create_room(
        preset=RoomCreatePreset.PUBLIC, creation_content={"m.federate": False}, invitees=[alice.user_id]
    )
    await alice.join(room)
    await bridge.az.intent.ensure_joined(room)
    now = await ghost.send_text(room, "now")

    def past(*numbers: int) -> list[BatchSendEvent]:
        return [
            BatchSendEvent(
                content=TextMessageEventContent(msgtype=MessageType.TEXT, body=f"number {number}"),
                type=EventType.ROOM_MESSAGE,
                sender=ghost.mxid,
                timestamp=1_500_000_000_000 + number,
            )
            for number in numbers
        ]

    newer = (await bridge.az.intent.beeper_batch_send(room, past(3, 4))).event_ids
    older = (await bridge.az.intent.beeper_batch_send(room, past(1, 2))).event_ids
    last = (await bridge.az.intent.beeper_batch_send(room, past(5), forward=True)).event_ids
    seen = [event for event in await alice.messages(room, "f") if event["type"] == "m.room.message"]
    assert [event["event_id"] for event in seen] == [*older, *newer, now, *last]
    assert [event["origin_server_ts"] for event in seen[:4]] == [1_500_000_000_000 + n for n in range(1, 5)]


async def _they_find_each_other(bridge: Bridge) -> None:
    assert await bridge.az.ping_self("hello") >= -1  # 1. ping; -1 is how the framework says 0 ms
    who = await bridge.az.intent.whoami()
    assert who.user_id == bridge.az.bot_mxid  # 2. the bot, which nobody has registered
    await bridge.az.intent.ensure_registered()
    ghost = bridge.ghost("dora")
    await ghost.ensure_registered()
    await ghost.ensure_registered()  # 3. again: the server says that it is there
    assert (await ghost.whoami()).user_id == bridge.mxid("tele_dora")  # 4. masquerading
    await ghost.set_displayname("Dora (Telegram)")
    picture = await bridge.az.intent.upload_media(b"a picture", "image/png", "dora.png")
    await ghost.set_avatar_url(picture)
    profile = await bridge.az.intent.get_profile(ghost.mxid)
    assert (profile.displayname, profile.avatar_url) == ("Dora (Telegram)", picture)  # 5. profile
    assert await bridge.az.intent.download_media(picture) == b"a picture"  # 6. media
    # 7. names of others are not its to take
    with pytest.raises(MExclusive):
        await bridge.az.intent.user(bridge.mxid("mallory")).ensure_registered()


async def _a_portal_is_made(bridge: Bridge, alice: Client) -> str:
    room = await bridge.az.intent.create_room(
        alias_localpart="tele_tea",
        preset=RoomCreatePreset.PRIVATE,
        name="Tea",
        topic="bridged",
        invitees=[alice.user_id],
        is_direct=False,
    )
    resolved = await bridge.az.intent.resolve_room_alias(f"#tele_tea:{bridge.server.name}")
    assert resolved.room_id == room  # 8. an alias of its namespace
    invites = await alice.sync_until(lambda said: room in said["rooms"].get("invite", {}))
    assert room in invites["rooms"]["invite"]  # 9. alice is invited
    await alice.join(room)
    joined = await bridge.hears(
        lambda event: (
            event.type == EventType.ROOM_MEMBER
            and event.state_key == alice.user_id
            and event.content.membership == Membership.JOIN
        )
    )
    assert joined.room_id == room  # 10. and the bridge hears that she has come
    ghost = bridge.ghost("dora")
    await ghost.ensure_joined(room)  # by an invite of the bot, since the room is private
    members = await bridge.az.intent.get_room_members(room)
    assert set(members) == {alice.user_id, ghost.mxid, bridge.az.bot_mxid}  # 11. all are in
    shown = await alice.state(room, "m.room.member", ghost.mxid)
    assert shown["displayname"] == "Dora (Telegram)"  # 12. as their profiles say
    return str(room)


async def _they_talk(bridge: Bridge, alice: Client, room: str) -> None:
    ghost = bridge.ghost("dora")
    said = await ghost.send_text(room, "hello from far away", timestamp=1_600_000_000_000)
    event = await alice.ok("GET", f"rooms/{room}/event/{said}")
    assert (event["sender"], event["content"]["body"]) == (ghost.mxid, "hello from far away")  # 13.
    assert event["origin_server_ts"] == 1_600_000_000_000  # 14. at the time that the other network says
    answer = await alice.send(room, "hello Dora")
    heard = await bridge.hears(lambda event: getattr(event, "event_id", None) == answer)
    assert (heard.sender, heard.content.body) == (alice.user_id, "hello Dora")  # 15. and back
    assert heard.unsigned["age"] >= 0
    content = TextMessageEventContent(msgtype=MessageType.NOTICE, body="* hello Dora!")
    content.set_edit(said)
    await ghost.send_message(room, content)
    reaction = await ghost.react(room, answer, "👍")
    around = await alice.ok("GET", f"/_matrix/client/v1/rooms/{room}/relations/{answer}/m.annotation")
    assert [one["event_id"] for one in around["chunk"]] == [reaction]  # 16. reactions
    picture = await ghost.upload_media(b"a cat", "image/png", "cat.png")
    await ghost.send_image(room, picture, file_name="cat.png")
    [shown] = await alice.messages(room, limit=1)
    server, media_id = shown["content"]["url"].removeprefix("mxc://").split("/")
    seen = await alice.ok("GET", f"/_matrix/client/v1/media/download/{server}/{media_id}")
    assert seen == b"a cat"  # 17. media reach alice
    await ghost.redact(room, reaction, "wrong thumb")
    gone = await alice.ok("GET", f"rooms/{room}/event/{reaction}")
    assert gone["content"] == {}  # 18. a ghost redacts
    mine = await alice.send(room, "oops")
    redaction = await alice.redact(room, mine)
    heard = await bridge.hears(lambda event: getattr(event, "event_id", None) == redaction)
    assert heard.redacts == mine  # 19. and hears of redactions


async def _what_passes_by(bridge: Bridge, alice: Client, room: str) -> None:
    ghost = bridge.ghost("dora")
    await alice.ok("PUT", f"rooms/{room}/typing/{alice.user_id}", json={"typing": True})
    typing = await bridge.hears(
        lambda event: event.type == EventType.TYPING and event.content.user_ids == [alice.user_id]
    )
    assert typing.room_id == room  # 20. alice types
    last = (await alice.messages(room, limit=1))[0]["event_id"]
    await alice.ok("POST", f"rooms/{room}/receipt/m.read/{last}", json={})
    receipt = await bridge.hears(lambda event: event.type == EventType.RECEIPT)
    assert last in receipt.content  # 21. alice has read
    await alice.sync()
    await ghost.set_typing(room, timeout=20_000)
    await ghost.mark_read(room, last)
    seen: set[str] = set()

    def both(said: dict[str, Any]) -> bool:
        for event in said["rooms"].get("join", {}).get(room, {}).get("ephemeral", {}).get("events", ()):
            if event["type"] == "m.typing" and ghost.mxid in event["content"]["user_ids"]:
                seen.add("typing")
            elif event["type"] == "m.receipt" and ghost.mxid in event["content"][last].get("m.read", {}):
                seen.add("receipt")
        return len(seen) == 2

    await alice.sync_until(both)  # 22. and sees the ghost do both
    await ghost.set_presence(PresenceState.ONLINE, status="bridged")
    there = await alice.ok("GET", f"presence/{ghost.mxid}/status")
    assert (there["presence"], there["status_msg"]) == ("online", "bridged")  # 23.


async def _state_and_power(bridge: Bridge, alice: Client, room: str) -> None:
    bot, ghost = bridge.az.intent, bridge.ghost("dora")
    await bot.set_room_name(room, "Tea and biscuits")
    assert (await alice.state(room, "m.room.name"))["name"] == "Tea and biscuits"  # 24. state
    levels = await bot.get_power_levels(room, ignore_cache=True)
    assert isinstance(levels, PowerLevelStateEventContent)
    levels.set_user_level(alice.user_id, 50)
    await bot.set_power_levels(room, levels)
    topic = await alice.set_state(room, "m.room.topic", {"topic": "biscuits only"})
    heard = await bridge.hears(lambda event: getattr(event, "event_id", None) == topic)
    assert heard.content.topic == "biscuits only"  # 25. power levels, and state of others
    assert heard.unsigned.prev_content.topic == "bridged"  # 26. with what it was before
    with pytest.raises(MForbidden):
        await ghost.kick_user(room, alice.user_id)  # 27. a ghost may no more than others
    other = bridge.ghost("eve")
    await other.ensure_joined(room)
    await bot.kick_user(room, other.mxid, "bye")
    gone = await alice.state(room, "m.room.member", other.mxid)
    assert (gone["membership"], gone["reason"]) == ("leave", "bye")  # 28. membership of ghosts


async def _alice_by_the_bridge(bridge: Bridge, alice: Client, room: str) -> None:
    puppet = bridge.az.intent.user(alice.user_id, token=PUPPET_TOKEN, as_token=True)
    assert (await puppet.whoami()).user_id == alice.user_id
    said = await puppet.send_text(room, "from my phone's other app")
    event = await alice.ok("GET", f"rooms/{room}/event/{said}")
    assert event["sender"] == alice.user_id  # 29. a double puppet
    assert event["content"][DOUBLE_PUPPET_SOURCE_KEY] == "tele"  # 30. which the bridge knows again
    heard = await bridge.hears(lambda event: getattr(event, "event_id", None) == said)
    assert heard.content[DOUBLE_PUPPET_SOURCE_KEY] == "tele"


async def _whoever_is_asked_for(bridge: Bridge, alice: Client) -> None:
    async def query_user(user_id: Any) -> Any:
        await bridge.az.intent.user(user_id).ensure_registered()
        await bridge.az.intent.user(user_id).set_displayname("Made for you")
        return {"made": True}

    async def query_alias(alias: Any) -> Any:
        localpart = alias.removeprefix("#").partition(":")[0]
        await bridge.az.intent.create_room(alias_localpart=localpart, preset=RoomCreatePreset.PUBLIC)
        return {"made": True}

    bridge.az.query_user, bridge.az.query_alias = query_user, query_alias
    profile = await alice.ok("GET", f"profile/{bridge.mxid('tele_new')}")
    assert profile == {"displayname": "Made for you"}  # 31. user query
    made = await alice.join(f"#tele_made:{bridge.server.name}")
    assert (
        bridge.az.bot_mxid in (await alice.ok("GET", f"rooms/{made}/joined_members"))["joined"]
    )  # 32. alias query
    assert (await alice.get(f"profile/{bridge.mxid('nobody')}"))[0] == 404
    direct = await alice.create_room(invite=[bridge.mxid("tele_friend")], is_direct=True)
    invite = await bridge.hears(
        lambda event: (
            event.type == EventType.ROOM_MEMBER
            and event.room_id == direct
            and event.content.membership == Membership.INVITE
        )
    )
    assert invite.state_key == bridge.mxid("tele_friend")  # 33. somebody new is invited to talk
    assert await bridge.ghost("friend").ensure_joined(direct)


async def _nothing_is_lost(bridge: Bridge, alice: Client, room: str) -> None:
    await bridge.az.stop()
    before = len(bridge.texts(room))
    for number in range(150):
        await alice.send(room, f"number {number}")
    await bridge.server.kill()
    await bridge.server.start()
    await alice.send(room, "after the crash")
    await bridge.listen()
    await bridge.hears(lambda event: getattr(event.content, "body", None) == "after the crash", seconds=60)
    expected = [f"number {number}" for number in range(150)] + ["after the crash"]
    assert bridge.texts(room)[before:] == expected  # 34. all of it, once, in order
