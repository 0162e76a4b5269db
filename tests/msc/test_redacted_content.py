"""What redacted events said, for those who may redact others' messages (MSC2815); and users whose messages go with them
when they are kicked or banned (MSC4293).
"""

from __future__ import annotations

from typing import Any

import pytest

from storage.redacted import forget_originals
from tests.fixtures.client import Answer, Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver

ASKED = {"fi.mau.msc2815.include_unredacted_content": "true"}


async def asked(user: Client, room: str, event_id: str) -> Answer:
    """The answer to who asks for what the event said."""
    return await user.get(f"rooms/{room}/event/{event_id}", params=ASKED)


async def body(user: Client, room: str, event_id: str) -> Any:
    """What the event says now; None when it is redacted."""
    return (await user.ok("GET", f"rooms/{room}/event/{event_id}"))["content"].get("body")


async def test_moderators_see_what_a_redacted_event_said(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    event_id, other = await bob.send(room, "rude"), await bob.send(room, "kind")
    redaction = await bob.redact(room, event_id)
    status, said = await asked(alice, room, event_id)
    assert (status, said["content"]["body"]) == (200, "rude")
    assert said["unsigned"]["redacted_because"]["event_id"] == redaction
    assert await body(alice, room, event_id) is None
    assert (await asked(alice, room, other))[1]["content"]["body"] == "kind"
    status, said = await asked(bob, room, event_id)
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
    carol = await homeserver.user("carol")
    private = await alice.create_room()
    secret = await alice.send(private, "secret")
    assert (await asked(carol, private, secret))[0] == 404
    async with homeserver.tenant.database.read() as tx:
        await forget_originals(tx, 0)
    status, said = await asked(alice, room, event_id)
    assert (status, said["errcode"]) == (404, "FI.MAU.MSC2815_UNREDACTED_CONTENT_DELETED")
    assert said["fi.mau.msc2815.content_keep_ms"] == homeserver.tenant.settings.redacted_kept


async def test_where_nothing_is_to_be_kept_nothing_is(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(redacted_kept=0)
    alice = await homeserver.user("alice")
    room = await alice.create_room()
    event_id = await alice.send(room, "gone")
    await alice.redact(room, event_id)
    assert (await asked(alice, room, event_id))[0] == 404
    async with homeserver.tenant.database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM redacted_originals") == 0


@pytest.mark.parametrize("flag", ["redact_events", "org.matrix.msc4293.redact_events"])
@pytest.mark.parametrize("how", ["ban", "kick"])
async def test_what_a_banned_user_has_sent_goes_with_the_ban(
    alice: Client, bob: Client, how: str, flag: str
) -> None:
    room = await alice.create_room(
        preset="public_chat", power_level_content_override={"events": {"m.room.topic": 0}}
    )
    await bob.join(room)
    before = await bob.send(room, "of an earlier stay")
    await bob.leave(room)
    await bob.join(room)
    sent = [await bob.send(room, str(number)) for number in range(3)]
    topic = await bob.set_state(room, "m.room.topic", {"topic": "spam"})
    others = await alice.send(room, "mine")
    await alice.sync()
    await alice.ok("POST", f"rooms/{room}/{how}", json={"user_id": bob.user_id, "reason": "spam", flag: True})
    timeline = (await alice.sync())["rooms"]["join"][room]["timeline"]["events"]
    assert [event["type"] for event in timeline] == ["m.room.member"]
    shown = {event["event_id"]: event for event in await alice.messages(room)}
    for event_id in (*sent, topic):
        assert shown[event_id]["content"] == {}
        because = shown[event_id]["unsigned"]["redacted_because"]
        assert (because["type"], because["content"]["reason"]) == ("m.room.member", "spam")
    assert await alice.state(room, "m.room.topic") == {}
    assert shown[others]["content"]["body"] == "mine"
    assert shown[before]["content"]["body"] == "of an earlier stay"
    whole = (await alice.sync(since=""))["rooms"]["join"][room]["timeline"]["events"]
    assert all(event["content"] == {} for event in whole if event["event_id"] in sent)


async def test_who_may_not_redact_only_bans(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    carol = await homeserver.user("carol")
    levels = {"users": {alice.user_id: 100, bob.user_id: 50}, "redact": 100}
    room = await alice.create_room(
        preset="public_chat", room_version="11", power_level_content_override=levels
    )
    for user in (bob, carol):
        await user.join(room)
    sent = await carol.send(room, "hello")
    await bob.ok("POST", f"rooms/{room}/ban", json={"user_id": carol.user_id, "redact_events": True})
    assert await body(alice, room, sent) == "hello"


async def test_who_leaves_takes_nothing_away(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    sent = await bob.send(room, "hello")
    content = {"membership": "leave", "redact_events": True}
    await bob.set_state(room, "m.room.member", content, bob.user_id)
    assert await body(alice, room, sent) == "hello"
