"""Looks for news that something else comes in between of: what is read at one moment is never taken for what is so at another.

Each test stops a look at a place of its own, does something meanwhile, and lets it go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from services.sync import v3
from services.sync.sliding import poll, room_list
from storage import sliding
from storage.journal import Note
from tests.fixtures.client import Client
from tests.fixtures.crypto import one_time_keys
from tests.fixtures.homeserver import Homeserver
from tests.sync.sliding_model import Sliding

PATIENCE = 60  # seconds
LONG = 10 * PATIENCE * 1000
ALL = {"timeline_limit": 10, "required_state": [["*", "*"]], "ranges": [[0, 99]]}


class Stop:
    """Put around functions: once armed, the next call of one waits behind (or before) it until it is let go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._is_armed = False
        self._reached, self._go_on = asyncio.Event(), asyncio.Event()

    def put(self, owner: Any, name: str, *, before: bool = False) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        async def stopped(*args: Any, **named: Any) -> Any:
            if before:
                await self._wait()
            found = await original(*args, **named)
            if not before:
                await self._wait()
            return found

        self._patch.setattr(owner, name, stopped)

    async def _wait(self) -> None:
        if self._is_armed:
            self._is_armed = False
            self._reached.set()
            await self._go_on.wait()

    async def at(self, request: Any) -> asyncio.Task[Any]:
        """Makes the request, as far as to the stop."""
        self._is_armed = True
        self._reached.clear()
        self._go_on.clear()
        task: asyncio.Task[Any] = asyncio.ensure_future(request)
        reached = asyncio.ensure_future(self._reached.wait())
        await asyncio.wait([task, reached], return_when=asyncio.FIRST_COMPLETED)
        assert self._reached.is_set(), "it never came to the stop"
        return task

    def open(self) -> None:
        """Nobody waits any more."""
        self._is_armed = False
        self._go_on.set()

    async def go_on(self, task: asyncio.Task[Any]) -> Any:
        """The answer of a request that has come to the stop."""
        self.open()
        async with asyncio.timeout(PATIENCE):
            return await task


@pytest.fixture
def stop(homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stop]:
    there = Stop(monkeypatch)
    yield there
    there.open()  # the homeserver ends when its requests have


