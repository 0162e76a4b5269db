"""Unread counts in /sync: what counts for whom, and what reading does to it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver

GLOBAL = "pushrules/global"
BY_THREAD = '{"room":{"timeline":{"unread_thread_notifications":true}}}'
HIGHLIGHT = ["notify", {"set_tweak": "highlight"}]

Counts = tuple[int, int]


def pair(json: dict[str, int]) -> Counts:
    return json["notification_count"], json["highlight_count"]


async def counts(client: Client, room: str) -> Counts:
    """Read afresh from the database."""
    joined = (await client.ok("GET", "sync"))["rooms"]["join"]
    return pair(joined[room]["unread_notifications"])


async def threads(client: Client, room: str) -> dict[str, Counts]:
    """The counts of the main timeline ("") and of each unread thread."""
    joined = (await client.ok("GET", "sync", params={"filter": BY_THREAD}))["rooms"]["join"][room]
    found = {root: pair(json) for root, json in joined.get("unread_thread_notifications", {}).items()}
    return {"": pair(joined["unread_notifications"])} | found


async def read(
    client: Client, room: str, event_id: str, kind: str = "m.read", thread: str | None = None
) -> None:
    body = {} if thread is None else {"thread_id": thread}
    await client.ok("POST", f"rooms/{room}/receipt/{kind}/{event_id}", json=body)


def text(body: str, **more: Any) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": body} | more


def mention(*users: Client, room: bool = False) -> dict[str, Any]:
    mentioned: dict[str, Any] = {"user_ids": [user.user_id for user in users]} if users else {}
    return text("look", **{"m.mentions": mentioned | ({"room": True} if room else {})})


def in_thread(root: str, body: str = "aside", **more: Any) -> dict[str, Any]:
    return text(body, **{"m.relates_to": {"rel_type": "m.thread", "event_id": root}} | more)


@pytest.fixture
async def room(alice: Client, bob: Client) -> str:
    """A room of Alice's with Bob in it."""
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    return room


async def test_messages_count_until_they_are_read(alice: Client, bob: Client, room: str) -> None:
    assert await counts(bob, room) == (0, 0)
    first = await alice.send(room, "one")
    await alice.send(room, "two")
    await alice.send(room, {}, "m.reaction")
    await alice.set_state(room, "m.room.topic", {"topic": "x"})
    await alice.send(room, text("beep", msgtype="m.notice"))
    assert await counts(bob, room) == (2, 0)
    assert await counts(alice, room) == (0, 0)
    await read(bob, room, first)
    assert await counts(bob, room) == (1, 0)
    await read(bob, room, await alice.send(room, "three"), "m.read.private")
    assert await counts(bob, room) == (0, 0)


async def test_what_was_said_before_one_came_does_not_count(
    homeserver: Homeserver, alice: Client, room: str
) -> None:
    await alice.send(room, "before")
    carol = await homeserver.user("carol")
    await carol.join(room)
    await alice.send(room, "after")
    assert await counts(carol, room) == (1, 0)
    await carol.leave(room)
    await alice.send(room, "meanwhile")
    await carol.join(room)
    assert await counts(carol, room) == (0, 0)


async def test_who_says_something_has_read_up_to_there(alice: Client, bob: Client, room: str) -> None:
    await alice.send(room, "one")
    await bob.send(room, "answer")
    await alice.send(room, "two")
    assert await counts(bob, room) == (1, 0)
    await bob.set_state(room, "m.room.member", {"membership": "join", "displayname": "Robert"}, bob.user_id)
    assert await counts(bob, room) == (1, 0)


async def test_mentions_highlight_for_those_mentioned(
    homeserver: Homeserver, alice: Client, bob: Client, room: str
) -> None:
    carol = await homeserver.user("carol")
    await carol.join(room)
    await alice.send(room, mention(bob))
    sticker = mention(bob) | {"url": "mxc://a/b", "info": {}}
    await alice.send(room, sticker, "m.sticker")
    assert await counts(bob, room) == (2, 2)
    assert await counts(carol, room) == (1, 0)
    await alice.send(room, mention(room=True))
    assert await counts(carol, room) == (2, 1)
    await bob.send(room, mention(room=True))  # Bob has not the power
    assert await counts(carol, room) == (3, 1)


