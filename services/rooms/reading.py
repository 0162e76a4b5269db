"""Reading a room as a certain user: what of it the user may see, and how the events are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from orjson import Fragment

from protocol.events import HISTORY_VISIBILITY, MEMBER
from protocol.ids import RoomID
from protocol.matrix_error import Forbidden
from services.likings import IGNORED_USERS, ignored_in
from services.requester import Requester
from services.rooms.bundle import NO_BUNDLES, Audience, Bundles, bundles
from services.rooms.client_event import splice, unsigned_member
from services.rooms.tail import TailEvent
from services.rooms.visibility import Asked, hidden_from, joined_until
from storage.account_data import GLOBAL, account_data_of
from storage.database import Tx
from storage.membership import Membership, membership_of
from storage.state_reading import state_of_key
from storage.timeline import NEWEST, OLDEST


@dataclass(frozen=True, slots=True)
class Reading:
    """A user's view of a room. The room's state is seen as at position `until`; see `Asked` for `joined_until`, from which
    on there is nothing more to see where `is_over`.
    """

    requester: Requester
    room_id: RoomID
    membership: Membership | None
    joined_until: int
    until: int
    is_over: bool

    @property
    def is_joined(self) -> bool:
        """Is the user in the room?"""
        return self.membership is not None and self.membership.membership == "join"

    def asked(self, events: Sequence[TailEvent]) -> Asked:
        """The question which of the events the user may see."""
        joined = self.membership.since if self.membership is not None and self.is_joined else NEWEST
        return Asked(events, self.joined_until, joined)

    async def visible(self, tx: Tx, events: Sequence[TailEvent]) -> list[TailEvent]:
        """Those of the events that the user may see."""
        hidden = await hidden_from(tx, self.requester.user_id, [self.asked(events)])
        return [event for event in events if event.event_id not in hidden]

    async def bundled(self, tx: Tx, events: Sequence[TailEvent], now: int) -> Bundles:
        """What others have said of these events, which the user may see, to be shown with them."""
        ignored = await ignored_users(tx, self.requester.user_id)
        audience = Audience(self.room_id, self.asked(events), lambda event, more: self.json(event, now, more))
        return await bundles(tx, self.requester.user_id, ignored, [audience])

    def shown(self, event: TailEvent, now: int, bundled: Bundles = NO_BUNDLES) -> Fragment:
        """The event as the user's device gets it."""
        return Fragment(self.json(event, now, bundled.get(event.event_id, b"")))

    def json(self, event: TailEvent, now: int, more: bytes = b"") -> bytes:
        """The same, as the bytes of its JSON; `more` is at the end of `unsigned`."""
        is_own = event.sender == self.requester.user_id and event.device_id == self.requester.device_id
        unsigned = unsigned_member(
            now - event.origin_server_ts,
            event.fixed + more,
            self._membership_at(event),
            event.txn_id if is_own and event.device_id is not None else None,
        )
        return splice(event.json, unsigned, self.room_id)

    def _membership_at(self, event: TailEvent) -> str | None:
        """The user's membership at the event, where that is known without asking."""
        known = self.membership if self.membership is not None and self.is_joined else None
        return "join" if known is not None and event.position >= known.since else None


async def reading(tx: Tx, requester: Requester, room_id: RoomID) -> Reading:
    """The user's view of the room: a member's, a former member's (as at leaving), or, where the room's history is
    world-readable, anybody's. Raises Forbidden for all others.
    """
    membership = await membership_of(tx, room_id, requester.user_id)
    if membership is not None and membership.membership == "join":
        return Reading(requester, room_id, membership, NEWEST, NEWEST, is_over=False)
    last_joined = OLDEST
    if membership is not None and not membership.forgotten and membership.membership in ("leave", "ban"):
        last_joined = await joined_until(tx, requester.user_id, room_id)
    open_to_all = await is_world_readable(tx, room_id)
    if last_joined > OLDEST:
        return Reading(requester, room_id, membership, last_joined, last_joined, is_over=not open_to_all)
    if open_to_all:
        return Reading(requester, room_id, membership, OLDEST, NEWEST, is_over=False)
    raise Forbidden("You are not in this room")


async def is_world_readable(tx: Tx, room_id: str) -> bool:
    """May anybody read the room's history now?"""
    row = await state_of_key(tx, room_id, HISTORY_VISIBILITY, "")
    return (
        row is not None and orjson.loads(row["json"])["content"].get("history_visibility") == "world_readable"
    )


async def ignored_users(tx: Tx, user_id: str) -> frozenset[str]:
    """Whom the user ignores (§Ignoring Users)."""
    return ignored_in(await account_data_of(tx, user_id, GLOBAL, IGNORED_USERS))


def member_keys(users: set[str]) -> list[tuple[str, str]]:
    """Where the users' member events stand in a room's state."""
    return [(MEMBER, user) for user in sorted(users)]
