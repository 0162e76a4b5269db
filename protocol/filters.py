"""Filters (§Filtering): what a client wants to be told of, checked and made into values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from protocol.errors import InvalidId, ProtocolError
from protocol.glob import Glob, star_glob
from protocol.ids import RoomID, UserID, is_user_id, parse_room_id
from protocol.json import JsonObject
from protocol.property_path import Path, parse_path, pruned

T = TypeVar("T")

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100
MAX_ENTRIES: Final = 10_000


class InvalidFilter(ProtocolError):
    """A filter does not have the shape that the specification gives it; the text says where."""


class FilteredEvent(Protocol):
    """What filters look at in an event; account data and some ephemeral events have no sender."""

    @property
    def type(self) -> str: ...
    @property
    def sender(self) -> str | None: ...
    @property
    def content(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class EventFilter:
    """An EventFilter or RoomEventFilter. A positive list that is None allows all, an empty one nothing; what a
    negative list names is not allowed, whatever the positive one says.
    """

    limit: int = DEFAULT_LIMIT
    types: tuple[Glob, ...] | None = None
    not_types: tuple[Glob, ...] = ()
    senders: frozenset[UserID] | None = None
    not_senders: frozenset[UserID] = frozenset()
    rooms: frozenset[RoomID] | None = None
    not_rooms: frozenset[RoomID] = frozenset()
    contains_url: bool | None = None
    lazy_load_members: bool = False
    include_redundant_members: bool = False
    unread_thread_notifications: bool = False
    related_by_rel_types: tuple[str, ...] | None = None
    related_by_senders: tuple[UserID, ...] | None = None
    rel_types: frozenset[str] | None = None  # MSC3874: how the event itself relates to another one
    not_rel_types: frozenset[str] = frozenset()

    def matches(self, event: FilteredEvent) -> bool:
        """Is the event let through? Its room and what relates to it are not looked at: see `allows_room`, and
        `related_by_rel_types`, `related_by_senders`, which need the other events.
        """
        return (
            self.allows_type(event.type)
            and _allowed(event.sender, self.senders, self.not_senders)
            and (self.contains_url is None or self.contains_url == has_url(event.content))
            and (not self.asks_rel_type or self._allows_rel_type(event.content))
        )

    @property
    def asks_rel_type(self) -> bool:
        """Does it matter how an event relates to another one (MSC3874)?"""
        return self.rel_types is not None or bool(self.not_rel_types)

    def _allows_rel_type(self, content: Mapping[str, Any]) -> bool:
        relation = content.get("m.relates_to")
        rel_type = relation.get("rel_type") if isinstance(relation, dict) else None
        return _allowed(rel_type if isinstance(rel_type, str) else None, self.rel_types, self.not_rel_types)

    def allows_type(self, type: str) -> bool:
        """Are events of this type let through?"""
        if any(pattern.matches(type) for pattern in self.not_types):
            return False
        return self.types is None or any(pattern.matches(type) for pattern in self.types)

    def allows_room(self, room_id: RoomID) -> bool:
        """Is anything of the room let through?"""
        return _allowed(room_id, self.rooms, self.not_rooms)

    @property
    def is_everything(self) -> bool:
        """Is every event of every room let through (though perhaps not all at once)?"""
        return not (
            self.not_types
            or self.not_rel_types
            or self.not_senders
            or self.not_rooms
            or any(
                wanted is not None
                for wanted in (
                    self.types,
                    self.senders,
                    self.rooms,
                    self.contains_url,
                    self.related_by_rel_types,
                    self.related_by_senders,
                    self.rel_types,
                )
            )
        )

    @property
    def is_nothing(self) -> bool:
        """Can no event be let through, so that none need be looked for?"""
        return any(wanted is not None and not wanted for wanted in (self.types, self.senders, self.rooms))


ALL_EVENTS: Final = EventFilter()


@dataclass(frozen=True, slots=True)
class RoomFilter:
    """What is wanted of rooms; `rooms` and `not_rooms` are asked before those of the sections."""

    rooms: frozenset[RoomID] | None = None
    not_rooms: frozenset[RoomID] = frozenset()
    include_leave: bool = False
    timeline: EventFilter = ALL_EVENTS
    state: EventFilter = ALL_EVENTS
    ephemeral: EventFilter = ALL_EVENTS
    account_data: EventFilter = ALL_EVENTS

    def allows_room(self, room_id: RoomID) -> bool:
        """Is anything of the room let through?"""
        return _allowed(room_id, self.rooms, self.not_rooms)


@dataclass(frozen=True, slots=True)
class Filter:
    """The filter of a /sync. `event_fields` None means all of each event."""

    event_fields: tuple[Path, ...] | None = None
    federation_format: bool = False
    presence: EventFilter = ALL_EVENTS
    account_data: EventFilter = ALL_EVENTS
    room: RoomFilter = field(default_factory=RoomFilter)


NO_FILTER: Final = Filter()


def has_url(content: Mapping[str, Any]) -> bool:
    """Does `contains_url` mean this event?"""
    return isinstance(content.get("url"), str)


def prune_fields(event: JsonObject, fields: tuple[Path, ...]) -> JsonObject:
    """Of an event in the client's format only the `event_fields`."""
    return pruned(event, fields)


