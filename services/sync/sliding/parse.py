"""Reads a request of sliding sync, in the form in use (`simplified_msc3575`) or in the accepted one (MSC4186)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from protocol.events import MEMBER
from protocol.matrix_error import BadJson, InvalidParam
from services.sync.sliding.request import (
    MAX_TIMELINE,
    THREAD_SUBSCRIPTIONS,
    Element,
    Extensions,
    ListFilter,
    Range,
    RequiredState,
    RoomConfig,
    RoomsList,
    Scope,
    SlidingRequest,
    ToDevice,
)

T = TypeVar("T")

MAX_LISTS = MAX_SUBSCRIPTIONS = 100
MAX_ELEMENTS = 500
MAX_RANGES = 100
MAX_NAME = 255
TO_DEVICE_LIMIT = 100
SUBSCRIPTIONS_LIMIT = 100
_DIGITS = 18


def parse_request(
    body: Mapping[str, Any], user_id: str, *, pos: str | None, timeout: int, presence: str, accepted: bool
) -> SlidingRequest:
    """The request; raises BadJson for what has another shape, InvalidParam for what is too much."""
    reader = _Reader(user_id, accepted)
    lists = _member(body, "lists", dict, {})
    subscriptions = _member(body, "room_subscriptions", dict, {})
    if len(lists) > MAX_LISTS or len(subscriptions) > MAX_SUBSCRIPTIONS:
        raise InvalidParam(f"At most {MAX_LISTS} lists and {MAX_SUBSCRIPTIONS} room_subscriptions")
    return SlidingRequest(
        conn_id=_text("conn_id", _member(body, "conn_id", str, "")),
        pos=pos,
        timeout=timeout,
        presence=presence,
        lists={_text("A list's name", name): reader.rooms_list(asked) for name, asked in lists.items()},
        subscriptions={
            _text("A room ID", room): reader.config(asked) for room, asked in subscriptions.items()
        },
        extensions=_extensions(_member(body, "extensions", dict, {})),
        accepted=accepted,
    )


def _text(name: str, text: str) -> str:
    if len(text) > MAX_NAME or "\0" in text:
        raise InvalidParam(f"{name} is too long, or contains a NUL character")
    return text


def _member(json: Any, name: str, kind: type[T], default: T) -> T:
    """A member of an object; null counts as missing."""
    if not isinstance(json, dict):
        raise BadJson("An object is expected")
    value = json.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadJson(f"{name} must be of type {kind.__name__}")
    return value


def _flag(json: Any, name: str) -> bool | None:
    value = json.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadJson(f"{name} must be a boolean")
    return value


def _set_of(json: Any, name: str, allowed: Callable[[Any], bool]) -> frozenset[Any] | None:
    value = json.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_ELEMENTS or not all(allowed(one) for one in value):
        raise BadJson(f"{name} must be a list of strings")
    return frozenset(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


class _Reader:
    """Reads in one of the two forms, for one user."""

    def __init__(self, user_id: str, accepted: bool) -> None:
        self._user_id = user_id
        self._accepted = accepted

    def rooms_list(self, json: Any) -> RoomsList:
        return RoomsList(
            self.config(json), self._ranges(json), self._filter(_member(json, "filters", dict, {}))
        )

    def config(self, json: Any) -> RoomConfig:
        limit = _member(json, "timeline_limit", int, 0)
        if limit < 0:
            raise InvalidParam("timeline_limit must not be negative")
        required = self._accepted_state(json) if self._accepted else self._state(json)
        return RoomConfig(min(limit, MAX_TIMELINE), frozenset((required,)))

    def _state(self, json: Any) -> RequiredState:
        elements: set[Element] = set()
        lazy = False
        asked = _member(json, "required_state", list, [])
        _not_too_many(asked)
        for pair in asked:
            if not isinstance(pair, list) or len(pair) != 2 or not all(_is_text(text) for text in pair):
                raise BadJson("required_state must be a list of pairs of type and state key")
            event_type, state_key = pair
            if state_key == "$LAZY" and event_type == MEMBER:
                lazy = True
                continue
            key = self._user_id if state_key == "$ME" else state_key
            elements.add((None if event_type == "*" else event_type, None if key == "*" else key))
        return RequiredState(frozenset(elements), frozenset(), lazy)

    def _accepted_state(self, json: Any) -> RequiredState:
        asked = _member(json, "required_state", dict, {})
        return RequiredState(
            _elements(asked, "include"), _elements(asked, "exclude"), _flag(asked, "lazy_members") or False
        )

    def _ranges(self, json: Any) -> tuple[Range, ...] | None:
        if _flag(json, "slow_get_all_rooms"):
            return None
        if self._accepted:
            value = json.get("range")
            return None if value is None else (_range(value),)
        ranges = json.get("ranges")
        if ranges is None:
            return None
        if not isinstance(ranges, list) or len(ranges) > MAX_RANGES:
            raise BadJson("ranges must be a list of pairs")
        return tuple(_range(value) for value in ranges)

    def _filter(self, json: Mapping[str, Any]) -> ListFilter:
        return ListFilter(
            is_dm=_flag(json, "is_dm"),
            is_encrypted=_flag(json, "is_encrypted"),
            is_invited=_flag(json, "is_invited" if self._accepted else "is_invite"),
            spaces=_set_of(json, "spaces", _is_text),
            room_types=_set_of(json, "room_types", _is_text_or_null),
            not_room_types=_set_of(json, "not_room_types", _is_text_or_null) or frozenset(),
            tags=_set_of(json, "tags", _is_text),
            not_tags=_set_of(json, "not_tags", _is_text) or frozenset(),
            name_like=None if self._accepted else _member(json, "room_name_like", str, "").casefold() or None,
        )


def _range(value: Any) -> Range:
    if not isinstance(value, list) or len(value) != 2 or not all(type(end) is int for end in value):
        raise BadJson("A range is a pair of integers")
    if not 0 <= value[0] <= value[1]:
        raise InvalidParam("A range goes from a lower to a higher index")
    return value[0], value[1]


def _elements(json: Any, name: str) -> frozenset[Element]:
    asked = _member(json, name, list, [])
    _not_too_many(asked)
    found: set[Element] = set()
    for one in asked:
        event_type, state_key = _member(one, "type", str, None), _member(one, "state_key", str, None)
        found.add((_clean(event_type), _clean(state_key)))
    return frozenset(found)


def _clean(text: str | None) -> str | None:
    if text is not None and "\0" in text:
        raise BadJson("No type or state key contains a NUL character")
    return text


def _not_too_many(asked: list[Any]) -> None:
    if len(asked) > MAX_ELEMENTS:
        raise InvalidParam(f"At most {MAX_ELEMENTS} elements of required_state")


def _extensions(json: Mapping[str, Any]) -> Extensions:
    def asked(name: str) -> Mapping[str, Any] | None:
        found = _member(json, name, dict, {})
        return found if _flag(found, "enabled") else None

    def scope(name: str) -> Scope | None:
        found = asked(name)
        return None if found is None else Scope(_names(found, "lists"), _names(found, "rooms"))

    to_device, subscriptions = asked("to_device"), asked(THREAD_SUBSCRIPTIONS)
    return Extensions(
        to_device=None if to_device is None else _to_device(to_device),
        e2ee=asked("e2ee") is not None,
        account_data=scope("account_data"),
        receipts=scope("receipts"),
        typing=scope("typing"),
        thread_subscriptions=None if subscriptions is None else _subscriptions(subscriptions),
    )


def _subscriptions(json: Mapping[str, Any]) -> int:
    """How many are to be told at most."""
    limit = _member(json, "limit", int, SUBSCRIPTIONS_LIMIT)
    if limit < 1:
        raise InvalidParam(f"{THREAD_SUBSCRIPTIONS}.limit must be greater than zero")
    return min(limit, SUBSCRIPTIONS_LIMIT)


def _names(json: Mapping[str, Any], name: str) -> frozenset[str] | None:
    names = _set_of(json, name, _is_text)
    return None if names is None or "*" in names else names


def _to_device(json: Mapping[str, Any]) -> ToDevice:
    since = _member(json, "since", str, "")
    if since and not (since.isascii() and since.isdecimal() and len(since) <= _DIGITS):
        raise InvalidParam("to_device.since is not a token that this server has given out")
    limit = _member(json, "limit", int, TO_DEVICE_LIMIT)
    return ToDevice(int(since) if since else None, max(1, min(limit, TO_DEVICE_LIMIT)))
