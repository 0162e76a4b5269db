"""Somebody with one device of matrix-rust-sdk: logged in, syncing, with the room list and timelines as the SDK shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from tests.peers.rust_sdk.sdk import ffi, ui

T = TypeVar("T")
LONG = 25.0
"""Seconds that anything may take, on a busy machine."""
PASSWORD = "correct horse battery"
_numbers = count(1)


def checked(what: str, holds: object = True) -> None:
    """One thing that was seen to hold; AssertionError when it does not."""
    assert holds, what
    print(f"ok {next(_numbers)} {what}", flush=True)


class Pulse:
    """Wakes those who look for something when the SDK, in threads of its own, tells that something changed."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def beat(self, *_: object) -> None:
        """Something changed."""
        self._loop.call_soon_threadsafe(self._event.set)

    async def until(self, what: str, look: Callable[[], Awaitable[T | None] | T | None]) -> T:
        """What `look` answers once that is something, and counts it; AssertionError when it takes too long."""
        found = await self.awaited(what, look)
        checked(what)
        return found

    async def awaited(
        self, what: str, look: Callable[[], Awaitable[T | None] | T | None], seconds: float = LONG
    ) -> T:
        """As `until`, without counting it."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self._event.clear()
                    found = look()
                    if isinstance(found, Awaitable):
                        found = await found
                    if found:
                        return found
                    await self._wait()
        except TimeoutError:
            raise AssertionError(f"never seen: {what}") from None

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(0.3):  # not everything is told to a listener
                await self._event.wait()
        except TimeoutError:
            pass


def applied(items: list[Any], update: Any) -> None:
    """The SDK's diffs of a list (VectorDiff), applied."""
    match type(update).__name__.rpartition(".")[2]:
        case "APPEND":
            items.extend(update.values)
        case "CLEAR":
            items.clear()
        case "PUSH_FRONT":
            items.insert(0, update.value)
        case "PUSH_BACK":
            items.append(update.value)
        case "POP_FRONT":
            items.pop(0)
        case "POP_BACK":
            items.pop()
        case "INSERT":
            items.insert(update.index, update.value)
        case "SET":
            items[update.index] = update.value
        case "REMOVE":
            items.pop(update.index)
        case "TRUNCATE":
            del items[update.length :]
        case "RESET":
            items[:] = update.values
        case other:
            raise AssertionError(other)


class Items:
    """A list that the SDK keeps, copied through its listener (`on_update`, from another thread)."""

    def __init__(self, pulse: Pulse) -> None:
        self.items: list[Any] = []
        self._pulse = pulse
        self._loop = asyncio.get_running_loop()

    def on_update(self, updates: list[Any]) -> None:
        """The listener of timelines, room lists and the directory."""
        self._loop.call_soon_threadsafe(self._apply, updates)

    def _apply(self, updates: list[Any]) -> None:
        for update in updates:
            applied(self.items, update)
        self._pulse.beat()


@dataclass
class View:
    """A timeline as its reader sees it."""

    timeline: Any
    shown: Items
    person: Person
    room_id: str
    tasks: list[Any] = field(default_factory=list)

    @property
    def events(self) -> list[Any]:
        """The events on the screen, the oldest first."""
        return [event for item in self.shown.items if (event := item.as_event()) is not None]

    def bodies(self) -> list[str]:
        """The texts on the screen, the oldest first."""
        return [body for event in self.events if (body := body_of(event)) is not None]

    def at(self, event_id: str) -> Any | None:
        """An event on the screen."""
        return next((event for event in self.events if id_of(event) == event_id), None)

    def saying(self, body: str) -> Any | None:
        """The event with this text, once the server has it."""
        found = (e for e in self.events if body_of(e) == body and id_of(e) is not None)
        return next(found, None)

    async def says(self, body: str) -> str:
        """Sends a text, and returns its event ID when the server has it."""
        await self.timeline.send(ffi.message_event_content_from_markdown(body))
        event = await self.person.pulse.awaited(f"{body!r}, which was sent", lambda: self.saying(body))
        return str(id_of(event))

    async def hears(self, body: str) -> Any:
        """The event with this text, awaited."""
        return await self.person.pulse.until(f"{self.person.name} reads {body!r}", lambda: self.saying(body))

    async def sees(self, what: str, event_id: str, look: Callable[[Any], T | None]) -> T:
        """What `look` finds at an event on the screen, awaited."""

        def at_event() -> T | None:
            event = self.at(event_id)
            return look(event) if event is not None else None

        return await self.person.pulse.until(f"{self.person.name} sees {what}", at_event)


