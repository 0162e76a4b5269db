"""Tenants for tests of services: each is what one process of a server has, on a database that several may share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from protocol.ids import DeviceID, ServerName, UserID
from protocol.signing import SigningKey
from services.ports import NoRemotes
from services.requester import Requester
from services.rooms.head import Heads
from services.rooms.tail import Tails
from services.settings import Media, Settings
from services.tenant import SystemClock, SystemRandom, Tenant
from storage.database import Database
from storage.feed import Feed, Subscriber
from storage.journal import Journal, Note

NAME = ServerName("one.test")
_NOT_NEEDED = cast(Any, None)
T = TypeVar("T")


class _Inline:
    """Computes at once."""

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        return function(*arguments)


async def process(database: Database) -> Tenant:
    """What one process has: rooms, the journal and its feed, but nobody who listens."""
    feed = Feed(database)
    await feed.start()

    async def committed(note: Note) -> None:
        feed.arrived(note)

    heads, tails = Heads(database), Tails(database)
    feed.subscribe(Subscriber(heads.told, heads.reset))
    return Tenant(
        name=NAME,
        settings=Settings(NAME, f"https://{NAME}", Media(Path("media"))),
        signing_key=SigningKey.from_seed("ed25519:1", b"1" * 32),
        database=database,
        journal=Journal(database, committed),
        feed=feed,
        wakeups=_NOT_NEEDED,
        ephemeral=_NOT_NEEDED,
        limits=_NOT_NEEDED,
        remotes=NoRemotes(),
        blobs=_NOT_NEEDED,
        clock=SystemClock(),
        random=SystemRandom(),
        compute=_Inline(),
        observe=lambda _: None,
        heads=heads,
        tails=tails,
        listeners=_NOT_NEEDED,
    )


def requester(name: str) -> Requester:
    """A user of the server, on a device."""
    return Requester(UserID(f"@{name}:{NAME}"), DeviceID(f"{name.upper()}PHONE"))
