"""Which events of a room a user may see (§Room History Visibility), asked for many events in a few queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from protocol.events import HISTORY_VISIBILITY, MEMBER, StateKey
from protocol.visibility import may_see
from services.rooms.tail import TailEvent
from storage.database import Tx
from storage.state import state_ids_of_keys
from storage.state_reading import member_chain, state_events
from storage.timeline import NEWEST, OLDEST

VISIBILITY_KEY: StateKey = (HISTORY_VISIBILITY, "")


@dataclass(frozen=True, slots=True)
class Asked:
    """Events of one room. Up to position `joined_until` the user joined again later or is still there; from `joined_from`
    on the user has been joined all the time (until then), so that nothing needs to be asked.
    """

    events: Sequence[TailEvent]
    joined_until: int
    joined_from: int = NEWEST

    def doubtful(self) -> Iterable[TailEvent]:
        """The events for which the state must be looked up."""
        return (e for e in self.events if not self.joined_from <= e.position <= self.joined_until)


async def hidden_from(tx: Tx, user_id: str, asked: Sequence[Asked]) -> frozenset[str]:
    """The IDs of those events that the user may not see."""
    doubtful = [(event, room.joined_until) for room in asked for event in room.doubtful()]
    if not doubtful:
        return frozenset()
    member_key = (MEMBER, user_id)
    snapshots = {event.snapshot for event, _ in doubtful if event.snapshot is not None}
    states = await state_ids_of_keys(tx, snapshots, (VISIBILITY_KEY, member_key))
    wanted: set[str] = {event_id for state in states.values() for event_id in state.values()}
    wanted |= {
        e.replaces_state for e, _ in doubtful if e.replaces_state and _key(e) in (VISIBILITY_KEY, member_key)
    }
    contents = {
        row["event_id"]: orjson.loads(row["json"])["content"] for row in await state_events(tx, wanted)
    }
    return frozenset(
        event.event_id
        for event, joined_until in doubtful
        if not _is_visible(event, states, contents, member_key, joined_until)
    )


def _is_visible(
    event: TailEvent,
    states: Mapping[int, Mapping[StateKey, str]],
    contents: Mapping[str, Mapping[str, Any]],
    member_key: StateKey,
    joined_until: int,
) -> bool:
    if event.snapshot is None:
        return _key(event) == member_key
    after = states.get(event.snapshot, {})
    joined_since = event.position <= joined_until
    # What changes the visibility, or the reader's membership, is seen if the state before it or after it allows.
    return any(
        may_see(visibility, membership, joined_since)
        for visibility in _values(event, VISIBILITY_KEY, "history_visibility", after, contents)
        for membership in _values(event, member_key, "membership", after, contents)
    )


def _values(
    event: TailEvent,
    key: StateKey,
    field: str,
    after: Mapping[StateKey, str],
    contents: Mapping[str, Mapping[str, Any]],
) -> list[Any]:
    ids = [after.get(key)]
    if _key(event) == key:
        ids.append(event.replaces_state)
    return [contents.get(event_id or "", {}).get(field) for event_id in ids]


def _key(event: TailEvent) -> tuple[str, str | None]:
    return event.type, event.state_key


async def joined_until(tx: Tx, user_id: str, room_id: str) -> int:
    """The position up to which the user joined later, or is still there; OLDEST if the user never was in the room."""
    later = NEWEST
    for row in await member_chain(tx, room_id, user_id):
        if orjson.loads(row["json"])["content"].get("membership") == "join":
            return later
        later = row["position"]
    return OLDEST