def parse_filter(json: object) -> Filter:
    """The filter of a /sync; raises InvalidFilter. Members that are not known are ignored."""
    members = _Members("filter", json)
    return Filter(
        members.read("event_fields", _paths, None),
        members.read("event_format", _is_federation, False),
        members.read("presence", _event_filter, ALL_EVENTS),
        members.read("account_data", _event_filter, ALL_EVENTS),
        members.read("room", _room_filter, NO_FILTER.room),
    )


def parse_room_event_filter(json: object) -> EventFilter:
    """The filter of /messages, /context, /search...; raises InvalidFilter."""
    return _event_filter("filter", json)


def _allowed(value: str | None, wanted: frozenset[Any] | None, unwanted: frozenset[Any]) -> bool:
    return value not in unwanted and (wanted is None or value in wanted)


class _Members:
    """The members of a JSON object; `name` is how people are told of it."""

    def __init__(self, name: str, json: object) -> None:
        if not isinstance(json, dict):
            raise InvalidFilter(f"{name} must be an object")
        self._name, self._json = name, json

    def read(self, name: str, parse: Callable[[str, object], T], default: T) -> T:
        """The member, parsed; the default when it is missing or null."""
        value = self._json.get(name)
        return default if value is None else parse(f"{self._name}.{name}", value)


def _room_filter(name: str, json: object) -> RoomFilter:
    members = _Members(name, json)
    return RoomFilter(
        members.read("rooms", _room_ids, None),
        members.read("not_rooms", _room_ids, frozenset()),
        members.read("include_leave", _flag, False),
        members.read("timeline", _event_filter, ALL_EVENTS),
        members.read("state", _event_filter, ALL_EVENTS),
        members.read("ephemeral", _event_filter, ALL_EVENTS),
        members.read("account_data", _event_filter, ALL_EVENTS),
    )


def _event_filter(name: str, json: object) -> EventFilter:
    read = _Members(name, json).read
    return EventFilter(
        limit=read("limit", _limit, DEFAULT_LIMIT),
        types=read("types", _patterns, None),
        not_types=read("not_types", _patterns, ()),
        senders=read("senders", _user_ids, None),
        not_senders=read("not_senders", _user_ids, frozenset()),
        rooms=read("rooms", _room_ids, None),
        not_rooms=read("not_rooms", _room_ids, frozenset()),
        contains_url=read("contains_url", _flag, None),
        lazy_load_members=read("lazy_load_members", _flag, False),
        include_redundant_members=read("include_redundant_members", _flag, False),
        unread_thread_notifications=read("unread_thread_notifications", _flag, False),
        related_by_rel_types=read("related_by_rel_types", _texts, None),
        related_by_senders=read("related_by_senders", partial(_tuple_of, _user_id), None),
        rel_types=read("org.matrix.msc3874.rel_types", _names, None),
        not_rel_types=read("org.matrix.msc3874.not_rel_types", _names, frozenset()),
    )


def _limit(name: str, value: object) -> int:
    if type(value) is not int or value < 0:
        raise InvalidFilter(f"{name} must be an integer greater than 0")
    # COMPAT bots: some ask for 0 events, «must be greater than 0», and want none.
    return min(value, MAX_LIMIT)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidFilter(f"{name} must be true or false")
    return value


def _is_federation(name: str, value: object) -> bool:
    if value not in ("client", "federation"):
        raise InvalidFilter(f"{name} must be client or federation")
    return value == "federation"


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidFilter(f"{name} must be a list of strings")
    if len(value) > MAX_ENTRIES:
        raise InvalidFilter(f"{name} has more than {MAX_ENTRIES} entries")
    return tuple(value)


def _names(name: str, value: object) -> frozenset[str]:
    return frozenset(_texts(name, value))


def _tuple_of(parse: Callable[[str, str], T], name: str, value: object) -> tuple[T, ...]:
    return tuple(parse(name, text) for text in _texts(name, value))


def _paths(name: str, value: object) -> tuple[Path, ...]:
    return tuple(map(parse_path, _texts(name, value)))


def _patterns(name: str, value: object) -> tuple[Glob, ...]:
    return tuple(map(star_glob, _texts(name, value)))


def _user_ids(name: str, value: object) -> frozenset[UserID]:
    return frozenset(_tuple_of(_user_id, name, value))


def _room_ids(name: str, value: object) -> frozenset[RoomID]:
    return frozenset(_tuple_of(_room_id, name, value))


def _user_id(name: str, text: str) -> UserID:
    if not is_user_id(text):
        raise InvalidFilter(f"{name} must be user IDs")
    return UserID(text)


def _room_id(name: str, text: str) -> RoomID:
    try:
        return parse_room_id(text)
    except InvalidId:
        raise InvalidFilter(f"{name} must be room IDs") from None
