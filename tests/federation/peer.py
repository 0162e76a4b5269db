"""A server that takes what it is sent, or does not: the other end of our sender, whose users join our rooms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest

from protocol.build import EventDraft, build_event
from protocol.events import MEMBER, Event
from protocol.ids import EventID, RoomID, UserID
from protocol.room_versions import version_named
from protocol.templates import read_template
from tests.fixtures.federation import MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.lying_server import Asked, LyingServer

FEDERATION = "/_matrix/federation"
PATIENCE = 60.0

_chosen = count(1)


@dataclass(frozen=True)
class Taken:
    """A transaction that came."""

    txn_id: str
    pdus: list[dict[str, Any]]
    edus: list[dict[str, Any]]


@dataclass
class Peer:
    """The server: `asked` are the transactions that came, `taken` those that it said it had taken."""

    server: LyingServer
    is_up: bool = True
    forgets: int = 0
    """So many transactions it takes without saying so."""
    refuses: Callable[[Taken], bool] = lambda _: False
    """Which transactions it answers with a 400."""
    asked: list[Taken] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, transactions are not answered."""
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.is_open.set()
        self.server.on("PUT", f"{FEDERATION}/v1/send/", self._take)

    @property
    def name(self) -> str:
        """What its users' IDs end with."""
        return self.server.name

    def user(self, localpart: str) -> str:
        """A user of this server."""
        return f"@{localpart}:{self.name}"

    async def _take(self, asked: Asked) -> Any:
        taken = Taken(asked.path.rpartition("/")[2], asked.json["pdus"], asked.json.get("edus", []))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.append(taken)
        await self._tell()
        await self.is_open.wait()
        self.at_once -= 1
        if not self.is_up:
            await self._tell()
            return 502, {"errcode": "M_UNKNOWN", "error": "down"}
        if self.refuses(taken):
            await self._tell()
            return 400, {"errcode": "M_BAD_JSON", "error": "this I do not like"}
        self.taken.append(taken)
        await self._tell()
        if self.forgets:
            self.forgets -= 1
            return 504, {"errcode": "M_UNKNOWN", "error": "what was that?"}
        return {"pdus": {}}

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def until(self, seen: Callable[[], Any]) -> None:
        """Returns when it is so, by the transactions that come; raises TimeoutError."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(seen)

    # -- what it has been told

    def bodies(self) -> list[str]:
        """The messages that it has taken."""
        return [
            pdu["content"]["body"]
            for taken in self.taken
            for pdu in taken.pdus
            if pdu["type"] == "m.room.message"
        ]

    def edus(self, edu_type: str) -> list[dict[str, Any]]:
        """The contents of the EDUs of this type that it has taken."""
        return [edu["content"] for taken in self.taken for edu in taken.edus if edu["edu_type"] == edu_type]

    async def reads(self, *bodies: str) -> None:
        """Returns when it has taken exactly these messages, in this order."""
        await self.until(lambda: len(self.bodies()) >= len(bodies))
        assert self.bodies() == list(bodies)

    # -- what it does

    async def joins(self, to: Homeserver, room_id: str, localpart: str = "mallory") -> Event:
        """A user of this server joins the room through the homeserver."""
        return await self._enters(to, room_id, localpart, "join")

    async def leaves(self, to: Homeserver, room_id: str, localpart: str = "mallory") -> Event:
        """A user of this server leaves the room through the homeserver."""
        return await self._enters(to, room_id, localpart, "leave")

    async def _enters(self, to: Homeserver, room_id: str, localpart: str, membership: str) -> Event:
        user_id, room = self.user(localpart), quote(room_id, safe="")
        path = f"{FEDERATION}/v1/make_{membership}/{room}/{quote(user_id, safe='')}"
        versions = "&".join(f"ver={number}" for number in range(1, 13)) if membership == "join" else ""
        status, template = await self.server.request(to, "GET", f"{path}?{versions}" if versions else path)
        assert status == 200, template
        version = version_named(template["room_version"])
        place = read_template(version, template["event"], RoomID(room_id), UserID(user_id), membership)
        event = build_event(
            version,
            EventDraft(MEMBER, {"membership": membership}, user_id),
            room_id=RoomID(room_id),
            sender=UserID(user_id),
            prev_events=place.prev_events,
            auth_events=place.auth_events,
            depth=place.depth,
            origin_server_ts=self.server.clock.now(),
            key=self.server.key,
            server_name=self.server.name,  # type: ignore[arg-type]
            event_id=None if version.event_id_is_hash else EventID(f"${next(_chosen)}:{self.name}"),
        )
        path = f"{FEDERATION}/v2/send_{membership}/{room}/{quote(event.event_id, safe='')}"
        status, said = await self.server.request(to, "PUT", path, event.json)
        assert status == 200, said
        return event

    async def greets(self, to: Homeserver) -> None:
        """Makes a request, that says nothing."""
        status, said = await self.server.transaction(to, [])
        assert status == 200, said


MakePeer = Callable[..., Awaitable[Peer]]


@pytest.fixture
async def make_peer(make_lying: MakeLying) -> AsyncIterator[MakePeer]:
    """`await make_peer(clock=...)`: a Peer."""
    peers: list[Peer] = []

    async def make(**what: Any) -> Peer:
        peers.append(Peer(await make_lying(**what)))
        return peers[-1]

    yield make
    for peer in peers:
        peer.is_open.set()


@asynccontextmanager
async def crashed(*names: str) -> AsyncIterator[None]:
    """While this lasts, the tasks of this test with such names are gone, as if their process had been killed."""
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith(names)]
    assert tasks
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    yield


SENDING = ("delivering to", "destinations", "telling other servers", "what was delivered")


async def written_down(homeserver: Homeserver, peer: Peer) -> None:
    """Returns when the homeserver has written down that the peer has all that has happened."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with homeserver.tenant.database.read() as tx:
                position = await tx.fetchval("SELECT position FROM destinations WHERE server = $1", peer.name)
            if position >= homeserver.tenant.feed.position:
                return
            await asyncio.sleep(0.01)
