"""Follows the journal for the sender: what has happened here that other servers are to be told, and which of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from federation.outbound.news import News
from federation.outbound.sender import Sender
from protocol.errors import InvalidId
from protocol.ids import ServerName, UserID, server_of
from services import presence
from services.observations import BackgroundFailure
from services.servers.edus import presence_edu, typing_edu
from services.servers.outgoing import (
    RoomServers,
    device_updates_by_server,
    events_by_server,
    has_other_servers,
    introductions_of_found,
    present,
    receipts_by_server,
    room_servers,
    servers_sharing_rooms,
    shows_only_others,
)
from services.servers.topics import Told, sort_topics, typing_room
from services.tenant import Tenant

MAX_ROOMS = 50_000  # whose servers are kept in memory
MAX_STEP = 10_000  # positions: more at once are not followed one by one
TYPING_AGAIN = 15_000  # ms after which others are told again that somebody types
PAUSE = 1_000  # ms, after an error


@dataclass(slots=True)
class _Heard:
    """What the feed has told since the last step."""

    told: Told = field(default_factory=Told)
    typing: set[str] = field(default_factory=set)
    presence: set[str] = field(default_factory=set)
    is_reset: bool = False


class Follower:
    """One process' follower. Of purely local rooms it remembers that they are, and does nothing for them."""

    def __init__(self, tenant: Tenant, sender: Sender) -> None:
        self._tenant = tenant
        self._sender = sender
        self._position = self._upto = tenant.feed.position
        self._heard = _Heard()
        self._news = asyncio.Event()
        self._rooms: RoomServers = {}
        self._is_alone = False  # no room has a user of another server
        self._typing: dict[str, dict[str, int]] = {}  # room, user: when we have told it

    # -- what is called by the feed, and by typing and presence

    def told(self, position: int, told: tuple[str, ...]) -> None:
        """A commit."""
        self._upto = position
        sort_topics(told, self._heard.told)
        self._news.set()

    def reset(self, position: int) -> None:
        """Commits may have been missed."""
        self._upto = position
        self._heard.is_reset = True
        self._news.set()

    def told_ephemeral(self, told: tuple[str, ...]) -> None:
        """Somebody types, or is there or not."""
        for topic in told:
            if (room_id := typing_room(topic)) is not None:
                self._heard.typing.add(room_id)
            elif self._tenant.settings.federation.send_presence and _is_of(self._tenant, topic[1:]):
                self._heard.presence.add(topic[1:])
        self._news.set()

    # -- following

    async def follow(self) -> None:
        """Goes on until it is cancelled."""
        self._is_alone = not await has_other_servers(self._tenant)
        while True:
            await self._news.wait()
            self._news.clear()
            heard, self._heard, upto = self._heard, _Heard(), self._upto
            try:
                await self._step(heard, upto)
            except Exception as error:  # noqa: BLE001 - it goes on, from the database
                self._tenant.observe(BackgroundFailure("telling other servers", error))
                await self._tenant.clock.sleep(PAUSE)
                self._heard.is_reset = True
                self._news.set()

    async def _step(self, heard: _Heard, upto: int) -> None:
        after = self._position
        if heard.is_reset or upto - after > MAX_STEP:
            self._rooms.clear()
            self._is_alone = not await has_other_servers(self._tenant)
            await self._sender.start_anew(upto)
        else:
            await self._look(heard, after, upto)
        self._position = upto

    async def _look(self, heard: _Heard, after: int, upto: int) -> None:
        told = heard.told
        if told.servers:
            self._is_alone = False
            for room_id in told.servers:
                self._rooms.pop(room_id, None)
        news = News(upto, mail=list(map(ServerName, told.mail)), heard=list(map(ServerName, told.heard)))
        if not self._is_alone:
            rooms = await self._servers_of({*told.rooms, *told.receipts, *heard.typing})
            await self._add_positioned(news, told, rooms, after)
            self._add_typing(news, rooms, heard.typing)
            if heard.presence:
                await self._add_presence(news, heard.presence)
        self._sender.tell(news)

    async def _add_positioned(self, news: News, told: Told, rooms: RoomServers, after: int) -> None:
        with_events = {
            room_id: rooms[room_id]
            for room_id in told.rooms
            if room_id in rooms and not shows_only_others(self._tenant, room_id, after, news.position)
        }
        if with_events:
            news.items += await events_by_server(self._tenant, with_events, after, news.position)
        with_receipts = {room_id: rooms[room_id] for room_id in told.receipts if room_id in rooms}
        if with_receipts:
            found = await receipts_by_server(self._tenant, with_receipts, after, news.position)
            news.losable += [(("receipt", *one[:3]), one, servers) for one, servers in found]
        if told.devices:
            news.items += await device_updates_by_server(self._tenant, after, news.position)
        if told.servers:
            news.items += await introductions_of_found(self._tenant, after, news.position, told.servers)
        if told.devices or told.servers:
            news.items.sort(key=lambda told: told[0].position)

    async def _servers_of(self, rooms: Iterable[str]) -> RoomServers:
        """The servers of those of the rooms that have any but ours."""
        rooms = list(rooms)
        missing = [room_id for room_id in rooms if room_id not in self._rooms]
        if missing:
            if len(self._rooms) + len(missing) > MAX_ROOMS:
                self._rooms.clear()
                missing = rooms
            self._rooms |= await room_servers(self._tenant, missing)
        return {room_id: self._rooms[room_id] for room_id in rooms if self._rooms[room_id]}

    def _add_typing(self, news: News, rooms: RoomServers, changed: Iterable[str]) -> None:
        now = self._tenant.clock.now()
        for room_id in changed:
            servers = present(rooms[room_id]) if room_id in rooms else []
            before = self._typing.pop(room_id, {})
            if not servers:
                continue
            typing = {u for u in self._tenant.ephemeral.typing(room_id) if _is_of(self._tenant, u)}
            told = {user_id: before.get(user_id, -TYPING_AGAIN) for user_id in typing}
            for user_id in sorted(typing | before.keys()):
                if user_id in typing and now < told[user_id] + TYPING_AGAIN:
                    continue
                if user_id in typing:
                    told[user_id] = now
                edu = typing_edu(room_id, user_id, user_id in typing)
                news.losable.append((("typing", room_id, user_id), edu, servers))
            if told:
                self._typing[room_id] = told

    async def _add_presence(self, news: News, users: Iterable[str]) -> None:
        for user_id, servers in (await servers_sharing_rooms(self._tenant, list(users))).items():
            edu = presence_edu(user_id, presence.shown(self._tenant, UserID(user_id)))
            news.losable.append((("presence", user_id), edu, servers))


def _is_of(tenant: Tenant, user_id: str) -> bool:
    with suppress(InvalidId):
        return server_of(user_id) == tenant.name
    return False
