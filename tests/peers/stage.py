"""Where plays between two homeservers are given: who is there, how news are awaited, and the comparison at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar
from urllib.parse import quote

import pytest

from tests.client_api.stored import path
from tests.fixtures.client import Client, Unexpected
from tests.peers.peer import Side

T = TypeVar("T")
LONG = 90.0
"""Seconds that anything may take to get from one server to the other, on a busy machine."""
_numbers = count()


@dataclass(frozen=True)
class Stage:
    """The rooms are made at `resident`, by Alice; Bob is at `other`."""

    resident: Side
    other: Side
    version: str = "11"

    async def alice(self, name: str = "alice") -> Client:
        """A new user of the resident server."""
        return await self.resident.user(f"{name}{next(_numbers)}")

    async def bob(self, name: str = "bob") -> Client:
        """A new user of the other server."""
        return await self.other.user(f"{name}{next(_numbers)}")

    async def room(self, creator: Client, preset: str = "public_chat", **more: Any) -> str:
        """A new room of the version; its ID."""
        return await creator.create_room(preset=preset, room_version=self.version, **more)

    async def enter(self, client: Client, room_id: str) -> None:
        """Joins through the resident server."""
        await client.ok("POST", f"join/{quote(room_id, safe='')}?via={self.resident.name}", json={})

    async def meeting(self, **room: Any) -> tuple[Client, Client, str]:
        """Alice, and Bob in her public room."""
        alice, bob = await self.alice(), await self.bob()
        room_id = await self.room(alice, **room)
        await self.enter(bob, room_id)
        await member(alice, room_id, bob, "join")
        return alice, bob, room_id


async def until(client: Client, look: Callable[[], Awaitable[T | None]]) -> T:
    """What `look` answers once it is not None; looked at again whenever the client has news. TimeoutError."""
    async with asyncio.timeout(LONG):
        while True:
            found = await look()
            if found is not None:
                return found
            await client.sync(timeout=1000)


async def heard(client: Client, room_id: str, *event_ids: str) -> None:
    """Returns when the client can read the events."""

    async def all_there() -> bool | None:
        asked = (client.get(path(room_id, "event", event_id)) for event_id in event_ids)
        return True if all(status == 200 for status, _ in await asyncio.gather(*asked)) else None

    await until(client, all_there)


async def member(client: Client, room_id: str, who: Client, membership: str) -> dict[str, Any]:
    """The content of somebody's membership when it has become this, as the client sees it."""

    async def as_said() -> dict[str, Any] | None:
        status, content = await client.get(path(room_id, "state", "m.room.member", who.user_id))
        return content if status == 200 and content["membership"] == membership else None

    return await until(client, as_said)


async def shown(client: Client, room_id: str, section: str) -> dict[str, Any]:
    """The room in a section of the client's /sync: invite, knock, leave."""
    reply = await client.sync_until(lambda reply: room_id in reply.get("rooms", {}).get(section, {}), LONG)
    room: dict[str, Any] = reply["rooms"][section][room_id]
    return room


async def timeline(client: Client, room_id: str, page: int = 20) -> list[str]:
    """The IDs of all the room's events, the newest first, page after page."""
    found: list[str] = []
    params: dict[str, Any] = {"dir": "b", "limit": page}
    while True:
        reply = await client.ok("GET", path(room_id, "messages"), params=params)
        found += [event["event_id"] for event in reply["chunk"]]
        if "end" not in reply:
            # Dendrite gives the create event twice.
            return found[:-1] if found[-1] in found[:-1] else found
        params["from"] = reply["end"]


async def state(client: Client, room_id: str) -> dict[tuple[str, str], str]:
    """The event ID of every entry of the room's state."""
    events = await client.ok("GET", path(room_id, "state"))
    return {(event["type"], event["state_key"]): event["event_id"] for event in events}


async def same_view(room_id: str, one: Client, two: Client, *, in_order: bool = True) -> list[str]:
    """The timeline when the servers of the two agree about it and the state; where a room forked each has its own order."""
    views: list[Any] = []

    async def equal() -> list[str] | None:
        views[:] = [(await state(who, room_id), await timeline(who, room_id)) for who in (one, two)]
        (state_one, events_one), (state_two, events_two) = views
        order = list if in_order else sorted
        return events_one if state_one == state_two and order(events_one) == order(events_two) else None

    try:
        return await until(two, equal)
    except TimeoutError:
        raise AssertionError(difference(*views)) from None


def difference(one: tuple[Any, list[str]], two: tuple[Any, list[str]]) -> str:
    """What the two views do not have in common."""
    states = {
        key: (one[0].get(key), two[0].get(key))
        for key in one[0] | two[0]
        if one[0].get(key) != two[0].get(key)
    }
    return (
        f"state: {states}\nonly in the first: {set(one[1]) - set(two[1])}\n"
        f"only in the second: {set(two[1]) - set(one[1])}\norders: {one[1]}\n{two[1]}"
    )


async def refused(asked: Awaitable[Any]) -> None:
    """Returns when the request has been forbidden; Dendrite does not find the word for it when it was another server."""
    with pytest.raises(Unexpected) as caught:
        await asked
    assert caught.value.status in (403, 500), caught.value
