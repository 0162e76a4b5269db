"""What clients are told when the members of a room come that were left out when it was joined: those who load lazily only what
they need."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from tests.federation.lying_room import LyingRoom
from tests.federation.test_partial_state import MEMBER, Gate, with_members
from tests.federation.test_rejoining_large import join
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.sync.sliding_model import Sliding

MANY = 200
LAZILY = '{"room":{"timeline":{"limit":20},"state":{"lazy_load_members":true}}}'


class Crowd:
    """A room of many, of whom all but the first are left out when it is entered."""

    def __init__(self, server: Any) -> None:
        self.room: LyingRoom = with_members(server, "11", [f"ann{number}" for number in range(MANY)])
        self.liar = self.room.liar
        self.others = {f"@ann{number}:{server.name}" for number in range(MANY)}
        self.gate = Gate(self.room, self.others)

    @property
    def id(self) -> str:
        return self.room.id

    async def hears(self, one: Homeserver, but: set[str]) -> str:
        """One of the others, but for these, says something: the sender."""
        sender = min(self.others - but)
        said = self.room.put("m.room.message", {"msgtype": "m.text", "body": "hello"}, sender=sender)
        status, told = await self.room.server.transaction(one, [said.json])
        assert status == 200, told
        return sender


def members_in(events: Iterable[dict[str, Any]]) -> list[str]:
    return [event["state_key"] for event in events if event["type"] == MEMBER]


def told_in(reply: dict[str, Any], room_id: str) -> list[str]:
    """The members whose events an answer of /sync has."""
    news = reply.get("rooms", {}).get("join", {}).get(room_id, {})
    parts = [news.get(part, {}).get("events", []) for part in ("state", "timeline")]
    return members_in([event for events in parts for event in events])


async def test_sync_tells_who_loads_lazily_only_whom_they_need(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one = await make_federated()
    bob = await one.user("bob")
    crowd = Crowd(await make_lying())
    before = (await bob.sync(filter=LAZILY))["next_batch"]
    await join(bob, crowd.room)
    known = set(told_in(await bob.sync(filter=LAZILY), crowd.id))
    heroes: set[str] = set()

    crowd.gate.opened.set()

    told: list[str] = []
    news: dict[str, Any] = {}
    async with asyncio.timeout(60):
        while news.get("m.joined_member_count") != MANY + 2:
            reply = await bob.sync(timeout=60_000, filter=LAZILY)
            news |= reply.get("rooms", {}).get("join", {}).get(crowd.id, {}).get("summary", {})
            told += told_in(reply, crowd.id)
            heroes |= set(news.get("m.heroes", ()))
    assert set(told) <= heroes - known
    needed = heroes | {bob.user_id, crowd.liar}
    assert set(told_in(await bob.sync(since=before, filter=LAZILY), crowd.id)) <= needed
    assert set(told_in(await bob.sync(since="", filter=LAZILY), crowd.id)) <= needed
    sender = await crowd.hears(one, heroes | known)
    async with asyncio.timeout(60):
        while sender not in (told := told_in(await bob.sync(timeout=60_000, filter=LAZILY), crowd.id)):
            pass
    assert told == [sender]


async def test_sync_tells_the_others_of_all(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    one = await make_federated()
    bob = await one.user("bob")
    crowd = Crowd(await make_lying())
    before = (await bob.sync())["next_batch"]
    await join(bob, crowd.room)
    assert told_in(await bob.sync(), crowd.id) == []

    since = bob.next_batch
    crowd.gate.opened.set()

    everybody = crowd.others | {bob.user_id, crowd.liar}
    reply = await bob.sync_until(lambda reply: told_in(reply, crowd.id))
    assert set(told_in(reply, crowd.id)) == everybody
    for earlier in (since, before, ""):
        assert set(told_in(await bob.sync(since=earlier), crowd.id)) == everybody


def watcher(client: Client, *state: list[str]) -> Sliding:
    asked = {"timeline_limit": 20, "required_state": [["m.room.name", ""], *state]}
    return Sliding(client, {"lists": {"rooms": asked}})


async def test_sliding_sync_tells_who_loads_lazily_only_whom_they_need(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one = await make_federated()
    bob = await one.user("bob")
    crowd = Crowd(await make_lying())
    ann3 = f"@ann3:{crowd.room.server.name}"
    lazy = watcher(bob, [MEMBER, "$LAZY"], [MEMBER, "$ME"])
    full = watcher(await bob.log_in(), [MEMBER, "*"])
    named = watcher(await bob.log_in(), [MEMBER, "$LAZY"], [MEMBER, ann3])
    for one_of_them in (lazy, full, named):
        await one_of_them.goes_on()
    await join(bob, crowd.room)
    for one_of_them in (lazy, full, named):
        await one_of_them.goes_on()
    assert crowd.id in lazy.rooms
    assert crowd.id not in full.rooms

    crowd.gate.opened.set()

    async with asyncio.timeout(60):
        while lazy.rooms[crowd.id].fields.get("joined_count") != MANY + 2:
            said = await lazy.goes_on(timeout=60_000)
            assert members_in(said["rooms"].get(crowd.id, {}).get("required_state", [])) == []
    await full.goes_on()
    everybody = crowd.others | {bob.user_id, crowd.liar}
    assert {key[1] for key in full.rooms[crowd.id].state if key[0] == MEMBER} == everybody
    await named.goes_on()
    assert {key[1] for key in named.rooms[crowd.id].state if key[0] == MEMBER} - {bob.user_id} == {ann3}
    known = {user_id for _, user_id in lazy.rooms[crowd.id].state}
    sender = await crowd.hears(one, known)
    async with asyncio.timeout(60):
        while (MEMBER, sender) not in lazy.rooms[crowd.id].state:
            said = await lazy.goes_on(timeout=60_000)
    assert members_in(said["rooms"][crowd.id]["required_state"]) == [sender]
