"""Plays in rooms that two homeservers share: coming, going, talking."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.client_api.stored import path
from tests.fixtures.client import Client
from tests.peers.stage import Stage, heard, member, refused, same_view, shown, state, timeline, until

_KNOCK = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}


async def join_by_alias(stage: Stage) -> None:
    """Bob finds the room by its alias; who follows him needs no other server."""
    alice, bob = await stage.alice(), await stage.bob()
    name = f"hall-{alice.user_id[1:].partition(':')[0]}"
    room_id = await stage.room(alice, room_alias_name=name, name="Hall", topic="Talk")

    assert await bob.join(f"#{name}:{stage.resident.name}") == room_id
    carol = await stage.bob("carol")
    await stage.enter(carol, room_id)

    await member(alice, room_id, carol, "join")
    assert await bob.state(room_id, "m.room.name") == {"name": "Hall"}
    await same_view(room_id, alice, bob)


async def talk(stage: Stage) -> None:
    """They speak in turn, change the topic, and Bob leaves."""
    alice, bob, room_id = await stage.meeting()
    for number in range(3):
        await heard(bob, room_id, await alice.send(room_id, f"hello {number}"))
        await heard(alice, room_id, await bob.send(room_id, f"good day {number}"))
    await heard(bob, room_id, await alice.set_state(room_id, "m.room.topic", {"topic": "the weather"}))
    assert await bob.state(room_id, "m.room.topic") == {"topic": "the weather"}
    assert len(await same_view(room_id, alice, bob)) >= 13
    await bob.leave(room_id)
    await member(alice, room_id, bob, "leave")


async def invite(stage: Stage) -> None:
    """Bob accepts, Carol does not."""
    alice, bob, carol = await stage.alice(), await stage.bob(), await stage.bob("carol")
    room_id = await stage.room(alice, "private_chat", name="Secret")
    await refused(stage.enter(bob, room_id))

    await alice.invite(room_id, bob)
    stripped = (await shown(bob, room_id, "invite"))["invite_state"]["events"]
    assert {"name": "Secret"} in [e["content"] for e in stripped if e["type"] == "m.room.name"]
    await alice.invite(room_id, carol)
    await shown(carol, room_id, "invite")
    await carol.leave(room_id)
    await member(alice, room_id, carol, "leave")
    await shown(carol, room_id, "leave")
    assert await bob.join(room_id) == room_id

    await member(alice, room_id, bob, "join")
    await same_view(room_id, alice, bob)
    await alice.invite(room_id, carol)
    await shown(carol, room_id, "invite")
    await alice.ok("POST", path(room_id, "kick"), json={"user_id": carol.user_id})
    await shown(carol, room_id, "leave")
    await same_view(room_id, alice, bob)


async def knock(stage: Stage) -> None:
    """One is let in, one is turned away."""
    alice, bob, carol = await stage.alice(), await stage.bob(), await stage.bob("carol")
    room_id = await stage.room(alice, "private_chat", initial_state=[_KNOCK], name="Club")

    await _knocks(stage, bob, room_id)
    stripped = (await shown(bob, room_id, "knock"))["knock_state"]["events"]
    assert {"name": "Club"} in [e["content"] for e in stripped if e["type"] == "m.room.name"]
    assert (await member(alice, room_id, bob, "knock"))["reason"] == "let me in"
    await alice.invite(room_id, bob)
    await shown(bob, room_id, "invite")
    await bob.join(room_id)
    await member(alice, room_id, bob, "join")

    await _knocks(stage, carol, room_id)
    await member(alice, room_id, carol, "knock")
    await alice.ok("POST", path(room_id, "kick"), json={"user_id": carol.user_id})
    await shown(carol, room_id, "leave")
    await same_view(room_id, alice, bob)


async def knock_and_think_better_of_it(stage: Stage) -> None:
    """A knock is taken back, and made again."""
    alice, bob = await stage.alice(), await stage.bob()
    room_id = await stage.room(alice, "private_chat", initial_state=[_KNOCK])
    for _ in range(2):
        await _knocks(stage, bob, room_id)
        await member(alice, room_id, bob, "knock")
        await bob.leave(room_id)
        await member(alice, room_id, bob, "leave")


async def _knocks(stage: Stage, who: Client, room_id: str) -> None:
    await who.ok("POST", f"knock/{path(room_id)[6:]}?via={stage.resident.name}", json={"reason": "let me in"})


async def restricted_join(stage: Stage) -> None:
    """Who is in the club may join the den, and no other."""
    alice, bob, carol = await stage.alice(), await stage.bob(), await stage.bob("carol")
    club = await stage.room(alice)
    allow = [{"type": "m.room_membership", "room_id": club}]
    rule = {"type": "m.room.join_rules", "content": {"join_rule": "restricted", "allow": allow}}
    den = await stage.room(alice, "private_chat", initial_state=[rule])
    await stage.enter(bob, club)
    await member(alice, club, bob, "join")

    await refused(stage.enter(carol, den))
    await stage.enter(bob, den)
    content = await member(alice, den, bob, "join")
    assert content["join_authorised_via_users_server"] == alice.user_id
    await refused(stage.enter(carol, den))
    await stage.enter(carol, club)
    await stage.enter(carol, den)

    await member(alice, den, carol, "join")
    await heard(alice, den, await bob.send(den, "here we are"))
    await same_view(den, alice, bob)


async def read_history(stage: Stage) -> None:
    """Bob comes late and reads all that was said before."""
    alice, bob = await stage.alice(), await stage.bob()
    room_id = await stage.room(alice, name="History")
    for number in range(30):
        await alice.send(room_id, f"before Bob, {number}")
        if number % 10 == 5:
            await alice.set_state(room_id, "m.room.topic", {"topic": f"chapter {number}"})
    await stage.enter(bob, room_id)
    await member(alice, room_id, bob, "join")
    later = [await alice.send(room_id, f"after, {number}") for number in range(5)]
    await heard(bob, room_id, *later)
    await heard(alice, room_id, await bob.send(room_id, "so that is how it was"))

    events = await same_view(room_id, alice, bob)
    assert len(events) == len(set(events)) >= 30 + 3 + 5 + 1 + 7


async def redact(stage: Stage) -> None:
    """Each takes back a message of their own, Alice one of Bob's."""
    alice, bob, room_id = await stage.meeting()
    messages = [await alice.send(room_id, "one")]
    await heard(bob, room_id, *messages)
    messages += [await bob.send(room_id, text) for text in ("two", "three")]
    await heard(alice, room_id, *messages)
    for who, message in zip((alice, bob, alice), messages, strict=True):
        redaction = await who.redact(room_id, message, "not so")
        for reader in (alice, bob):
            assert await _redacted(reader, room_id, message) == redaction
    await refused(bob.redact(room_id, (await state(bob, room_id))["m.room.create", ""]))
    await same_view(room_id, alice, bob)


