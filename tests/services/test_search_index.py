"""The index follows: killed at any point it goes on, several processes share the work, and it can be made anew."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from services.search import index
from services.search.index import Step, index_step
from services.search.rebuild import rebuild
from storage.search import follow
from tests.client_api.searching import edit, found
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver


async def documents(homeserver: Homeserver) -> list[tuple[Any, ...]]:
    """All that can be found, as it is stored."""
    async with homeserver.tenant.database.read() as tx:
        rows = await tx.fetch(
            "SELECT position, edit, room, words::text FROM search_documents ORDER BY position"
        )
    return [tuple(row) for row in rows]


async def test_killed_at_any_point_it_goes_on(
    homeserver: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps that end in the middle leave nothing behind, and nothing out."""
    room = await alice.create_room()
    monkeypatch.setattr(index, "WINDOW", 7)
    first = await alice.send(room, "cake 0")
    for number in range(1, 40):
        await alice.send(room, f"cake {number}")
    await alice.send(room, edit(first, "bread"))
    async with homeserver.tenant.database.transaction() as tx:
        await follow.empty_index(tx)
    for ticks in range(200):
        step = asyncio.create_task(index_step(homeserver.tenant))
        for _ in range(ticks):
            await asyncio.sleep(0)
        step.cancel()
        with suppress(asyncio.CancelledError):
            await step
    assert len(await found(alice, "cake", filter={"limit": 100})) == 39
    assert await found(alice, "bread") == [first]
    once = await documents(homeserver)
    steps: list[Step] = []
    await rebuild(homeserver.tenant, steps.append)
    assert steps[-1].is_last
    assert await documents(homeserver) == once


async def test_two_processes_make_one_index(make_homeserver: MakeHomeserver) -> None:
    one = await make_homeserver()
    two = await make_homeserver(beside=one)
    alice = await one.user("alice")
    bob = await two.user("bob")
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    for number in range(20):
        sender, other = ((alice, bob), (bob, alice))[number % 2]
        event_id = await sender.send(room, f"cake{number}")
        assert await found(sender, f"cake{number}") == [event_id]
        await other.sync()
        assert await found(other, f"cake{number}") == [event_id]
    assert len(await found(alice, "cake*", filter={"limit": 100})) == 20


async def test_only_one_is_at_it_at_a_time(homeserver: Homeserver, alice: Client) -> None:
    room = await alice.create_room()
    event_id = await alice.send(room, "cake")
    assert await found(alice, "cake") == [event_id]
    async with homeserver.tenant.database.transaction() as tx:
        assert await follow.take_index(tx) is not None
        assert await index_step(homeserver.tenant) is None


async def test_what_waits_as_history_is_found_however_old_it_is(
    homeserver: Homeserver, alice: Client
) -> None:
    room = await alice.create_room()
    event_id = await alice.send(room, "cake")
    await found(alice, "cake")
    async with homeserver.tenant.database.transaction() as tx:
        await tx.execute("DELETE FROM search_documents")
        await tx.execute("INSERT INTO search_history (event_id) VALUES ($1), ('$unknown')", event_id)
    step = await index_step(homeserver.tenant)
    assert step is not None
    assert step.is_last
    assert await found(alice, "cake") == [event_id]


async def test_sends_do_not_wait_for_the_index(homeserver: Homeserver, alice: Client) -> None:
    """While somebody holds the index, messages are sent and read; they are found afterwards."""
    room = await alice.create_room()
    async with homeserver.tenant.database.transaction() as tx:
        await follow.take_index(tx)
        await tx.execute("LOCK TABLE search_documents IN ACCESS EXCLUSIVE MODE")
        event_id = await asyncio.wait_for(alice.send(room, "cake"), 5)
        assert (await alice.messages(room, limit=1))[0]["event_id"] == event_id
    assert await found(alice, "cake") == [event_id]
