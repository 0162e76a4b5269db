"""Sending events: once each, allowed by the room, and without asking the database in a warm room."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.client_api.stored import events_of, path
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver

VERSIONS = [str(number) for number in range(1, 13)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_message_is_sent_in_every_room_version(
    homeserver: Homeserver, alice: Client, version: str
) -> None:
    room_id = await alice.create_room(room_version=version, name="Here")

    first = await alice.send(room_id, "one")
    second = await alice.send(room_id, "two")

    assert first != second
    events = await events_of(homeserver, room_id)
    assert [event["event_id"] for event in events[-2:]] == [first, second]


async def test_a_retry_gets_the_first_event_id(homeserver: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room()
    url = path(room_id, "send", "m.room.message", "again")

    first = await alice.ok("PUT", url, json={"body": "hello"})
    again = await alice.ok("PUT", url, json={"body": "hello, changed"})

    assert again == first
    assert len([event for event in await events_of(homeserver, room_id) if event["txn_id"] == "again"]) == 1


async def test_a_retry_while_the_first_is_on_its_way_gets_the_same_event_id(
    homeserver: Homeserver, alice: Client
) -> None:
    room_id = await alice.create_room()
    url = path(room_id, "send", "m.room.message", "twice")

    answers = await asyncio.gather(*(alice.ok("PUT", url, json={"body": "hello"}) for _ in range(10)))

    assert len({answer["event_id"] for answer in answers}) == 1
    assert len([event for event in await events_of(homeserver, room_id) if event["txn_id"] == "twice"]) == 1


async def test_a_transaction_id_counts_for_one_device_room_and_type(alice: Client) -> None:
    one, two = await alice.create_room(), await alice.create_room()
    phone = await alice.log_in()

    sent = [
        await alice.ok("PUT", path(one, "send", "m.room.message", "t"), json={}),
        await alice.ok("PUT", path(two, "send", "m.room.message", "t"), json={}),
        await alice.ok("PUT", path(one, "send", "org.example.other", "t"), json={}),
        await phone.ok("PUT", path(one, "send", "m.room.message", "t"), json={}),
    ]

    assert len({answer["event_id"] for answer in sent}) == 4


async def test_a_retry_after_leaving_the_room_still_gets_the_event_id(
    make_homeserver: MakeHomeserver,
) -> None:
    homeserver = await make_homeserver()
    alice = await homeserver.user("alice")
    room_id = await alice.create_room()
    url = path(room_id, "send", "m.room.message", "last words")
    first = await alice.ok("PUT", url, json={"body": "bye"})
    await alice.leave(room_id)
    other = await make_homeserver(beside=homeserver)  # whose memory knows nothing of it
    elsewhere = Client(other.session, other.url, alice.user_id, alice.device_id, alice.access_token)

    assert await elsewhere.ok("PUT", url, json={"body": "bye"}) == first
    status, body = await elsewhere.put(path(room_id, "send", "m.room.message", "more"), {"body": "?"})
    assert (status, body["errcode"]) == (403, "M_FORBIDDEN")


async def test_who_is_not_in_the_room_may_not_send(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()

    for room in (room_id, "!nowhere:one.example"):
        status, body = await bob.put(path(room, "send", "m.room.message", "1"), {"body": "hello"})
        assert (status, body["errcode"]) == (403, "M_FORBIDDEN")


@pytest.mark.parametrize(
    ("content", "status", "errcode"),
    [
        ({"body": "x" * 65536}, 413, "M_TOO_LARGE"),
        ({"body": 1.5}, 400, "M_BAD_JSON"),
        ({"body": 2**53}, 400, "M_BAD_JSON"),
    ],
)
async def test_content_that_no_event_can_hold_is_refused(
    alice: Client, content: dict[str, Any], status: int, errcode: str
) -> None:
    room_id = await alice.create_room()

    answer, body = await alice.put(path(room_id, "send", "m.room.message", "1"), content)

    assert (answer, body["errcode"]) == (status, errcode)
    assert await alice.send(room_id, "the room is none the worse for it")


async def test_the_content_is_a_json_object(alice: Client) -> None:
    room_id = await alice.create_room()
    url = path(room_id, "send", "m.room.message", "1")

    for body, errcode in ((b"[]", "M_BAD_JSON"), (b"{", "M_NOT_JSON")):
        status, said = await alice.request("PUT", url, data=body)
        assert (status, said["errcode"]) == (400, errcode)


async def test_a_create_event_is_never_sent(alice: Client) -> None:
    room_id = await alice.create_room()

    for url in (path(room_id, "send", "m.room.create", "1"), path(room_id, "state", "m.room.create", "")):
        status, body = await alice.put(url, {"creator": alice.user_id})
        assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")


async def test_the_same_reaction_is_sent_once(alice: Client) -> None:
    room_id = await alice.create_room()
    message = await alice.send(room_id, "hello")
    reaction = {"m.relates_to": {"rel_type": "m.annotation", "event_id": message, "key": "👍"}}
    first = await alice.send(room_id, reaction, "m.reaction")

    status, body = await alice.put(path(room_id, "send", "m.reaction", "other"), reaction)
    assert (status, body["errcode"]) == (400, "M_DUPLICATE_ANNOTATION")

    await alice.redact(room_id, first)
    assert await alice.send(room_id, reaction, "m.reaction") != first


async def test_a_thread_starts_from_an_event_that_relates_to_nothing(alice: Client) -> None:
    room_id = await alice.create_room()
    root = await alice.send(room_id, "hello")
    reply = {"body": "hi", "m.relates_to": {"rel_type": "m.thread", "event_id": root}}
    in_thread = await alice.send(room_id, reply)

    nested = {"body": "no", "m.relates_to": {"rel_type": "m.thread", "event_id": in_thread}}
    status, body = await alice.put(path(room_id, "send", "m.room.message", "nested"), nested)

    assert (status, body["errcode"]) == (400, "M_UNKNOWN")


async def test_what_is_about_an_event_in_a_thread_is_in_the_thread(
    homeserver: Homeserver, alice: Client
) -> None:
    room_id = await alice.create_room()
    root = await alice.send(room_id, "hello")
    reply = await alice.send(
        room_id, {"body": "hi", "m.relates_to": {"rel_type": "m.thread", "event_id": root}}
    )
    edit = await alice.send(
        room_id, {"body": "* hi!", "m.relates_to": {"rel_type": "m.replace", "event_id": reply}}
    )
    reaction = {"m.relates_to": {"rel_type": "m.annotation", "event_id": edit, "key": "k"}}
    deep = await alice.send(room_id, reaction, "m.reaction")
    of_root = {"m.relates_to": {"rel_type": "m.annotation", "event_id": root, "key": "k"}}
    await alice.send(room_id, of_root, "m.reaction")

    async with homeserver.tenant.database.read() as tx:
        found = await tx.fetch(
            "SELECT root, event_id FROM thread_events WHERE room_id = $1 ORDER BY position", room_id
        )
    assert [tuple(row) for row in found] == [(root, reply), (root, edit), (root, deep)]


async def test_relations_to_nonsense_do_no_harm(alice: Client) -> None:
    room_id = await alice.create_room()

    for relates_to in (
        "nonsense",
        {"rel_type": 5, "event_id": []},
        {"rel_type": "m.annotation", "event_id": "$" + "x" * 4000, "key": "k"},
        {"rel_type": "m.annotation", "event_id": "$x", "key": "k\0"},
        {"rel_type": "m.\0thread", "event_id": "$x\0"},
        {"rel_type": "m.thread", "event_id": "$unknown"},
    ):
        assert await alice.send(room_id, {"body": "?", "m.relates_to": relates_to})