async def test_strange_mentions_harm_nobody(alice: Client, bob: Client, room: str) -> None:
    strange = ["@nobody:one.example", "@\0:one.example", "@" + "x" * 300 + ":one.example", "", 1, None, []]
    await alice.send(room, text("x", **{"m.mentions": {"user_ids": [*strange, bob.user_id]}}))
    assert await counts(bob, room) == (1, 1)


async def test_redacted_events_do_not_count(alice: Client, bob: Client, room: str) -> None:
    root = await alice.send(room, mention(bob))
    for event_id in (await alice.send(room, "two"), await alice.send(room, mention(room=True)), root):
        await alice.redact(room, event_id)
    in_it = await alice.send(room, in_thread(root, **{"m.mentions": {"user_ids": [bob.user_id]}}))
    await alice.send(room, "three")
    assert await threads(bob, room) == {"": (1, 0), root: (1, 1)}
    await alice.redact(room, in_it)
    assert await threads(bob, room) == {"": (1, 0)}


async def test_ignored_users_do_not_count(
    homeserver: Homeserver, alice: Client, bob: Client, room: str
) -> None:
    carol = await homeserver.user("carol")
    await carol.join(room)
    root = await carol.send(room, mention(bob))
    await carol.send(room, in_thread(root))
    await alice.send(room, "hello")
    assert await counts(bob, room) == (3, 1)
    ignored = {"ignored_users": {carol.user_id: {}}}
    await bob.ok("PUT", f"user/{bob.user_id}/account_data/m.ignored_user_list", json=ignored)
    assert await counts(bob, room) == (1, 0)


async def test_threads_count_by_themselves(alice: Client, bob: Client, room: str) -> None:
    root, other = await alice.send(room, "root"), await alice.send(room, "other")
    first = await alice.send(room, in_thread(root))
    last = await alice.send(room, in_thread(root, **{"m.mentions": {"user_ids": [bob.user_id]}}))
    await alice.send(room, in_thread(other))
    about = {"m.relates_to": {"rel_type": "m.reference", "event_id": first}}
    await alice.send(room, text("about the first", **about))
    assert await threads(bob, room) == {"": (2, 0), root: (3, 1), other: (1, 0)}
    assert await counts(bob, room) == (6, 1)
    await read(bob, room, last, thread=root)
    assert await threads(bob, room) == {"": (2, 0), root: (1, 0), other: (1, 0)}
    await read(bob, room, other, thread="main")
    assert await threads(bob, room) == {"": (0, 0), root: (1, 0), other: (1, 0)}
    await bob.send(room, in_thread(other))
    assert await threads(bob, room) == {"": (0, 0), root: (1, 0)}
    await read(bob, room, await alice.send(room, "end"))
    assert await threads(bob, room) == {"": (0, 0)}


async def test_a_room_can_be_muted_or_heard_only_for_mentions(alice: Client, bob: Client, room: str) -> None:
    await alice.send(room, "hello")
    await alice.send(room, mention(bob))
    assert await counts(bob, room) == (2, 1)
    await bob.ok("PUT", f"{GLOBAL}/room/{room}", json={"actions": []})
    assert await counts(bob, room) == (1, 1)
    in_room = [{"kind": "event_match", "key": "room_id", "pattern": room}]
    await bob.ok("PUT", f"{GLOBAL}/override/{room}", json={"actions": [], "conditions": in_room})
    assert await counts(bob, room) == (0, 0)
    await bob.ok("DELETE", f"{GLOBAL}/override/{room}")
    await bob.ok("DELETE", f"{GLOBAL}/room/{room}")
    assert await counts(bob, room) == (2, 1)


async def test_keywords_and_quiet_senders(
    homeserver: Homeserver, alice: Client, bob: Client, room: str
) -> None:
    carol = await homeserver.user("carol")
    await bob.ok("PUT", f"{GLOBAL}/content/cake", json={"pattern": "cake", "actions": HIGHLIGHT})
    await bob.ok("PUT", f"{GLOBAL}/sender/{carol.user_id}", json={"actions": []})
    await carol.join(room)
    await alice.send(room, "there is Cake!")
    await alice.send(room, "cakes")
    await carol.send(room, "quiet")
    await carol.send(room, "cake")
    assert await counts(bob, room) == (3, 2)
    assert await counts(alice, room) == (2, 0)


