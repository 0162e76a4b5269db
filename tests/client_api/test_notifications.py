"""The list of notifications: what was notified of, newest first, page by page."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client_api.test_unread import GLOBAL, HIGHLIGHT, in_thread, mention, read, text
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver


async def listed(client: Client, **params: Any) -> list[dict[str, Any]]:
    return list((await client.ok("GET", "notifications", params=params))["notifications"])


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [notification["event"]["event_id"] for notification in found]


@pytest.fixture
async def room(alice: Client, bob: Client) -> str:
    """A room of Alice's with Bob and Carol in it, so that it is not one of two."""
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    return room


async def test_what_notified_is_listed_with_what_was_done(alice: Client, bob: Client, room: str) -> None:
    first = await alice.send(room, "one")
    await alice.send(room, text("beep", msgtype="m.notice"))
    second = await alice.send(room, mention(bob))
    await bob.send(room, "mine")
    found = await listed(bob)
    assert ids(found) == [second, first]
    assert found[0]["room_id"] == room
    assert found[0]["event"]["content"] == mention(bob)
    assert found[0]["ts"] == found[0]["event"]["origin_server_ts"]
    assert {"set_tweak": "highlight"} in found[0]["actions"]
    assert found[1]["actions"] == ["notify", {"set_tweak": "sound", "value": "default"}]
    assert [notification["read"] for notification in found] == [True, True]
    third = await alice.send(room, "three")
    assert (await listed(bob))[0]["read"] is False
    await read(bob, room, third)
    assert (await listed(bob))[0]["read"] is True
    assert ids(await listed(alice)) == [(await alice.messages(room, limit=2))[1]["event_id"]]


async def test_the_list_has_pages_and_an_end(
    homeserver: Homeserver, alice: Client, bob: Client, room: str
) -> None:
    other = await alice.create_room(preset="public_chat")
    await bob.join(other)
    sent = [await alice.send((room, other)[number % 2], f"{number}") for number in range(7)]
    first = await bob.ok("GET", "notifications", params={"limit": 3})
    second = await bob.ok("GET", "notifications", params={"limit": 3, "from": first["next_token"]})
    third = await bob.ok("GET", "notifications", params={"limit": 3, "from": second["next_token"]})
    assert ids([*first["notifications"], *second["notifications"], *third["notifications"]]) == sent[::-1]
    assert "next_token" not in third
    assert "next_token" not in await bob.ok("GET", "notifications", params={"limit": 7})


async def test_only_highlights(alice: Client, bob: Client, room: str) -> None:
    await bob.ok("PUT", f"{GLOBAL}/content/cake", json={"pattern": "cake", "actions": HIGHLIGHT})
    root = await alice.send(room, "hello")
    expected = [
        await alice.send(room, "cake"),
        await alice.send(room, in_thread(root, **{"m.mentions": {"user_ids": [bob.user_id]}})),
        await alice.send(room, mention(room=True)),
    ]
    gone = await alice.send(room, mention(bob))
    await alice.redact(room, gone)
    assert ids(await listed(bob, only="highlight")) == expected[::-1]
    assert ids(await listed(bob)) == [*expected[::-1], root]
    assert ids(await listed(bob, only="highlight", limit=1)) == expected[-1:]


async def test_quiet_rooms_ignored_users_and_rooms_left_are_not_listed(
    homeserver: Homeserver, alice: Client, bob: Client, room: str
) -> None:
    carol = await homeserver.user("carol")
    await carol.join(room)
    await carol.send(room, "hello")
    await alice.send(room, "hello")
    highlight = await alice.send(room, mention(bob))
    ignored = {"ignored_users": {carol.user_id: {}}}
    await bob.ok("PUT", f"user/{bob.user_id}/account_data/m.ignored_user_list", json=ignored)
    assert len(await listed(bob)) == 2
    await bob.ok("PUT", f"{GLOBAL}/room/{room}", json={"actions": []})
    assert ids(await listed(bob)) == [highlight]
    in_room = [{"kind": "event_match", "key": "room_id", "pattern": room}]
    await bob.ok("PUT", f"{GLOBAL}/override/{room}", json={"actions": [], "conditions": in_room})
    assert await listed(bob) == await listed(bob, only="highlight") == []
    await bob.ok("DELETE", f"{GLOBAL}/override/{room}")
    await bob.ok("PUT", f"{GLOBAL}/override/.m.rule.master/enabled", json={"enabled": True})
    assert await listed(bob) == []
    await bob.ok("PUT", f"{GLOBAL}/override/.m.rule.master/enabled", json={"enabled": False})
    assert ids(await listed(bob)) == [highlight]
    await bob.leave(room)
    assert await listed(bob) == []


@pytest.mark.parametrize(
    "params", [{"limit": 0}, {"limit": "x"}, {"only": "unread"}, {"from": "x"}, {"from": "-1"}]
)
async def test_what_is_asked_wrongly_is_refused(alice: Client, params: dict[str, Any]) -> None:
    status, body = await alice.get("notifications", params=params)
    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")
