"""Importing history before the beginning of rooms that no other server can be in (`com.beeper.backfill`)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tests.appservices.conftest import Bridge
from tests.appservices.test_rights import batch_path, said
from tests.client_api.searching import found
from tests.fixtures.client import Client
from tests.msc.test_spoilt import spoilt

HERE_ONLY = {"creation_content": {"m.federate": False}}


@pytest.fixture
async def carol(bridge: Bridge) -> Client:
    return await bridge.ghost("_irc_carol")


async def imports(bridge: Bridge, room: str, events: list[Any], **more: Any) -> list[str]:
    """The IDs of what was put before the beginning."""
    bot = bridge.as_user("_irc_bot")
    return list((await bot.ok("POST", batch_path(room), json={"events": events} | more))["event_ids"])


async def read_back(client: Client, room: str, limit: int = 7) -> list[Any]:
    """The whole room from its end, page by page, in its order."""
    found: list[Any] = []
    query = {"dir": "b", "limit": str(limit)}
    while True:
        page = await client.ok("GET", f"rooms/{room}/messages", params=query)
        found += page["chunk"]
        if "end" not in page:
            return list(reversed(found))
        query["from"] = page["end"]


def bodies(events: list[Any]) -> list[str]:
    return [event["content"]["body"] for event in events if event["type"] == "m.room.message"]


@pytest.mark.parametrize("version", ["3", "10", "11", "12"])
async def test_history_is_put_before_the_beginning(bridge: Bridge, carol: Client, version: str) -> None:
    alice, dora = await bridge.homeserver.user("alice"), await bridge.ghost("_irc_dora")
    room = await carol.create_room(preset="public_chat", room_version=version, **HERE_ONLY)
    for guest in (dora, alice):
        await guest.join(room)
    await alice.send(room, "now")
    since = (await alice.sync())["next_batch"]
    later = await imports(bridge, room, [said(carol.user_id, n) for n in range(10, 20)])
    # Once more, also with the same words at the same time; the second batch is older than the first.
    earlier = [said((carol, dora)[n % 2].user_id, n) for n in range(10)]
    ids = await imports(bridge, room, [*earlier, earlier[-1]])
    assert len({*later, *ids}) == 21
    seen = await read_back(alice, room)
    expected = [f"number {n}" for n in [*range(10), 9, *range(10, 20)]]
    assert bodies(seen) == [*expected, "now"]
    assert [event["event_id"] for event in seen[:21]] == [*ids, *later]
    assert [event["origin_server_ts"] for event in seen[11:21]] == [
        1_500_000_000_000 + n for n in range(10, 20)
    ]
    assert seen[21]["type"] == "m.room.create"
    # It is no news, and nobody has it unread.
    news = await alice.sync(since=since)
    assert "rooms" not in news or room not in news["rooms"].get("join", {})
    fresh = (await alice.ok("GET", "sync"))["rooms"]["join"][room]
    assert fresh["unread_notifications"]["notification_count"] == 0
    # The same batch again is there already.
    assert await imports(bridge, room, [said(carol.user_id, n) for n in range(10, 20)]) == later
    # The room goes on.
    last = await alice.send(room, "and on")
    assert (await alice.sync(since=since))["rooms"]["join"][room]["timeline"]["events"][-1][
        "event_id"
    ] == last
    assert bodies(await read_back(alice, room)) == [*expected, "now", "and on"]
    around = await alice.ok("GET", f"rooms/{room}/context/{quote(later[0], safe='')}", params={"limit": "4"})
    assert bodies(around["events_before"]) == ["number 9", "number 9"]


async def test_it_is_found_and_read_like_anything_else(bridge: Bridge, carol: Client) -> None:
    alice = await bridge.homeserver.user("alice")
    room = await carol.create_room(preset="public_chat", **HERE_ONLY)
    await alice.join(room)
    root = said(carol.user_id, 1) | {"content": {"msgtype": "m.text", "body": "hippopotamus"}}
    [event_id] = await imports(bridge, room, [root])
    relates = {"rel_type": "m.thread", "event_id": event_id}
    answer = said(carol.user_id, 2)
    answer["content"]["m.relates_to"] = relates
    [answered] = await imports(bridge, room, [answer], forward=True)
    event = await alice.ok("GET", f"rooms/{room}/event/{event_id}")
    assert event["unsigned"]["m.relations"]["m.thread"]["latest_event"]["event_id"] == answered
    async with asyncio.timeout(60):  # the index follows
        while await found(alice, "hippopotamus") != [event_id]:
            await asyncio.sleep(0.05)
    await carol.ok("PUT", f"rooms/{room}/redact/{event_id}/1", json={})
    assert (await alice.ok("GET", f"rooms/{room}/event/{event_id}"))["content"] == {}


async def test_who_was_not_there_at_the_import_sees_what_the_room_lets_them(
    bridge: Bridge, carol: Client
) -> None:
    alice = await bridge.homeserver.user("alice")
    hidden = {
        "type": "m.room.history_visibility",
        "state_key": "",
        "content": {"history_visibility": "joined"},
    }
    room = await carol.create_room(preset="public_chat", initial_state=[hidden], **HERE_ONLY)
    await imports(bridge, room, [said(carol.user_id, 1)])
    await alice.join(room)
    assert bodies(await read_back(alice, room)) == []
    await imports(bridge, room, [said(carol.user_id, 0)])
    assert bodies(await read_back(alice, room)) == ["number 0"]
    assert bodies(await read_back(carol, room)) == ["number 0", "number 1"]


@pytest.mark.parametrize(
    "more",
    [{}, {"creation_content": {"m.federate": True}}, {"room_version": "2", **HERE_ONLY}],
    ids=["other servers may come", "said", "old"],
)
async def test_where_that_would_not_be_true_it_is_refused(
    bridge: Bridge, carol: Client, more: dict[str, Any]
) -> None:
    room = await carol.create_room(preset="public_chat", **more)
    answer = await bridge.as_user("_irc_bot").post(batch_path(room), {"events": [said(carol.user_id, 1)]})
    assert (answer[0], answer[1]["errcode"]) == (400, "M_INVALID_PARAM")
    await imports(bridge, room, [said(carol.user_id, 1)], forward=True)


async def test_a_batch_is_put_there_whole_or_not_at_all(bridge: Bridge, carol: Client) -> None:
    await bridge.homeserver.user("alice")
    await bridge.ghost("_irc_dora")
    room = await carol.create_room(preset="public_chat", **HERE_ONLY)
    for wrong in (
        said("@_irc_dora:one.example", 1),  # is not in the room
        said("@alice:one.example", 1),
        said(carol.user_id, 1) | {"type": "m.room.redaction", "content": {"redacts": "$x"}},
        said(carol.user_id, 1) | {"state_key": ""},
        said(carol.user_id, 1) | {"content": {"body": "x" * 70_000}},
    ):
        body = {"events": [said(carol.user_id, 0), wrong]}
        status, _ = await bridge.as_user("_irc_bot").post(batch_path(room), body)
        assert status in (400, 403, 413), wrong
    assert bodies(await read_back(carol, room)) == []


@pytest.mark.parametrize("forward", [True, False])
async def test_nonsense_is_refused_as_such(bridge: Bridge, carol: Client, forward: bool) -> None:
    room, bot = await carol.create_room(preset="public_chat", **HERE_ONLY), bridge.as_user("_irc_bot")
    body = {"forward": forward, "events": [said(carol.user_id, 1)], "mark_read_by": carol.user_id}
    for one in spoilt(body):
        status, answer = await bot.request("POST", batch_path(room), json=one)
        assert status < 500, (one, answer)
