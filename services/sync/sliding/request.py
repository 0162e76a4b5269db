"""What a request of sliding sync asks for, as values: lists, their filters, and what is to be told of rooms (MSC4186)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from protocol.events import MEMBER

Range = tuple[int, int]
Element = tuple[str | None, str | None]  # type and state key; None: any

MAX_TIMELINE = 100
THREAD_SUBSCRIPTIONS = "io.element.msc4308.thread_subscriptions"


@dataclass(frozen=True, slots=True)
class RequiredState:
    """State that a room's config asks for. With `lazy_members`, wildcards do not mean members, and those that the client
    needs come by themselves.
    """

    include: frozenset[Element] = frozenset()
    exclude: frozenset[Element] = frozenset()
    lazy_members: bool = False

    def matches(self, event_type: str, state_key: str) -> bool:
        """Does the config itself (lazy loading apart) ask for what stands under this key?"""
        if _is_in(self.exclude, event_type, state_key):
            return False
        if self.lazy_members and event_type == MEMBER:
            return (event_type, state_key) in self.include
        return _is_in(self.include, event_type, state_key)

    @property
    def wants_all_members(self) -> bool:
        """Are all members asked for, however many they are?"""
        return not self.lazy_members and bool(self.include & {(None, None), (MEMBER, None)})

    def wants_members_of_others(self, server: str) -> bool:
        """Are members asked for who may be on another server than this one, other than as the client comes to need them?"""
        if self.exclude & {(None, None), (MEMBER, None)}:
            return False
        named = [key for event_type, key in self.include if event_type in (None, MEMBER) and key is not None]
        return self.wants_all_members or any(
            user.startswith("@") and not user.endswith(f":{server}") for user in named
        )


def _is_in(elements: frozenset[Element], event_type: str, state_key: str) -> bool:
    return not elements.isdisjoint(
        ((event_type, state_key), (event_type, None), (None, state_key), (None, None))
    )


@dataclass(frozen=True, slots=True)
class RoomConfig:
    """What is to be told of a room; `parts` are those of all lists and subscriptions that it matches."""

    timeline_limit: int
    parts: frozenset[RequiredState]

    def matches(self, event_type: str, state_key: str) -> bool:
        """Does any part ask for what stands under this key?"""
        return any(part.matches(event_type, state_key) for part in self.parts)

    @property
    def lazy_members(self) -> bool:
        """«if and only if a) any of the configs have `lazy_members` set to true AND b) there are no configs that return
        all membership events»."""
        return any(p.lazy_members for p in self.parts) and not any(p.wants_all_members for p in self.parts)

    def wants_members_of_others(self, server: str) -> bool:
        """Would it be answered wrongly from a state in which other servers' members are missing?"""
        return any(part.wants_members_of_others(server) for part in self.parts)

    @property
    def elements(self) -> frozenset[Element]:
        """All that is included anywhere."""
        return frozenset(element for part in self.parts for element in part.include)


def combined(configs: Iterable[RoomConfig]) -> RoomConfig:
    """«The fields are combined by taking the "superset"»."""
    every = list(configs)
    if len(every) == 1:
        return every[0]
    return RoomConfig(
        max(config.timeline_limit for config in every),
        frozenset(part for config in every for part in config.parts),
    )


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Which rooms a list is of; None: it does not matter. Room types are None for rooms that have none."""

    is_dm: bool | None = None
    is_encrypted: bool | None = None
    is_invited: bool | None = None
    spaces: frozenset[str] | None = None
    room_types: frozenset[str | None] | None = None
    not_room_types: frozenset[str | None] = frozenset()
    tags: frozenset[str] | None = None
    not_tags: frozenset[str] = frozenset()
    name_like: str | None = None


@dataclass(frozen=True, slots=True)
class RoomsList:
    """A list: its filter, and the windows on it (None: all of it)."""

    config: RoomConfig
    ranges: tuple[Range, ...] | None
    filter: ListFilter


@dataclass(frozen=True, slots=True)
class Scope:
    """Of which of the request's rooms an extension tells: those of these lists, and these subscriptions; None: of all."""

    lists: frozenset[str] | None = None
    rooms: frozenset[str] | None = None

    @property
    def is_everything(self) -> bool:
        """Are all rooms of the request meant?"""
        return self.lists is None and self.rooms is None


@dataclass(frozen=True, slots=True)
class ToDevice:
    """What the to_device extension is asked."""

    since: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class Extensions:
    """The extensions that are enabled."""

    to_device: ToDevice | None = None
    e2ee: bool = False
    account_data: Scope | None = None
    receipts: Scope | None = None
    typing: Scope | None = None
    thread_subscriptions: int | None = None  # how many at most

    @property
    def enabled(self) -> frozenset[str]:
        """Those whose news depend on what was told before, by their names."""
        scoped = {"account_data": self.account_data, "receipts": self.receipts, "typing": self.typing}
        names = {name for name, scope in scoped.items() if scope is not None}
        if self.e2ee:
            names.add("e2ee")
        if self.thread_subscriptions is not None:
            names.add(THREAD_SUBSCRIPTIONS)
        return frozenset(names)


@dataclass(frozen=True, slots=True)
class SlidingRequest:
    """One request. `accepted`: in the form that the MSC was accepted with, not the one that clients use so far."""

    conn_id: str = ""
    pos: str | None = None
    timeout: int = 0
    presence: str = "online"
    lists: Mapping[str, RoomsList] = field(default_factory=dict)
    subscriptions: Mapping[str, RoomConfig] = field(default_factory=dict)
    extensions: Extensions = Extensions()
    accepted: bool = False
