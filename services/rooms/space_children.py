"""The children of a space, as its m.space.child events name them, in the order in which clients show them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from protocol.errors import InvalidId
from protocol.ids import RoomID, ServerName, parse_room_id, parse_server_name
from protocol.json import JsonObject
from storage.database import Tx
from storage.summaries import space_children

CHILD = "m.space.child"
MAX_CHILDREN = 500
MAX_VIA = 10
_ORDER = re.compile(r"[\x20-\x7e]{1,50}")


@dataclass(frozen=True, slots=True)
class Child:
    """A child of a space; `json` is its event, stripped, with its time."""

    room_id: RoomID
    via: tuple[ServerName, ...]
    suggested: bool
    order: str | None
    origin_server_ts: int
    json: JsonObject

    @property
    def place(self) -> tuple[bool, str, int, str]:
        """What children are sorted by: those with a valid `order` first, then the older ones."""
        return self.order is None, self.order or "", self.origin_server_ts, self.room_id


async def children_of(
    tx: Tx, room_ids: Collection[str], suggested_only: bool
) -> dict[str, tuple[Child, ...]]:
    """The children of each of these spaces, in order."""
    events: dict[str, list[JsonObject]] = {room_id: [] for room_id in room_ids}
    for row in await space_children(tx, room_ids):
        events[row["room_id"]].append(orjson.loads(row["json"]))
    return {room_id: children(found, suggested_only) for room_id, found in events.items()}


def children(events: Iterable[object], suggested_only: bool) -> tuple[Child, ...]:
    """The valid ones among these m.space.child events (of ours, or as another server tells them), in order."""
    found = (child for event in events if (child := _child(event)) is not None)
    chosen: Sequence[Child] = [child for child in found if child.suggested or not suggested_only]
    return tuple(sorted(chosen, key=lambda child: child.place)[:MAX_CHILDREN])


def _child(event: Any) -> Child | None:
    if not isinstance(event, dict) or event.get("type") != CHILD:
        return None
    content, sent = event.get("content"), event.get("origin_server_ts")
    state_key, sender = event.get("state_key"), event.get("sender")
    if not isinstance(content, dict) or not isinstance(sender, str) or not isinstance(state_key, str):
        return None
    if not isinstance(sent, int) or isinstance(sent, bool):
        return None
    via = _servers(content.get("via"))
    try:
        room_id = parse_room_id(state_key)
    except InvalidId:
        return None
    if via is None:
        # «If the via key is missing or not an array, the child is not part of the space.»
        return None
    order = content.get("order")
    stripped = {name: event[name] for name in ("type", "state_key", "sender", "content", "origin_server_ts")}
    return Child(
        room_id,
        via,
        content.get("suggested") is True,
        order if isinstance(order, str) and _ORDER.fullmatch(order) else None,
        sent,
        stripped,
    )


def _servers(via: object) -> tuple[ServerName, ...] | None:
    if not isinstance(via, list):
        return None
    servers = []
    for name in via[:MAX_VIA]:
        try:
            servers.append(parse_server_name(name))
        except InvalidId:
            continue
    return tuple(servers)