async def _redacted(reader: Client, room_id: str, event_id: str) -> str:
    async def gone() -> str | None:
        event = await reader.ok("GET", path(room_id, "event", event_id))
        because: dict[str, Any] = event.get("unsigned", {}).get("redacted_because", {})
        return because["event_id"] if event["content"] == {} and because else None

    return await until(reader, gone)


async def leave_kick_ban(stage: Stage) -> None:
    """Bob goes in every way there is and comes again; then he is the one who turns others out."""
    alice, bob, room_id = await stage.meeting()
    dave = await stage.alice("dave")
    await stage.enter(dave, room_id)
    await member(bob, room_id, dave, "join")
    await bob.leave(room_id)
    await member(alice, room_id, bob, "leave")
    for what, membership in (("kick", "leave"), ("ban", "ban")):
        await stage.enter(bob, room_id)
        await member(alice, room_id, bob, "join")
        await bob.sync()
        await alice.ok("POST", path(room_id, what), json={"user_id": bob.user_id, "reason": "noise"})
        left = await shown(bob, room_id, "leave")
        assert left["timeline"]["events"][-1]["content"] == {"membership": membership, "reason": "noise"}
    await refused(stage.enter(bob, room_id))
    await alice.ok("POST", path(room_id, "unban"), json={"user_id": bob.user_id})
    await stage.enter(bob, room_id)
    await member(alice, room_id, bob, "join")

    levels = await alice.state(room_id, "m.room.power_levels")
    users = levels["users"] | {bob.user_id: 50}
    await heard(
        bob, room_id, await alice.set_state(room_id, "m.room.power_levels", levels | {"users": users})
    )
    await bob.ok("POST", path(room_id, "ban"), json={"user_id": dave.user_id})
    await member(alice, room_id, dave, "ban")
    # What happened while Bob was out is no part of his timeline but read later: where it stands is his server's affair.
    await same_view(room_id, alice, bob, in_order=False)


async def speak_at_once(stage: Stage) -> None:
    """Both talk and name the room at the same time, so that the room forks, more than once."""
    levels = {"events": {"m.room.name": 0, "m.room.topic": 0}}
    alice, bob, room_id = await stage.meeting(power_level_content_override=levels)
    said: list[str] = []

    async def speaks(who: Client, number: int) -> None:
        said.append(await who.send(room_id, f"{number}"))
        if number % 4 == 1:
            said.append(await who.set_state(room_id, "m.room.name", {"name": f"{who.user_id} {number}"}))

    for number in range(0, 12, 4):
        await asyncio.gather(*(speaks(who, number + n) for who in (alice, bob) for n in range(4)))
    await heard(alice, room_id, *said)
    await heard(bob, room_id, *said)
    await heard(bob, room_id, await alice.send(room_id, "now we agree"))

    events = await same_view(room_id, alice, bob, in_order=False)
    assert set(said) <= set(events)
    assert len(await timeline(alice, room_id, page=7)) == len(events)
