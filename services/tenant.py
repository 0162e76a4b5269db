"""A tenant: one homeserver, its name and what it may use. Handed in everywhere; there is no global."""

from __future__ import annotations

import secrets
import string
import time
from asyncio import sleep
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from protocol.ids import RoomID, ServerName
from protocol.signing import SigningKey, VerifyKey
from services.accounts.logins import Logins
from services.appservices.calls import Calls, NoCalls
from services.appservices.registry import Appservices
from services.bell import Bell
from services.isolated.port import Isolated, NoIsolation
from services.keys.stale_lists import StaleLists
from services.media.downloads import Downloads
from services.media.scanner import Scanner
from services.media.uploads import NoUploads, Uploads
from services.observations import Observation
from services.once import Once
from services.outside import NobodyOutside, Outside
from services.ports import Blobs, Remotes
from services.previews.ports import NoPages, PageFailed, Pages
from services.push.counts import CountsMemory
from services.push.evaluators import Evaluators
from services.rooms.head import Heads
from services.rooms.membership.entering import Entering
from services.rooms.membership.partial_rooms import PartialRooms
from services.rooms.receive.queues import RoomQueues, Staged
from services.rooms.remote_spaces import Question, Told
from services.rooms.tail import Tails
from services.search.progress import Searching
from services.servers.heard import Heard
from services.settings import Settings
from services.sync.listener import Listeners
from services.sync.sliding.connections import Connections
from storage.database import Database
from storage.feed import Feed
from storage.journal import Journal
from storage.redis.ephemeral import Ephemeral
from storage.redis.limits import Limits
from storage.redis.wakeups import Wakeups

T = TypeVar("T")
_LETTERS = string.ascii_letters + string.digits

Observe = Callable[[Observation], None]


class Clock(Protocol):
    """What time it is; tests have one that jumps."""

    def now(self) -> int:
        """Milliseconds since 1970."""

    async def sleep(self, milliseconds: int) -> None:
        """Returns when so much time has passed."""


class Random(Protocol):
    """Chance; tests have one that repeats."""

    def token(self, length: int) -> str:
        """Letters and digits that nobody can guess."""

    def bytes(self, length: int) -> bytes:
        """Bytes that nobody can guess."""

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""


class Compute(Protocol):
    """Runs a pure function where it does not hold up the event loop."""

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """The function's result; its exception is raised here."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One homeserver. Capabilities, and caches that live as long as the process; never services."""

    name: ServerName
    settings: Settings
    signing_key: SigningKey
    database: Database
    journal: Journal
    feed: Feed
    wakeups: Wakeups
    ephemeral: Ephemeral
    limits: Limits
    remotes: Remotes
    blobs: Blobs
    clock: Clock
    random: Random
    compute: Compute
    observe: Observe
    heads: Heads
    tails: Tails
    listeners: Listeners
    logins: Logins = field(default_factory=Logins)
    appservices: Appservices = field(default_factory=Appservices)
    appservice_calls: Calls = field(default_factory=NoCalls)
    asked_appservices: Once[tuple[str, str], bool] = field(default_factory=Once)  # whether they know a name
    evaluators: Evaluators = field(default_factory=Evaluators)
    counts: CountsMemory = field(default_factory=CountsMemory)
    sliding: Connections = field(default_factory=Connections)
    heard: Heard = field(default_factory=Heard)
    stale_lists: StaleLists = field(default_factory=StaleLists)
    entering: Entering = field(default_factory=Entering)
    old_keys: tuple[VerifyKey, ...] = ()
    """What we once signed with; `valid_until` is when each expired."""
    partial_rooms: PartialRooms = field(default_factory=PartialRooms)
    inbound: RoomQueues = field(default_factory=RoomQueues)
    staged: Staged = field(default_factory=Staged)
    transactions: Once[tuple[ServerName, str], bytes] = field(default_factory=Once)
    """What other servers send us, as long as it is being answered and a little longer."""
    backfilling: Once[tuple[RoomID, int], bool] = field(default_factory=Once)
    search: Searching = field(default_factory=Searching)
    told_spaces: Once[Question, Told | None] = field(default_factory=Once)
    fetching: Once[tuple[ServerName, str], None] = field(default_factory=Once)  # files of other servers
    downloads: Downloads = field(default_factory=Downloads)
    stored_bytes: Once[str, int] = field(default_factory=Once)  # of all files that were uploaded here
    thumbnails: Once[tuple[str, int, int, str, bool], bool] = field(
        default_factory=Once
    )  # that are being made
    previews: Once[tuple[str, str], bytes | PageFailed] = field(default_factory=Once)
    isolated: Isolated = field(default_factory=NoIsolation)
    pages: Pages = field(default_factory=NoPages)
    uploads: Uploads = field(default_factory=NoUploads)
    scanner: Scanner | None = None
    delayed: Bell = field(default_factory=Bell)  # there are new delayed events
    outbox: Bell = field(default_factory=Bell)  # there are new mails
    outside: Outside = field(default_factory=NobodyOutside)
    push_gateways: Outside = field(default_factory=NobodyOutside)
    push_gateway: Any = None
    """Our own one, as the edge of that name knows it; None where no listener serves it."""
    upstream: Outside = field(default_factory=NobodyOutside)
    """To the identity providers of the configuration, in private networks too."""
    upstream_known: Once[str, Any] = field(
        default_factory=Once
    )  # what they tell of themselves, and their keys


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    async def sleep(self, milliseconds: int) -> None:
        """Returns when so much time has passed."""
        await sleep(milliseconds / 1000)


class SystemRandom:
    """The operating system's randomness."""

    def token(self, length: int) -> str:
        """Letters and digits that nobody can guess."""
        return "".join(secrets.choice(_LETTERS) for _ in range(length))

    def bytes(self, length: int) -> bytes:
        """Bytes that nobody can guess."""
        return secrets.token_bytes(length)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return secrets.choice(options)
