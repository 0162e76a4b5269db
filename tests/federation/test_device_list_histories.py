"""Nobody misses a change of devices of those they share a room with, whoever comes and goes: random histories of two servers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from tests.client_api.stored import path
from tests.federation.device_watch import DeviceWatch, known_to
from tests.federation.test_device_lists import encrypted_room, uploads_keys
from tests.fixtures.client import Client
from tests.fixtures.crypto import cross_signing_of
from tests.fixtures.federation import MakeFederated
from tests.fixtures.homeserver import Homeserver

STEPS = 60
PATIENCE = 60  # seconds until what one server did has come to the other


@dataclass
class Person:
    """A user, their first device, which stays, and others, which come and go."""

    home: Homeserver
    first: Client
    others: list[Client] = field(default_factory=list)
    generations: int = 0

    @property
    def user_id(self) -> str:
        return self.first.user_id


class Play:
    """Users of two servers who come, go and change their devices."""

    def __init__(self, seed: int, people: list[Person], rooms: list[str]) -> None:
        self.random = random.Random(seed)
        self.people, self.rooms = people, rooms
        self._txns = count()
        self._steps: list[tuple[int, Callable[[Person], Awaitable[Any]]]] = [
            (6, self._joins),
            (6, self._leaves),
            (2, self._removes),
            (4, self._gets_a_device),
            (3, self._loses_a_device),
            (2, self._signs),
        ]

    def new_txn(self) -> str:
        return f"t{next(self._txns)}"

    async def step(self) -> None:
        """Somebody does something, which may be refused."""
        weights, steps = zip(*self._steps, strict=True)
        await self.random.choices(steps, weights)[0](self.random.choice(self.people))

    async def _joins(self, person: Person) -> None:
        room = self.random.choice(self.rooms)
        via = "&".join(f"via={name}" for name in sorted({one.home.name for one in self.people}))
        await self._may(person, f"{path(room, 'join')}?{via}", {})

    async def _leaves(self, person: Person) -> None:
        await self._may(person, path(self.random.choice(self.rooms), "leave"), {})

    async def _removes(self, person: Person) -> None:
        body = {"user_id": self.random.choice(self.people).user_id}
        await self._may(person, path(self.random.choice(self.rooms), "kick"), body)

    async def _may(self, person: Person, what: str, body: dict[str, Any]) -> None:
        status, said = await person.first.post(what, body)
        assert status < 500, said

    async def _gets_a_device(self, person: Person) -> None:
        device = await person.first.log_in()
        await uploads_keys(device)
        person.others.append(device)

    async def _loses_a_device(self, person: Person) -> None:
        if person.others:
            device = person.others.pop(self.random.randrange(len(person.others)))
            await device.ok("POST", "logout")

    async def _signs(self, person: Person) -> None:
        if person.generations == 0:  # later ones want a password
            person.generations += 1
            body = cross_signing_of(person.first).body()
            await person.first.ok("POST", "keys/device_signing/upload", json=body)


async def _all_speak(play: Play) -> None:
    """In every room: a server that has rejoined may not know its own last event any more until one after it comes."""
    for person in play.people:
        for room in play.rooms:
            status, _ = await person.first.put(
                f"{path(room)}/send/m.room.message/{play.new_txn()}", {"body": "."}
            )
            assert status in (200, 403, 404)


async def _members(person: Person, room: str) -> frozenset[str] | None:
    """The room's members, as the user's server sees them; None when the user is not in it."""
    status, said = await person.first.get(path(room, "joined_members"))
    return frozenset(said["joined"]) if status == 200 else None


async def _companions(play: Play, of: str) -> set[str]:
    """With whom the user shares a room, once the two servers agree on who is in the rooms."""
    while True:
        found: set[str] = set()
        agreed = True
        for room in play.rooms:
            views = {person.user_id: await _members(person, room) for person in play.people}
            inside = {user_id for user_id, seen in views.items() if seen is not None}
            agreed = agreed and all(seen == inside for seen in views.values() if seen is not None)
            found |= inside if of in inside else set()
        if agreed:
            return found - {of}
        await asyncio.sleep(0.05)  # nothing tells of the other server


async def _knows_all(play: Play, watch: DeviceWatch) -> None:
    """Returns once the watcher knows of everybody in its rooms what is so; until then it is told of something new."""
    companions = await _companions(play, watch.client.user_id)
    people = {person.user_id: person for person in play.people}
    truth = {user_id: await known_to(people[user_id].first, user_id) for user_id in companions}
    while True:
        await watch.hear()
        await watch.ask()
        known = {user_id: watch.known.get(user_id) for user_id in companions}
        if known == truth:
            return
        await asyncio.sleep(0.05)


async def _people(homes: list[Homeserver]) -> list[Person]:
    people = [Person(home, await home.user(name)) for home in homes for name in ("ada", "ben")]
    for person in people:
        await uploads_keys(person.first)
    return people


@pytest.mark.parametrize("seed", range(3))
async def test_what_was_told_leads_to_all_that_is_so(make_federated: MakeFederated, seed: int) -> None:
    homes = [await make_federated(), await make_federated()]
    people = await _people(homes)
    play = Play(seed, people, [await encrypted_room(person.first) for person in people[1:3]])
    watches = [
        DeviceWatch(await person.first.log_in(), is_sliding=is_sliding)
        for person in people
        for is_sliding in (False, True)
    ]
    for watch in watches:
        await watch.hear()
    for number in range(STEPS):
        await play.step()
        for watch in watches:
            if play.random.random() < 0.2:
                await watch.hear(is_lost=play.random.random() < 0.3)
            if play.random.random() < 0.1:
                await watch.ask()
        if number % 20 == 19:
            await _all_speak(play)
            for watch in watches:
                async with asyncio.timeout(PATIENCE):
                    await _knows_all(play, watch)
    for watch in watches:
        if not watch.is_sliding:
            companions = await _companions(play, watch.client.user_id)
            assert set(watch.known) - {watch.client.user_id} == companions  # all others have «left»
            assert companions <= await watch.changes()
