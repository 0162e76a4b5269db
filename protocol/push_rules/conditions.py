"""Conditions of push rules, compiled into functions of an event and of whom it might be pushed to."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from protocol.glob import WordGlob, glob, word_glob, word_literal
from protocol.ids import UserID
from protocol.json import JsonObject
from protocol.property_path import Path, parse_path, value_at
from protocol.push_rules.rule import ME, Condition
from protocol.push_rules.times import parse_times

BODY: Final = ("content", "body")
DEFAULT_NOTIFICATION_LEVEL: Final = 50
TIME_AND_DAY: Final = ("time_and_day", "org.matrix.msc3767.time_and_day")  # MSC3767
THREAD_SUBSCRIPTION: Final = "io.element.msc4306.thread_subscription"  # MSC4306


class MatchableEvent(Protocol):
    """What push rules look at in an event."""

    @property
    def event_id(self) -> str: ...
    @property
    def room_id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def state_key(self) -> str | None: ...
    @property
    def sender(self) -> str: ...
    @property
    def content(self) -> JsonObject: ...
    @property
    def origin_server_ts(self) -> int: ...


class EventProperties:
    """An event's properties by path, each looked up once however many users' rules ask for it."""

    __slots__ = ("_json", "_lowered", "_values", "sender")

    def __init__(self, event: MatchableEvent) -> None:
        self.sender = event.sender
        self._json: JsonObject = {
            "event_id": event.event_id,
            "room_id": event.room_id,
            "type": event.type,
            "sender": event.sender,
            "content": event.content,
            "origin_server_ts": event.origin_server_ts,
        }
        if event.state_key is not None:
            self._json["state_key"] = event.state_key
        self._values: dict[Path, object] = {}
        self._lowered: dict[Path, str | None] = {}

    def value(self, path: Path) -> object:
        """What stands at the path, ABSENT where there is nothing."""
        try:
            return self._values[path]
        except KeyError:
            value = self._values[path] = value_at(self._json, path)
            return value

    def lowered(self, path: Path) -> str | None:
        """The string at the path in lower case; None where there is none."""
        try:
            return self._lowered[path]
        except KeyError:
            value = self.value(path)
            lowered = self._lowered[path] = value.lower() if isinstance(value, str) else None
            return lowered


@dataclass(frozen=True, slots=True)
class Context:
    """Whom an event might be pushed to, and the room around it.

    Without a user it is about nobody in particular: no condition on the user's own ID holds. `subscribed` is whether
    the user is to the thread that the event is in; None: it is in none. `now` is the time, in ms since 1970.
    """

    user_id: UserID | None
    display_name: str | None
    member_count: int
    sender_power: float
    notification_levels: Mapping[str, int]
    subscribed: bool | None = None
    now: int = 0


Test: TypeAlias = Callable[[EventProperties, Context], bool]


def compile_condition(condition: Condition) -> Test:
    """The condition as a function; one that is unknown or malformed never holds."""
    kind = condition.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        return _never
    return _KINDS[kind](condition) or _never


def compile_words(pattern: str) -> Test:
    """Does the pattern match words of the body?"""
    words = word_glob(pattern.lower())

    def body_has_words(event: EventProperties, context: Context) -> bool:
        body = event.lowered(BODY)
        return body is not None and words.is_in(body)

    return body_has_words


def compile_equal(path: Path, value: str) -> Test:
    """Is exactly this string at the path?"""
    return lambda event, context: event.value(path) == value


def _never(event: EventProperties, context: Context) -> bool:
    return False


def _event_match(condition: Condition) -> Test | None:
    key, pattern = condition.get("key"), condition.get("pattern")
    if not isinstance(key, str):
        return None
    path = parse_path(key)
    if pattern is ME:
        return lambda event, context: context.user_id is not None and event.value(path) == context.user_id
    if not isinstance(pattern, str):
        return None
    if path == BODY:
        return compile_words(pattern)
    whole = glob(pattern.lower())
    if whole.literal is not None:
        literal = whole.literal
        return lambda event, context: event.lowered(path) == literal

    def matches(event: EventProperties, context: Context) -> bool:
        text = event.lowered(path)
        return text is not None and whole.matches(text)

    return matches


def _event_property_is(condition: Condition) -> Test | None:
    key = condition.get("key")
    if not isinstance(key, str) or not is_simple(condition.get("value", ...)):
        return None
    path, value = parse_path(key), condition["value"]
    return lambda event, context: _same(event.value(path), value)


def _event_property_contains(condition: Condition) -> Test | None:
    key, value = condition.get("key"), condition.get("value", ...)
    if not isinstance(key, str) or not (value is ME or is_simple(value)):
        return None
    path = parse_path(key)

    def contains(event: EventProperties, context: Context) -> bool:
        items = event.value(path)
        wanted = context.user_id if value is ME else value
        if not isinstance(items, list) or (value is ME and wanted is None):
            return False
        return any(_same(item, wanted) for item in items)

    return contains


def is_simple(value: object) -> bool:
    """«Non-compound canonical JSON values»: strings, integers, booleans and null."""
    return value is None or type(value) in (str, int, bool)


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _contains_display_name(condition: Condition) -> Test:
    compiled: dict[str, WordGlob] = {}

    def body_has_name(event: EventProperties, context: Context) -> bool:
        body, name = event.lowered(BODY), context.display_name
        if body is None or not name:
            return False
        if name not in compiled:
            compiled.clear()
            compiled[name] = word_literal(name.lower())
        return compiled[name].is_in(body)

    return body_has_name


_COMPARISONS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "": operator.eq,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_MEMBER_COUNT: Final = re.compile(r"(==|<=|>=|<|>|)([0-9]{1,15})")


def _room_member_count(condition: Condition) -> Test | None:
    given = condition.get("is")
    parsed = _MEMBER_COUNT.fullmatch(given) if isinstance(given, str) else None
    if parsed is None:
        return None
    compare, count = _COMPARISONS[parsed[1]], int(parsed[2])
    return lambda event, context: compare(context.member_count, count)


def _sender_notification_permission(condition: Condition) -> Test | None:
    key: Any = condition.get("key")
    if not isinstance(key, str):
        return None

    def sender_may(event: EventProperties, context: Context) -> bool:
        return context.sender_power >= context.notification_levels.get(key, DEFAULT_NOTIFICATION_LEVEL)

    return sender_may


def _thread_subscription(condition: Condition) -> Test | None:
    wanted = condition.get("subscribed")
    if not isinstance(wanted, bool):
        return None
    return lambda event, context: context.subscribed is wanted


def _time_and_day(condition: Condition) -> Test | None:
    times = parse_times(condition)
    return None if times is None else lambda event, context: times.hold_at(context.now)


_KINDS: Final[Mapping[str, Callable[[Condition], Test | None]]] = {
    "event_match": _event_match,
    "event_property_is": _event_property_is,
    "event_property_contains": _event_property_contains,
    "contains_display_name": _contains_display_name,
    "room_member_count": _room_member_count,
    "sender_notification_permission": _sender_notification_permission,
    THREAD_SUBSCRIPTION: _thread_subscription,
    **dict.fromkeys(TIME_AND_DAY, _time_and_day),
}


def is_understood(condition: Condition) -> bool:
    """Is the condition well-formed, or of a kind that we do not know?"""
    kind = condition.get("kind")
    return isinstance(kind, str) and (kind not in _KINDS or _KINDS[kind](condition) is not None)
