"""What application services may do that others may not: their users, times, limits, and history."""

from __future__ import annotations

from typing import Any

import pytest

from services.settings import RateLimit, RateLimits
from tests.appservices.conftest import Bridge, MakeBridge

LIMITS = RateLimits(classes={"general": RateLimit(0.001, 2)})


async def test_one_that_is_exempt_is_never_held_back(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(rate_limits=LIMITS)
    ghosts = [await bridge.ghost(f"_irc_{number}") for number in range(5)]
    room = await ghosts[0].create_room(preset="public_chat")
    for ghost in ghosts[1:]:
        await ghost.join(room)
        for _ in range(4):
            await ghost.send(room, "hello")
    body = {"type": "m.login.application_service", "identifier": {"type": "m.id.user", "user": "_irc_1"}}
    for _ in range(4):
        await bridge.as_user("_irc_bot").ok("POST", "login", json=body)
    others = [(await bridge.homeserver.nobody().get("login"))[0] for _ in range(3)]
    assert others == [200, 200, 429]


async def test_one_that_is_not_exempt_is_held_back_like_others(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(rate_limits=LIMITS, registration={"rate_limited": True})
    bot = bridge.as_user("_irc_bot")
    assert [(await bot.get("account/whoami"))[0] for _ in range(3)] == [200, 200, 429]


async def test_times_of_another_network(bridge: Bridge) -> None:
    alice = await bridge.homeserver.user("alice")
    ghost = await bridge.ghost("_irc_carol")
    room = await alice.create_room(preset="public_chat")
    at = {"ts": 1_500_000_000_000}
    content = {"membership": "join"}
    path = f"rooms/{room}/state/m.room.member/{ghost.user_id}"
    joined = (await ghost.ok("PUT", path, params=at, json=content))["event_id"]
    topic = (await bridge.as_user("_irc_carol").put(f"rooms/{room}/state/m.custom/", {"a": 1}, params=at))[0]
    assert topic == 403  # state wants its power all the same
    sent = (await ghost.ok("PUT", f"rooms/{room}/send/m.room.message/1", params=at, json={"body": "x"}))[
        "event_id"
    ]
    for event_id in (joined, sent):
        event = await alice.ok("GET", f"rooms/{room}/event/{event_id}")
        assert event["origin_server_ts"] == 1_500_000_000_000
    for wrong in ("x", "-1", "1.5"):
        status, said = await ghost.put(f"rooms/{room}/send/m.room.message/2", {}, params={"ts": wrong})
        assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")
    mine = (await alice.ok("PUT", f"rooms/{room}/send/m.room.message/1", params=at, json={"body": "x"}))[
        "event_id"
    ]
    assert (await alice.ok("GET", f"rooms/{room}/event/{mine}"))["origin_server_ts"] != 1_500_000_000_000


# -- history


def batch_path(room: str) -> str:
    return f"/_matrix/client/unstable/com.beeper.backfill/rooms/{room}/batch_send"


def said(sender: str, number: int) -> dict[str, Any]:
    content = {"msgtype": "m.text", "body": f"number {number}"}
    at = 1_500_000_000_000 + number
    return {"type": "m.room.message", "sender": sender, "origin_server_ts": at, "content": content}


async def test_history_is_imported_at_once_and_once(bridge: Bridge) -> None:
    alice = await bridge.homeserver.user("alice")
    carol, dora = await bridge.ghost("_irc_carol"), await bridge.ghost("_irc_dora")
    room = await carol.create_room(preset="public_chat")
    for guest in (dora, alice):
        await guest.join(room)
    senders = [(carol, dora)[number % 2].user_id for number in range(50)]
    body = {"forward_if_no_messages": True, "events": [said(s, n) for n, s in enumerate(senders)]}
    bot = bridge.as_user("_irc_bot")
    ids = (await bot.ok("POST", batch_path(room), json=body | {"mark_read_by": dora.user_id}))["event_ids"]
    seen = [event for event in await alice.messages(room, "f") if event["type"] == "m.room.message"]
    assert [event["event_id"] for event in seen] == ids
    assert [event["content"]["body"] for event in seen] == [f"number {number}" for number in range(50)]
    assert [event["sender"] for event in seen] == senders
    assert [event["origin_server_ts"] for event in seen] == [1_500_000_000_000 + n for n in range(50)]
    receipts = (await alice.sync())["rooms"]["join"][room]["ephemeral"]["events"]
    assert dora.user_id in next(e for e in receipts if e["type"] == "m.receipt")["content"][ids[-1]]["m.read"]
    # The same batch again: nothing new.
    again = {"forward": True, "events": body["events"]}
    assert (await bot.ok("POST", batch_path(room), json=again))["event_ids"] == ids
    await bridge.appservice.until(lambda: len(bridge.appservice.bodies()) == 50)
    # There are messages now, and before the beginning of a room where other servers may be nothing can be put.
    refused = {"forward_if_no_messages": True, "events": [said(carol.user_id, 99)]}
    status, why = await bot.post(batch_path(room), refused)
    assert (status, why["errcode"]) == (400, "M_INVALID_PARAM")


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"events": []}, 400),
        ({"events": {}}, 400),
        ({"events": [1]}, 400),
        ({"events": [said("@_irc_nobody:one.example", 1)]}, 403),
        ({"events": [said("@alice:one.example", 1)]}, 403),
        ({"events": [said("@_irc_dora:one.example", 1)]}, 403),  # is not in the room
        ({"events": [said("@_irc_carol:one.example", 1) | {"state_key": ""}]}, 400),
        ({"events": [said("@_irc_carol:one.example", 1) | {"origin_server_ts": "now"}]}, 400),
        ({"events": [said("@_irc_carol:one.example", 1)], "mark_read_by": "@alice:one.example"}, 403),
    ],
)
async def test_a_batch_is_imported_whole_or_not_at_all(
    bridge: Bridge, wrong: dict[str, Any], status: int
) -> None:
    await bridge.homeserver.user("alice")
    carol, _ = await bridge.ghost("_irc_carol"), await bridge.ghost("_irc_dora")
    room = await carol.create_room(preset="public_chat")
    body = {"forward": True} | wrong
    if body["events"] and status == 403:
        body["events"] = [said(carol.user_id, 0), *body["events"]]
    answer = await bridge.as_user("_irc_bot").post(batch_path(room), body)
    assert answer[0] == status, answer
    assert not [event for event in await carol.messages(room) if event["type"] == "m.room.message"]


async def test_history_is_imported_by_application_services_only(bridge: Bridge) -> None:
    alice = await bridge.homeserver.user("alice")
    room = await alice.create_room()
    body = {"forward": True, "events": [said(alice.user_id, 1)]}
    assert (await alice.post(batch_path(room), body))[0] == 403
