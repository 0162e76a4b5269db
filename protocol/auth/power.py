"""The rules for m.room.power_levels events, in the specification's order (rule 9; since v12 rule 10)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from protocol.auth.case import AuthCase
from protocol.auth.levels import (
    DEFAULTS,
    Level,
    has_integer_levels,
    parse_level,
)
from protocol.errors import Rejected
from protocol.ids import is_user_id
from protocol.room_versions import RoomVersion


def check_power_levels(case: AuthCase) -> None:
    """Raise Rejected unless the sender may change the power levels so."""
    new, old = case.event.content, case.levels.content
    _check_shape(case.version, new)
    # «If the users property in content contains the sender of the create event or any of its
    # additional_creators, reject.» (since v12)
    if case.version.creator_power and not case.levels.creators.isdisjoint(new.get("users", {})):
        raise Rejected("power levels name a creator")
    # «If there is no previous m.room.power_levels event in the room, allow.»
    if old is None:
        return
    power = case.power
    _check_changes(case, power, DEFAULTS, old, new)
    _check_changes(case, power, None, _table(old, "events"), _table(new, "events"))
    if case.version.limit_notifications_levels:
        _check_changes(case, power, None, _table(old, "notifications"), _table(new, "notifications"))
    _check_users(case, power, _table(old, "users"), _table(new, "users"))


def _check_shape(version: RoomVersion, content: Mapping[str, Any]) -> None:
    # «If any of the properties users_default, events_default, state_default, ban, redact, kick, or invite in
    # content are present and not an integer, reject. If either of the properties events or notifications in
    # content are present and not an object with values that are integers, reject.» (since v10)
    if version.integer_power_levels and not has_integer_levels(content):
        raise Rejected("power levels are not integers")
    # «If the users property in content is not an object with keys that are valid user IDs with values that
    # are integers (or a string that is an integer), reject.» (the brackets: until v9)
    users = content.get("users", {})
    if not isinstance(users, dict) or not all(map(is_user_id, users)):
        raise Rejected("power levels of something that is not a user")
    for level in users.values():
        parse_level(level, version)


def _check_changes(
    case: AuthCase,
    power: Level,
    names: Iterable[str] | None,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
) -> None:
    for name, before, after in _changes(case.version, names, old, new):
        # «... if the current value is greater than the sender's current power level, reject.»
        if before is not None and before > power:
            raise Rejected(f"sender may not change the level of {name}")
        # «... if the new value is greater than the sender's current power level, reject.»
        if after is not None and after > power:
            raise Rejected(f"sender may not raise {name} so high")


def _check_users(case: AuthCase, power: Level, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for user, before, after in _changes(case.version, None, old, new):
        # «For each entry being changed in, or removed from, the users property, other than the sender's own
        # entry: if the current value is greater than or equal to the sender's current power level, reject.»
        if before is not None and user != case.event.sender and before >= power:
            raise Rejected(f"sender may not change the power of {user}")
        # «For each entry being added to, or changed in, the users property: if the new value is greater than
        # the sender's current power level, reject.»
        if after is not None and after > power:
            raise Rejected(f"sender may not raise {user} so high")


def _changes(
    version: RoomVersion,
    names: Iterable[str] | None,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
) -> Iterator[tuple[str, int | None, int | None]]:
    """Of these names (None: of all in either) those whose level differs, with the levels before and after."""
    for name in names if names is not None else old.keys() | new.keys():
        before = parse_level(old[name], version) if name in old else None
        after = parse_level(new[name], version) if name in new else None
        if before != after:
            yield name, before, after


def _table(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = content.get(name)
    return table if isinstance(table, dict) else {}