def _list(extensions: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {"lists": {"all": ALL | more}, "extensions": {name: {"enabled": True} for name in extensions}}


async def _ignore(who: Client, *users: str) -> None:
    path = f"user/{who.user_id}/account_data/m.ignored_user_list"
    await who.ok("PUT", path, json={"ignored_users": {user: {} for user in users}})


async def _read(who: Client, room: str, event_id: str, type: str, **body: Any) -> None:
    await who.ok("POST", f"rooms/{quote(room)}/receipt/{type}/{quote(event_id)}", json=body)


@pytest.mark.parametrize("last", ["room", "thread"])
async def test_whoever_reads_in_a_thread_and_in_the_room_has_read_in_the_room(
    alice: Client, bob: Client, last: str
) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    sent = await alice.send(room, "read me")
    watchers = [Sliding(await bob.log_in(), _list(("receipts",))), Sliding(alice, _list(("receipts",)))]
    for watcher in watchers:
        await watcher.goes_on()
    # Rows come from the database in any order, mostly in that in which they were written.
    ways: list[dict[str, Any]] = [{"thread_id": "main"}, {}]
    for way in ways if last == "room" else reversed(ways):
        await _read(bob, room, sent, "m.read", **way)
        await _read(bob, room, sent, "m.read.private", **way)

    for watcher in watchers:
        await watcher.goes_on()
    own = {("m.read.private", bob.user_id): sent}
    public = {("m.read", bob.user_id): sent}
    assert watchers[0].rooms[room].receipts == own | public
    assert watchers[1].rooms[room].receipts == public


async def test_a_poll_waits_for_nothing_that_came_while_its_listener_was_registered_anew(
    alice: Client, bob: Client, stop: Stop
) -> None:
    """The poll has looked; then the user is invited, which makes the listener blank, and another poll registers it."""
    stop.put(v3, "look_up")
    room = await alice.create_room()
    phone = await bob.log_in()
    await phone.sync(set_presence="offline")
    await bob.sync(set_presence="offline")
    waiting = await stop.at(bob.sync(timeout=LONG, set_presence="offline"))
    await alice.invite(room, bob)
    await phone.sync(set_presence="offline")

    said = await stop.go_on(waiting)

    assert room in said["rooms"]["invite"]


async def test_nor_does_one_of_sliding_sync(alice: Client, bob: Client, stop: Stop) -> None:
    stop.put(poll, "extended")
    room = await alice.create_room()
    phone = await bob.log_in()
    await phone.sync(set_presence="offline")
    watcher = Sliding(bob, _list())
    await watcher.goes_on()
    waiting = await stop.at(watcher.goes_on(timeout=LONG))
    await alice.invite(room, bob)
    await phone.sync(set_presence="offline")

    await stop.go_on(waiting)

    assert room in watcher.rooms


async def test_whom_the_user_ignores_is_not_remembered_from_before(
    homeserver: Homeserver, alice: Client, bob: Client, stop: Stop
) -> None:
    """It is read from a snapshot, while the user ignores somebody."""
    stop.put(v3, "likings_of", before=True)
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    homeserver.tenant.listeners.reset(homeserver.tenant.feed.position)
    waiting = await stop.at(bob.sync())
    await _ignore(bob, alice.user_id)
    await stop.go_on(waiting)
    await bob.sync()
    await alice.send(room, "not heard")

    said = await bob.sync()

    assert "rooms" not in said or not said["rooms"]["join"][room]["timeline"]["events"]


async def test_what_push_rules_there_are_is_not_remembered_from_before(
    homeserver: Homeserver, alice: Client, bob: Client, stop: Stop
) -> None:
    """They are read in a snapshot, while the user mutes a room."""
    stop.put(v3, "likings_of")
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await alice.send(room, "heard")
    homeserver.tenant.listeners.reset(homeserver.tenant.feed.position)
    waiting = await stop.at(bob.sync())
    await bob.ok("PUT", f"pushrules/global/override/{quote(room)}", json=_muting(room))
    first = await stop.go_on(waiting)
    assert first["rooms"]["join"][room]["unread_notifications"]["notification_count"] == 1

    said = await bob.sync()

    assert said["rooms"]["join"][room]["unread_notifications"]["notification_count"] == 0


def _muting(room: str) -> dict[str, Any]:
    return {"actions": [], "conditions": [{"kind": "event_match", "key": "room_id", "pattern": room}]}


async def test_how_many_keys_there_are_is_not_remembered_from_before(
    homeserver: Homeserver, bob: Client, stop: Stop
) -> None:
    """They are counted in a snapshot, while more are uploaded."""
    stop.put(v3, "likings_of", before=True)
    homeserver.tenant.listeners.reset(homeserver.tenant.feed.position)
    waiting = await stop.at(bob.sync())
    await bob.ok("POST", "keys/upload", json={"one_time_keys": one_time_keys("A", "B", "C")})
    await stop.go_on(waiting)

    said = await bob.sync()

    assert said["device_one_time_keys_count"]["signed_curve25519"] == 3


async def test_a_first_look_knows_whom_the_user_ignores_as_of_its_own_moment(
    homeserver: Homeserver, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process has not been told of the last commits yet."""
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await _ignore(bob, alice.user_id)
    await bob.sync()
    watcher = Sliding(bob, _list())
    feed = homeserver.tenant.feed
    late: list[Note] = []
    with monkeypatch.context() as held:
        held.setattr(feed, "arrived", late.append)
        await _ignore(bob)
        sent = await alice.send(room, "heard again")
        first = await bob.sync(since="")
        await watcher.goes_on()
    for note in late:
        feed.arrived(note)

    timeline = first["rooms"]["join"][room]["timeline"]["events"]
    assert sent in [event["event_id"] for event in timeline]
    assert sent in watcher.rooms[room].timeline


async def test_an_older_look_does_not_bring_back_older_tags(alice: Client, stop: Stop) -> None:
    stop.put(sliding, "direct_and_tags")
    room = await alice.create_room()
    tags = f"user/{alice.user_id}/rooms/{quote(room)}/tags"
    devices = [await alice.log_in() for _ in range(3)]
    old, new, later = (Sliding(device, _list(filters={"tags": ["u.b"]})) for device in devices)
    await new.goes_on()
    await alice.ok("PUT", f"{tags}/u.a", json={})
    waiting = await stop.at(old.goes_on())
    await alice.ok("PUT", f"{tags}/u.b", json={})
    await new.goes_on()
    assert new.lists == {"all": 1}
    await stop.go_on(waiting)

    await later.goes_on()

    assert later.lists == {"all": 1}


async def test_an_older_look_does_not_bring_back_a_space_without_its_child(alice: Client, stop: Stop) -> None:
    stop.put(room_list, "space_children")
    room = await alice.create_room()
    space = await alice.create_room(creation_content={"type": "m.space"})
    devices = [await alice.log_in() for _ in range(3)]
    old, new, later = (Sliding(device, _list(filters={"spaces": [space]})) for device in devices)
    waiting = await stop.at(old.goes_on())
    await alice.set_state(space, "m.space.child", {"via": ["one.example"]}, room)
    await new.goes_on()
    assert new.rooms.keys() == {room}
    await stop.go_on(waiting)

    await later.goes_on()
    await old.goes_on()

    assert later.rooms.keys() == old.rooms.keys() == {room}


async def test_a_first_answer_has_the_rooms_that_another_request_has_just_read(
    homeserver: Homeserver, alice: Client, stop: Stop
) -> None:
    """It found them read from a later snapshot than its own."""
    stop.put(poll, "likings_of")
    room = await alice.create_room()
    old, new = [Sliding(await alice.log_in(), _list()) for _ in range(2)]
    homeserver.tenant.listeners.reset(homeserver.tenant.feed.position)
    waiting = await stop.at(old.goes_on())
    await alice.send(room, "meanwhile")
    await new.goes_on()

    await stop.go_on(waiting)

    assert old.rooms.keys() == {room}
