"""Which rooms are of interest to an application service, and since and until which position: kept in memory.

«Events that affect a user in the namespace, are in a room with such a user, or with an alias or an ID in the namespaces.»
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import asyncpg
import orjson

from services.appservices.registry import Appservice
from services.tenant import Tenant
from storage.appservices import aliases_of_rooms, local_members
from storage.timeline import NEWEST, OLDEST

MAX_ROOMS = 50_000  # kept in memory
AT_ONCE = 100  # rooms in a query


@dataclass(frozen=True, slots=True)
class Window:
    """The positions of a room's events that are of interest; none where `since` is above `until`."""

    since: int
    until: int

    def has(self, position: int) -> bool:
        """Is an event at this position of interest?"""
        return self.since <= position <= self.until

    @property
    def is_open(self) -> bool:
        """Will the room's next event be of interest?"""
        return self.until == NEWEST

    def with_(self, other: Window) -> Window:
        """Both, and what is between them."""
        if other.since > other.until:
            return self
        if self.since > self.until:
            return other
        return Window(min(self.since, other.since), max(self.until, other.until))


ALWAYS, NEVER = Window(OLDEST, NEWEST), Window(NEWEST, OLDEST)


class Interest:
    """What is known of rooms. `forget` whenever one of the application service's users, or an alias, comes or goes."""

    def __init__(self, tenant: Tenant, appservice: Appservice) -> None:
        self._tenant = tenant
        self._appservice = appservice
        self._known: dict[str, Window] = {}
        self._changes = 0

    def may_be_in(self, room_id: str) -> bool:
        """Is what happens in the room now of interest, as far as that is known? True where it is not."""
        window = self._known.get(room_id)
        return window is None or window.is_open

    def forget(self, room_ids: Iterable[str]) -> None:
        """The next question about the rooms goes to the database."""
        self._changes += 1
        for room_id in room_ids:
            self._known.pop(room_id, None)

    def forget_all(self) -> None:
        """The same for all rooms."""
        self._changes += 1
        self._known.clear()

    async def windows(self, room_ids: Collection[str], after: int) -> Mapping[str, Window]:
        """Of each room what is of interest, also because of those who have left it after a position."""
        found = {room_id: self._known[room_id] for room_id in room_ids if room_id in self._known}
        missing = [room_id for room_id in dict.fromkeys(room_ids) if room_id not in found]
        changes = self._changes
        for begin in range(0, len(missing), AT_ONCE):
            found |= await self._look_up(missing[begin : begin + AT_ONCE], after)
        if changes == self._changes:
            if len(self._known) + len(missing) > MAX_ROOMS:
                self._known.clear()
            self._known.update({room_id: found[room_id] for room_id in missing})
        return found

    async def _look_up(self, room_ids: list[str], after: int) -> dict[str, Window]:
        cares = self._appservice
        found = {room_id: ALWAYS if cares.cares_for_room(room_id) else NEVER for room_id in room_ids}
        wanted = [room_id for room_id, window in found.items() if window is NEVER]
        async with self._tenant.database.read() as tx:
            members = await local_members(tx, wanted, after)
            aliases = await aliases_of_rooms(tx, wanted) if cares.namespaces.aliases else []
        for row in members:
            if cares.cares_for_user(row["user_id"]):
                found[row["room_id"]] = found[row["room_id"]].with_(_window_of(row, after))
        for room_id, alias in aliases:
            if cares.cares_for_alias(alias):
                found[room_id] = ALWAYS
        return found


def _window_of(member: asyncpg.Record, after: int) -> Window:
    if member["membership"] == "join":
        return Window(member["since"], NEWEST)
    before = member["before"]
    if before is None or orjson.loads(before)["content"].get("membership") != "join":
        return NEVER  # was never in: an invite was turned down
    # Who was in already has been told of what is below `after`; who came later, from then on.
    since = member["before_position"]
    return Window(since if since > after else OLDEST, member["position"])
