"""Somebody at matrix-nio: what their client has heard, awaited with an end; each check is named, printed and counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import nio

T = TypeVar("T")
LONG = 60.0
"""Seconds that anything may take, on a busy machine."""
PASSWORD = "correct horse battery"


class Checks:
    """The checks of one conversation."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: list[str] = []

    def check(self, what: str, holds: object = True, otherwise: object = "") -> None:
        """One thing that was seen to hold; the conversation goes on when it does not, and fails at its end."""
        (self.passed if holds else self.failed).append(what)
        print(f"ok {len(self.passed)} {what}" if holds else f"not ok: {what} {otherwise}", flush=True)

    def same(self, what: str, actual: object, expected: object) -> None:
        """The two are equal."""
        self.check(what, actual == expected, f"({actual!r}, not {expected!r})")

    async def told(self, what: str, kind: type[T], asked: Awaitable[Any]) -> T:
        """The answer, which is of this kind; AssertionError when it is not, as what follows builds on it."""
        answer = await asked
        self.check(what, isinstance(answer, kind), answer)
        assert isinstance(answer, kind), f"{what}: {answer}"
        return answer

    async def refused(self, what: str, errcode: str, asked: Awaitable[Any]) -> None:
        """The server answers with this error."""
        self.same(what, getattr(await asked, "status_code", None), errcode)


@contextmanager
def counted(least: int) -> Iterator[Checks]:
    """The checks of a conversation, of which so many have to pass, and none may fail."""
    checks = Checks()
    yield checks
    assert not checks.failed, checks.failed
    assert len(checks.passed) >= least, f"{len(checks.passed)} checks, not {least}"
    print(f"{len(checks.passed)} checks", flush=True)


class Person:
    """One user at one device, and all that their client was told."""

    def __init__(self, client: nio.AsyncClient, checks: Checks) -> None:
        self.client = client
        self.checks = checks
        self.events: list[tuple[str, Any]] = []
        self.ephemeral: list[tuple[str, Any]] = []
        self.account_data: list[Any] = []
        self.presence: list[Any] = []
        self.to_device: list[Any] = []
        self.left: dict[str, Any] = {}
        in_room = lambda kept: lambda room, event: kept.append((room.room_id, event))
        client.add_event_callback(self._heard, nio.Event)
        client.add_ephemeral_callback(in_room(self.ephemeral), nio.EphemeralEvent)
        client.add_room_account_data_callback(in_room(self.ephemeral), nio.AccountDataEvent)
        client.add_global_account_data_callback(self.account_data.append, nio.AccountDataEvent)
        client.add_presence_callback(self.presence.append, nio.PresenceEvent)
        client.add_to_device_callback(self.to_device.append, nio.ToDeviceEvent)

    async def _heard(self, room: nio.MatrixRoom, event: Any) -> None:
        self.events.append((room.room_id, event))

    @property
    def user_id(self) -> str:
        """Their Matrix ID."""
        return str(self.client.user_id)

    @property
    def device_id(self) -> str:
        """Their device."""
        return str(self.client.device_id)

    def room(self, room_id: str) -> Any:
        """The room as the client sees it; they have joined it."""
        return self.client.rooms[room_id]

    async def sync(self, timeout: int = 0) -> nio.SyncResponse:
        """One /sync, and what encryption wants done after it."""
        client = self.client
        synced = await client.sync(timeout=timeout)
        assert isinstance(synced, nio.SyncResponse), synced
        self.left |= synced.rooms.leave  # which nio does not tell to callbacks
        if client.should_upload_keys:
            assert isinstance(await client.keys_upload(), nio.KeysUploadResponse)
        if client.should_query_keys:
            assert isinstance(await client.keys_query(), nio.KeysQueryResponse)
        if client.should_claim_keys:
            claimed = await client.keys_claim(client.get_users_for_key_claiming())
            assert isinstance(claimed, nio.KeysClaimResponse)
        await client.send_to_device_messages()
        return synced

    async def awaited(self, what: str, look: Callable[[], T], *others: Person) -> T:
        """What `look` answers once that is something, while this one and others sync; AssertionError after a minute."""
        people = (self, *others)
        try:
            async with asyncio.timeout(LONG):
                while not (found := _if_known(look)):
                    for person in people:
                        await person.sync(100 if others else 1000)
        except TimeoutError:
            raise AssertionError(f"never seen: {what}") from None
        return found

    async def sees(self, what: str, look: Callable[[], T], *others: Person) -> T:
        """As `awaited`, and counts it."""
        found = await self.awaited(what, look, *others)
        self.checks.check(what)
        return found

    def event(self, event_id: str) -> Any | None:
        """The last that was heard with this ID."""
        return next((e for _, e in reversed(self.events) if e.event_id == event_id), None)

    async def hears(self, event_id: str) -> Any:
        """The event, once it has come."""
        return await self.awaited(f"{self.user_id} hears {event_id}", lambda: self.event(event_id))

    async def sends(self, room_id: str, content: dict[str, Any], kind: str = "m.room.message") -> str:
        """Sends this into the room; the event ID."""
        sent = await self.client.room_send(room_id, kind, content, ignore_unverified_devices=True)
        assert isinstance(sent, nio.RoomSendResponse), sent
        return str(sent.event_id)

    async def says(self, room_id: str, body: str, **more: Any) -> str:
        """Sends a text; the event ID."""
        return await self.sends(room_id, {"msgtype": "m.text", "body": body} | more)

    async def sets(self, room_id: str, kind: str, content: dict[str, Any], key: str = "") -> None:
        """Sets a piece of the room's state."""
        set_ = await self.client.room_put_state(room_id, kind, content, key)
        assert isinstance(set_, nio.RoomPutStateResponse), set_

    async def makes(self, *invited: Person, **options: Any) -> str:
        """A new room, which those who are invited have joined; its ID."""
        created = await self.client.room_create(invite=[person.user_id for person in invited], **options)
        assert isinstance(created, nio.RoomCreateResponse), created
        room_id = str(created.room_id)
        for person in invited:
            assert isinstance(await person.client.join(room_id), nio.JoinResponse)
        everybody = {self.user_id, *(person.user_id for person in invited)}
        for person in (self, *invited):
            rooms = person.client.rooms
            there = lambda rooms=rooms: room_id in rooms and set(rooms[room_id].users) >= everybody
            await person.awaited(f"{person.user_id} sees all in {room_id}", there)
        return room_id


def _if_known(look: Callable[[], T]) -> T | None:
    """What it answers, or None where the client does not know the room or member yet."""
    try:
        return look()
    except KeyError:
        return None


async def registered(url: str, name: str, checks: Checks, store: Path | None = None) -> Person:
    """A new user at their first device, with encryption where there is a folder for its store."""
    client = _client(url, name, store)
    assert isinstance(await client.register(name, PASSWORD, f"{name}'s first"), nio.RegisterResponse)
    return _loaded(client, checks, store)


async def logged_in(url: str, name: str, checks: Checks, store: Path | None = None) -> Person:
    """A user at a new device."""
    client = _client(url, name, store)
    assert isinstance(await client.login(PASSWORD, f"{name}'s next"), nio.LoginResponse)
    return _loaded(client, checks, store)


def _client(url: str, name: str, store: Path | None) -> nio.AsyncClient:
    if store is None:
        return nio.AsyncClient(url, name)
    store.mkdir()
    config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=False)
    return nio.AsyncClient(url, name, store_path=str(store), config=config)


def _loaded(client: nio.AsyncClient, checks: Checks, store: Path | None) -> Person:
    if store is not None:
        client.load_store()
    return Person(client, checks)