async def test_rules_hold_from_when_they_are_made_also_in_a_warm_room(
    alice: Client, bob: Client, room: str
) -> None:
    await alice.send(room, "cake")
    path = f"{GLOBAL}/content/cake"
    await bob.ok("PUT", path, json={"pattern": "cake", "actions": HIGHLIGHT})
    await alice.send(room, "cake")
    assert await counts(bob, room) == (2, 1)
    await bob.ok("PUT", f"{path}/enabled", json={"enabled": False})
    await alice.send(room, "cake")
    assert await counts(bob, room) == (3, 1)


async def test_special_users_are_found_in_rooms_they_come_to(
    homeserver: Homeserver, alice: Client, room: str
) -> None:
    carol = await homeserver.user("carol")
    await carol.ok("PUT", f"{GLOBAL}/content/cake", json={"pattern": "cake", "actions": HIGHLIGHT})
    await alice.send(room, "cake")
    await carol.join(room)
    await alice.send(room, "cake")
    assert await counts(carol, room) == (1, 1)
    await carol.leave(room)
    await alice.send(room, "cake")
    await carol.join(room)
    assert await counts(carol, room) == (0, 0)


async def test_the_name_in_the_room_is_a_word_to_look_for(alice: Client, bob: Client, room: str) -> None:
    rule = {"conditions": [{"kind": "contains_display_name"}], "actions": HIGHLIGHT}
    await bob.ok("PUT", f"{GLOBAL}/override/name", json=rule)
    await bob.set_state(room, "m.room.member", {"membership": "join", "displayname": "Robert"}, bob.user_id)
    await alice.send(room, "hello robert!")
    await alice.send(room, "hello bob!")
    assert await counts(bob, room) == (2, 1)


async def test_a_message_to_a_warm_room_asks_the_database_for_nothing_more(
    homeserver: Homeserver, alice: Client, bob: Client, room: str
) -> None:
    await bob.ok("PUT", f"{GLOBAL}/content/cake", json={"pattern": "cake", "actions": HIGHLIGHT})

    async def statements(content: dict[str, Any]) -> int:
        before = homeserver.tenant.database.statements_run
        await alice.send(room, content)
        return homeserver.tenant.database.statements_run - before

    await alice.send(room, mention(bob, room=True))
    plain = await statements(text("hello"))
    # Exceptions are one more statement to write, and none to read.
    assert await statements(text("cake")) == plain + 1
    assert await statements(mention(bob)) == plain + 1


async def test_counts_go_on_from_what_is_remembered(
    homeserver: Homeserver, alice: Client, bob: Client, room: str
) -> None:
    await bob.sync()
    for body in ("one", "two"):  # with the first the counts are read, from the second on they are remembered
        await alice.send(room, body)
        await bob.sync()
    await alice.send(room, mention(bob))
    before = homeserver.tenant.database.statements_run
    news = await bob.sync()
    assert homeserver.tenant.database.statements_run == before
    assert pair(news["rooms"]["join"][room]["unread_notifications"]) == (3, 1)


async def test_another_process_hears_of_rules_and_of_reading(
    make_homeserver: MakeHomeserver, redis_url: str
) -> None:
    one = await make_homeserver(redis_url=redis_url)
    two = await make_homeserver(redis_url=redis_url, beside=one)
    alice, bob = await one.user("alice"), await one.user("bob")
    bob_there = Client(two.session, two.url, bob.user_id, bob.device_id, bob.access_token)
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await alice.send(room, "warm")
    await bob_there.ok("PUT", f"{GLOBAL}/content/cake", json={"pattern": "cake", "actions": HIGHLIGHT})
    await bob_there.sync()

    def counted(reply: dict[str, Any]) -> Counts | None:
        joined = reply.get("rooms", {}).get("join", {}).get(room, {})
        return pair(joined["unread_notifications"]) if "unread_notifications" in joined else None

    # The word of the new rule is on its way to the process that Alice sends through.
    while (await counts(bob, room))[1] == 0:
        await alice.send(room, "cake")
    await bob_there.sync_until(lambda reply: (counted(reply) or (0, 0))[1] == 1)
    await read(bob, room, await alice.send(room, "end"))
    await bob_there.sync_until(lambda reply: counted(reply) == (0, 0))
