"""Rooms that we are not in, as other servers tell of them; kept for some minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.ids import RoomID, ServerName
from services.ports import RemoteFailed, Remotes
from services.rooms.space_children import MAX_CHILDREN, Child, children
from services.rooms.summary import Summary, told_summary
from services.settings import MINUTE, SECOND

KEPT = 5 * MINUTE
KEPT_FAILURE = MINUTE
MAX_SERVERS = 3
PATIENCE = 10 * SECOND
_REFUSALS = (403, 404)


@dataclass(frozen=True, slots=True)
class Told:
    """A room, its children in order, and, of those, what the server has told besides: summaries, and which are closed."""

    summary: Summary
    children: tuple[Child, ...]
    summaries: dict[str, Summary]
    closed: frozenset[str]


Question = tuple[ServerName, RoomID, bool]


async def ask_server(remotes: Remotes, question: Question) -> Told | None:
    """What the server tells of the room; None where it does not answer in time, or nonsense.

    Raises RemoteFailed where it does not know the room or will not tell: that may be otherwise a moment later.
    """
    server, room_id, suggested_only = question
    try:
        async with asyncio.timeout(PATIENCE / 1000):
            reply = await remotes.hierarchy(server, room_id, suggested_only)
    except RemoteFailed as failed:
        if failed.status in _REFUSALS:
            raise
        return None
    except TimeoutError:
        return None
    room = reply.get("room")
    summary = told_summary(room)
    if summary is None or summary.room_id != room_id or not isinstance(room, dict):
        return None
    events, others, closed = (
        room.get("children_state"),
        reply.get("children"),
        reply.get("inaccessible_children"),
    )
    named = children(_some(events), suggested_only) if summary.is_space else ()
    ids = {child.room_id for child in named}
    told = (told_summary(other) for other in _some(others))
    return Told(
        summary,
        named,
        {other.room_id: other for other in told if other is not None and other.room_id in ids},
        frozenset(room_id for room_id in _some(closed) if isinstance(room_id, str)) & ids,
    )


def how_long_kept(told: Told | None) -> int:
    """For how long the answer is good."""
    return KEPT if told is not None else KEPT_FAILURE


def servers_to_ask(own: ServerName, named: Sequence[ServerName]) -> list[ServerName]:
    """Those that are asked, in their order, each once and never we."""
    return [server for server in dict.fromkeys(named) if server != own][:MAX_SERVERS]


def _some(values: object) -> list[object]:
    return values[: 2 * MAX_CHILDREN] if isinstance(values, list) else []