def id_of(event: Any) -> str | None:
    """The event's ID, or None while the server has not got it."""
    name = event.event_or_transaction_id
    return name.event_id if name.is_event_id() else None


def kind_of(event: Any) -> Any | None:
    """What kind of message it is (message, redacted, unable to decrypt...), or None for state and the like."""
    content = event.content
    return content.content.kind if content.is_msg_like() else None


def message_of(event: Any) -> Any | None:
    """The message, or None."""
    kind = kind_of(event)
    return kind.content if kind is not None and kind.is_message() else None


def body_of(event: Any) -> str | None:
    """The text of a message, or None."""
    message = message_of(event)
    return message.body if message is not None else None


class Person:
    """One user at one device of the SDK."""

    def __init__(self, name: str, client: Any, pulse: Pulse) -> None:
        self.name = name
        self.client = client
        self.pulse = pulse
        self.rooms: Items
        self.sync: Any
        self.list: Any
        self._kept: list[Any] = []

    @property
    def user_id(self) -> str:
        """Their Matrix ID."""
        return str(self.client.user_id())

    async def start(self) -> None:
        """Syncs from now on, as Element X does: with the room list, and what encryption needs beside it."""
        self.sync = await self.client.sync_service().finish()
        self.list = await self.sync.room_list_service().all_rooms()
        self.rooms = Items(self.pulse)
        adapters = self.list.entries_with_dynamic_adapters(200, self.rooms)
        adapters.controller().set_filter(ffi.RoomListEntriesDynamicFilterKind.ALL([]))
        self._kept += [adapters, adapters.entries_stream()]
        await self.sync.start()

    async def stop(self) -> None:
        """Syncs no more."""
        await self.sync.stop()

    async def room(self, room_id: str) -> Any:
        """The room once it is in the room list."""
        what = f"{room_id} in {self.name}'s room list"
        listed = lambda: next((room for room in self.rooms.items if room.id() == room_id), None)
        return await self.pulse.awaited(what, listed)

    async def from_server(self, path: str) -> dict[str, Any]:
        """What the server answers to a GET of theirs, past the SDK."""
        session = self.client.session()
        headers = {"Authorization": f"Bearer {session.access_token}"}
        url = f"{session.homeserver_url.rstrip('/')}/_matrix/client/v3/{path}"
        async with (
            aiohttp.ClientSession(raise_for_status=True) as http,
            http.get(url, headers=headers) as reply,
        ):
            answer: dict[str, Any] = await reply.json()
            return answer

    async def view(self, room_id: str, focus: Any = None) -> View:
        """The timeline of a room, live or with another focus."""
        room = await self.room(room_id)
        await self.sync.room_list_service().subscribe_to_rooms([room_id])
        shown = Items(self.pulse)
        configuration = ffi.TimelineConfiguration(
            focus=focus or ffi.TimelineFocus.LIVE(hide_threaded_events=False),
            filter=ffi.TimelineFilter.ALL(),
            internal_id_prefix=None,
            date_divider_mode=ffi.DateDividerMode.DAILY,
            track_read_receipts=ui.TimelineReadReceiptTracking.ALL_EVENTS,
            report_utds=False,
        )
        timeline = await room.timeline_with_configuration(configuration)
        return View(timeline, shown, self, room_id, [await timeline.add_listener(shown)])


async def logged_in(base_url: str, name: str, folder: Path, device: str) -> Person:
    """A person at a new device, with a store on the disk; the user exists."""
    pulse = Pulse()
    builder = ffi.ClientBuilder().homeserver_url(base_url)
    paths = [folder / device / part for part in ("data", "cache")]
    for path in paths:
        path.mkdir(parents=True)
    client = await (
        builder.sqlite_store(ffi.SqliteStoreBuilder(str(paths[0]), str(paths[1])))
        .sliding_sync_version_builder(ffi.SlidingSyncVersionBuilder.DISCOVER_NATIVE)
        .auto_enable_cross_signing(True)
        .auto_enable_backups(True)
        .threads_enabled(True, True)
        .build()
    )
    await client.login(name, PASSWORD, f"{device} of {name}", device)
    person = Person(name, client, pulse)
    await client.encryption().wait_for_e2ee_initialization_tasks()
    return person
