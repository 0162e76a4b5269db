"""Power levels, read as leniently as each room version demands."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from protocol.errors import Rejected
from protocol.events import Event
from protocol.ids import UserID
from protocol.room_versions import RoomVersion

# An integer, or INFINITE: mypy lets an int pass as a float, so this is "int or infinity" to it.
Level: TypeAlias = float

INFINITE: Final[Level] = math.inf
CREATOR_LEVEL: Final = 100
DEFAULT_NOTIFICATION_LEVEL: Final = 50

# m.room.power_levels: the values «if unspecified»; they hold too where there is no such event.
DEFAULTS: Final[Mapping[str, int]] = {
    "users_default": 0,
    "events_default": 0,
    "state_default": 50,
    "ban": 50,
    "redact": 50,
    "kick": 50,
    "invite": 0,
}

# Python reads no longer ones, and an event holds none that anybody means.
_INTEGER_STRING = re.compile(r"\s*[+-]?[0-9]{1,4300}\s*", re.ASCII)


def parse_level(value: object, version: RoomVersion) -> int:
    """The value as a power level, strings and floats too where the version has them; raises Rejected."""
    if type(value) is int:
        return value
    if version.string_power_levels and isinstance(value, str) and _INTEGER_STRING.fullmatch(value):
        return int(value)
    if version.float_power_levels and isinstance(value, float) and math.isfinite(value):
        return int(value)
    raise Rejected(f"not a power level: {value!r:.50}")


def has_integer_levels(content: Mapping[str, Any]) -> bool:
    """Are all levels in the content of a power levels event, `users` apart, integers?"""
    if not all(type(content[name]) is int for name in DEFAULTS if name in content):
        return False
    tables = (content[name] for name in ("events", "notifications") if name in content)
    return all(is_table_of_integers(table) for table in tables)


def is_table_of_integers(table: object) -> bool:
    """Is it an object with only integers in it? A boolean is not an integer."""
    return isinstance(table, dict) and all(type(level) is int for level in table.values())


def creators_of(create: Event) -> frozenset[UserID]:
    """Who made the room; additional creators too where the version has them."""
    if not create.version.implicit_creator:
        creator = create.content.get("creator")
        return frozenset((UserID(creator),)) if isinstance(creator, str) else frozenset()
    if not create.version.creator_power:
        return frozenset((create.sender,))
    more = create.content.get("additional_creators")
    others = (UserID(user) for user in more if isinstance(user, str)) if isinstance(more, list) else ()
    return frozenset((create.sender, *others))


@dataclass(frozen=True, slots=True, eq=False)
class PowerLevels:
    """The power levels of a room. To ask for one that is nonsense (versions up to 9) raises Rejected."""

    version: RoomVersion
    creators: frozenset[UserID]
    content: Mapping[str, Any] | None

    @classmethod
    def of(cls, version: RoomVersion, create: Event, power_levels: Event | None) -> "PowerLevels":
        """The levels in a room with this create event and these power levels, or none."""
        return cls(version, creators_of(create), power_levels.content if power_levels else None)

    def of_user(self, user: str) -> Level:
        """The user's own level; INFINITE for creators where the version has them so."""
        if user in self.creators:
            if self.version.creator_power:
                return INFINITE
            if self.content is None:
                return CREATOR_LEVEL
        users = self._table("users")
        return parse_level(users[user], self.version) if user in users else self.named("users_default")

    def to_send(self, event_type: str, is_state: bool) -> int:
        """The level that sending an event of this type needs."""
        events = self._table("events")
        if event_type in events:
            return parse_level(events[event_type], self.version)
        return self.named("state_default" if is_state else "events_default")

    def named(self, name: str) -> int:
        """One of the single levels: `ban`, `invite`, `state_default`..."""
        if self.content is None or name not in self.content:
            return DEFAULTS[name]
        return parse_level(self.content[name], self.version)

    @property
    def invite(self) -> int:
        """The level that inviting needs."""
        return self.named("invite")

    @property
    def kick(self) -> int:
        """The level that kicking needs."""
        return self.named("kick")

    @property
    def ban(self) -> int:
        """The level that banning needs."""
        return self.named("ban")

    @property
    def redact(self) -> int:
        """The level that redacting others' events needs."""
        return self.named("redact")

    def notification(self, key: str) -> int:
        """The level that notifying everybody by this key (`room`) needs."""
        notifications = self._table("notifications")
        if key in notifications:
            return parse_level(notifications[key], self.version)
        return DEFAULT_NOTIFICATION_LEVEL

    def _table(self, name: str) -> Mapping[str, Any]:
        table = self.content.get(name) if self.content is not None else None
        return table if isinstance(table, dict) else {}
