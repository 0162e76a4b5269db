"""What this process knows of one server that it delivers to."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import sha256

import orjson

from protocol.ids import ServerName
from protocol.json import JsonObject
from services.servers.destinations import Claimed
from services.servers.edus import Receipt, receipt_edus
from services.servers.outgoing import MAX_EDUS, Item

MAX_PDUS = 50
MAX_ITEMS = 500  # kept in memory for a server; when there are more they are read from the database
MAX_LOSABLE = 100


class Doing(Enum):
    """What is happening with a destination."""

    NOTHING = auto()
    DELIVERING = auto()
    PAUSING = auto()  # it could not be reached
    ELSEWHERE = auto()  # another process delivers


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is put to a server in one request, and what it has afterwards. A second try is the same to the last byte."""

    txn_id: str
    pdus: tuple[bytes, ...]
    edus: tuple[JsonObject, ...]
    position: int
    mail: tuple[int, int] | None

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        return sum(map(len, self.pdus)) + 1000 * len(self.edus)


@dataclass(slots=True)
class Destination:
    """A server: what it has, and what it is to be told.

    All that concerns it after `complete_from`, up to where the follower is, is in `items`; what is between `position`
    and `complete_from` must be read from the database. What may be lost (typing, receipts, presence) is in `losable`.
    """

    server: ServerName
    complete_from: int
    position: int = -1
    items: deque[Item] = field(default_factory=deque)
    losable: dict[Hashable, JsonObject | Receipt] = field(default_factory=dict)
    has_mail: bool = False
    doing: Doing = Doing.NOTHING
    is_held: bool = False
    is_incomplete: bool = False  # not everything was noted here: the database must be asked
    is_noted: bool = False  # there was something for it while another process delivered
    is_used: bool = True  # since the last round of housekeeping
    is_forced: bool = False  # to be tried although its pause is not over
    catching_up: bool | None = None  # None: not decided yet
    resend: Transaction | None = None
    refusals: int = 0  # since it last took something
    mail: tuple[int, int] = (-1, -1)  # delivered up to this place
    failing_since: int | None = None
    tried: int = 0
    pause: int = 0
    due: int = 0

    @property
    def is_listening(self) -> bool:
        """Are items kept for it? While another process delivers, or nobody can, the database does that."""
        return self.doing in (Doing.NOTHING, Doing.DELIVERING)

    def note(self, item: Item) -> None:
        """Keeps the item, if it can."""
        if self.is_listening and len(self.items) < MAX_ITEMS:
            self.items.append(item)
        else:
            self.is_incomplete = True

    def note_losable(self, key: Hashable, what: JsonObject | Receipt) -> None:
        """Keeps the newest of each key, and no more than a transaction has place for."""
        if self.is_listening:
            self.losable.pop(key, None)
            self.losable[key] = what
            if len(self.losable) > MAX_LOSABLE:
                del self.losable[next(iter(self.losable))]

    def give_up(self, doing: Doing, due: int) -> None:
        """Nothing is delivered from here until then (ms), nor kept."""
        self.doing, self.due = doing, due
        self.items.clear()
        self.losable.clear()
        self.is_held = self.is_noted = self.is_forced = False
        self.is_incomplete = True

    def hold(self, claimed: Claimed, has_all_at: int, seen: int) -> None:
        """It is ours to deliver to. It lacks nothing at or below `has_all_at`; `seen` is where the follower is."""
        self.pause, self.failing_since = claimed.retry_after, claimed.failing_since
        self.is_held, self.is_forced = True, False
        self.position = max(claimed.position, has_all_at)
        if claimed.was_anothers or self.is_incomplete:
            self.restart(seen)
        elif self.position < self.complete_from:
            self.has_mail, self.catching_up = True, None

    def restart(self, position: int) -> None:
        """Forgets the items: what is at or below this position is to be read from the database, mail too."""
        self.items.clear()
        self.complete_from = position
        self.has_mail = True
        self.is_incomplete = False
        self.catching_up = None

    def take_items(self, seen: int) -> tuple[list[Item], int]:
        """The first items, as many as go into a transaction, and up to where the server has everything with them.

        `seen` is where the follower is.
        """
        taken: list[Item] = []
        pdus = edus = 0
        while self.items:
            is_pdu = self.items[0].pdu is not None
            if (pdus if is_pdu else edus) == (MAX_PDUS if is_pdu else MAX_EDUS):
                return taken, taken[-1].position
            pdus, edus = pdus + is_pdu, edus + (not is_pdu)
            taken.append(self.items.popleft())
        return taken, max(seen, self.position)

    def take_losable(self, limit: int) -> list[JsonObject]:
        """As many EDUs as there is place for."""
        receipts: list[Receipt] = []
        edus: list[JsonObject] = []
        for key in list(self.losable)[:limit]:
            what = self.losable.pop(key)
            if isinstance(what, tuple):
                receipts.append(what)
            else:
                edus.append(what)
        return edus + receipt_edus(receipts)


def transaction(
    items: list[Item],
    mail: list[bytes],
    losable: list[JsonObject],
    upto: tuple[int, tuple[int, int] | None],
    chance: str,
) -> Transaction:
    """The items and EDUs as a transaction, which has its ID from what is in it: also another process would give it the same.

    But for what may be lost, which may say the same thing twice: then the ID is by chance. `upto` is what the server has
    with it: up to which position everything, and up to which place its mail.
    """
    pdus = tuple(item.pdu for item in items if item.pdu is not None)
    edus = [item.edu for item in items if item.edu is not None] + [orjson.loads(one) for one in mail]
    digest = sha256(orjson.dumps([[pdu.decode() for pdu in pdus], edus, chance if losable else ""]))
    return Transaction(digest.hexdigest()[:32], pdus, (*edus, *losable), *upto)
