"""Templates of membership events, by which other servers let us into rooms (make_join, make_leave, make_knock).

A template is never signed: what is signed is an event of our own, which takes from the template only where in the
room it stands and, for a restricted room, who vouches for the join. Room, user and membership are ours; where the
template has others, whoever made it is not to be dealt with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocol.build import Named
from protocol.errors import InvalidEvent
from protocol.event_format import MAX_AUTH_EVENTS, MAX_PREV_EVENTS
from protocol.events import MEMBER
from protocol.ids import EventID, RoomID, UserID, fits, is_user_id
from protocol.room_versions import EventFormat, RoomVersion

_AUTHORISED_VIA = "join_authorised_via_users_server"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event of ours is to stand, by what another server says; `authorised_via` vouches for a restricted join."""

    prev_events: tuple[Named, ...]
    auth_events: tuple[Named, ...]
    depth: int
    authorised_via: UserID | None


def read_template(
    version: RoomVersion, template: Mapping[str, Any], room_id: RoomID, user_id: UserID, membership: str
) -> Place:
    """What we take from the template; raises InvalidEvent where it is not one of what we asked for."""
    content = template.get("content")
    asked = {"type": MEMBER, "room_id": room_id, "sender": user_id, "state_key": user_id}
    if any(template.get(name) != value for name, value in asked.items()):
        raise InvalidEvent("the template is of another event than we asked for")
    if not isinstance(content, dict) or content.get("membership") != membership:
        raise InvalidEvent("the template is of another membership than we asked for")
    depth = template.get("depth")
    if type(depth) is not int or not 0 <= depth <= version.max_depth:
        raise InvalidEvent("the template's depth is no integer within its bounds")
    prev_events = _named(template.get("prev_events"), MAX_PREV_EVENTS, version)
    if not prev_events:
        raise InvalidEvent("the template names no prev_events")
    return Place(
        prev_events,
        _named(template.get("auth_events"), MAX_AUTH_EVENTS, version),
        depth,
        _authorised_via(version, content) if membership == "join" else None,
    )


def _authorised_via(version: RoomVersion, content: Mapping[str, Any]) -> UserID | None:
    via = content.get(_AUTHORISED_VIA)
    if via is None or not version.restricted_join_rule:
        return None
    if not is_user_id(via):
        raise InvalidEvent(f"{_AUTHORISED_VIA} is not a user ID")
    return UserID(via)


def _named(edges: Any, most: int, version: RoomVersion) -> tuple[Named, ...]:
    if not isinstance(edges, list) or len(edges) > most:
        raise InvalidEvent("the template's prev_events or auth_events are no list, or too many")
    if version.event_format is EventFormat.PAIRS:
        return tuple(_pair(edge) for edge in edges)
    return tuple(Named(_event_id(edge), {}) for edge in edges)


def _pair(edge: Any) -> Named:
    if not isinstance(edge, list) or len(edge) != 2 or not isinstance(edge[1], dict):
        raise InvalidEvent("prev_events or auth_events are not pairs of event ID and hashes")
    sha256 = edge[1].get("sha256")
    if not isinstance(sha256, str) or not fits(sha256):
        raise InvalidEvent("a hash in prev_events or auth_events is none")
    return Named(_event_id(edge[0]), {"sha256": sha256})


def _event_id(value: Any) -> EventID:
    if not isinstance(value, str) or value[:1] != "$" or "\x00" in value or not fits(value):
        raise InvalidEvent("prev_events or auth_events are not event IDs")
    return EventID(value)
