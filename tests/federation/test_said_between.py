"""What is said between a server's asking for a join and its handing it in reaches it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.federation.plays import join_through, public_room
from tests.federation.test_sending import reads
from tests.fixtures.federation import MakeFederated
from tests.fixtures.homeserver import Homeserver


def after_make_join(patch: pytest.MonkeyPatch, of: Homeserver, then: Any) -> None:
    """Between the server's make_join and its send_join this is done."""
    make_join = of.tenant.remotes.make_join

    async def made(*args: Any) -> Any:
        template = await make_join(*args)
        await then()
        return template

    patch.setattr(of.tenant.remotes, "make_join", made)


async def test_the_joiner_reads_what_was_said_meanwhile(
    make_federated: MakeFederated, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    said: list[str] = []

    async def say() -> None:
        said.extend([await alice.send(room_id, "first"), await alice.send(room_id, "second")])

    after_make_join(monkeypatch, two, say)
    await join_through(bob, room_id, one)

    assert (await reads(bob, room_id, said[1]))["content"]["body"] == "second"
    assert said[0] in [event["event_id"] for event in await bob.messages(room_id, limit=20)]


async def test_what_was_before_is_history_and_no_news(
    make_federated: MakeFederated, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    before = [await alice.send(room_id, f"before {number}") for number in range(3)]
    said: list[str] = []

    async def say() -> None:
        said.append(await alice.send(room_id, "meanwhile"))

    after_make_join(monkeypatch, two, say)
    await join_through(bob, room_id, one)
    await reads(bob, room_id, said[0])

    news = (await bob.sync(since=""))["rooms"]["join"][room_id]["timeline"]["events"]
    assert not {event["event_id"] for event in news} & set(before)
    shown = [event["event_id"] for event in await bob.messages(room_id)]
    if not set(before) <= set(shown):  # a page may end at the gap
        shown += [event["event_id"] for event in await bob.messages(room_id, limit=50)]
    assert said[0] in shown
    joined = next(e["event_id"] for e in await bob.messages(room_id) if e.get("state_key") == bob.user_id)
    for event_id in before:
        assert event_id not in shown or shown.index(event_id) > shown.index(joined)


async def test_what_a_third_server_said_meanwhile_is_passed_on(
    make_federated: MakeFederated, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = await make_federated(), await make_federated(), await make_federated()
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await three.user("carol")
    room_id = await public_room(alice)
    await join_through(carol, room_id, one)
    await alice.sync()
    said: list[str] = []

    async def say() -> None:
        said.append(await carol.send(room_id, "good evening"))
        await reads(alice, room_id, said[0])

    after_make_join(monkeypatch, two, say)
    await join_through(bob, room_id, one)

    assert (await reads(bob, room_id, said[0]))["content"]["body"] == "good evening"
