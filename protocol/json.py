"""Canonical JSON (§Canonical JSON), and reading JSON that strangers sent.

orjson sorts keys by UTF-8 bytes, which is the order of code points, and escapes what the specification
escapes. What it would let pass (floats, NaN as `null`) a short walk over the value finds first.
"""

import json
import re
from typing import Any, Final

import orjson

from protocol.errors import NotCanonical, NotJson

JsonObject = dict[str, Any]

MAX_INTEGER: Final = 2**53 - 1
# orjson writes at most 254 levels; this leaves room for the replies that an event is put into.
MAX_NESTING: Final = 230

_SORTED = orjson.OPT_SORT_KEYS
_STRICT = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_HUGE_INTEGER = re.compile(rb"[0-9]{19}")


def canonical(value: object) -> bytes:
    """The value as Canonical JSON; raises NotCanonical for what room versions 6 and later forbid."""
    check_canonical(value)
    return encode_checked(value)


def check_canonical(value: object) -> None:
    """Raise NotCanonical unless the value holds only what Canonical JSON can.

    Strings are not looked at: one that has no UTF-8 form is found when it is written.
    """
    todo = [value]
    for item in todo:
        kind = type(item)
        if kind is dict:
            todo.extend(item.values())  # type: ignore[attr-defined]  # mypy does not narrow by `kind`
        elif kind is list or kind is tuple:
            todo.extend(item)  # type: ignore[arg-type]
        elif kind is int:
            if not -MAX_INTEGER <= item <= MAX_INTEGER:  # type: ignore[operator]
                raise NotCanonical("integer out of range")
        elif kind is not str and kind is not bool and item is not None:
            raise NotCanonical(f"{kind.__name__} is not allowed")


def encode_checked(value: object) -> bytes:
    """Canonical JSON of a value that check_canonical passed before (or that is part of one that did)."""
    try:
        return orjson.dumps(value, option=_STRICT)
    except TypeError as e:
        raise NotCanonical(str(e)) from e


def canonical_lenient(value: object) -> bytes:
    """Canonical JSON as room versions 1 to 5 have it, with huge integers, and floats in the shortest form."""
    if _is_plain(value):
        try:
            return orjson.dumps(value, option=_SORTED)
        except TypeError as e:
            raise NotCanonical(str(e)) from e
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as e:  # a lone surrogate is a ValueError too
        raise NotCanonical(str(e)) from e


def encoded(value: object) -> bytes:
    """The value as JSON of any kind, with integers of any size: events of room versions 1 to 5 may have such.

    There may be ready parts (orjson.Fragment) in it. Raises TypeError for what is no JSON.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_with_all_digits(value))


def _with_all_digits(value: object) -> object:
    if isinstance(value, dict):
        return {name: _with_all_digits(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_all_digits(inner) for inner in value]
    return orjson.Fragment(str(value)) if isinstance(value, int) and abs(value) > MAX_INTEGER else value


def _is_plain(value: object) -> bool:
    try:
        check_canonical(value)
    except NotCanonical:
        return False
    return True


def parse(data: bytes) -> Any:
    """What the JSON says; raises NotJson. Integers beyond 64 bits come as floats."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as e:
        raise NotJson(str(e)) from e
    _check_nesting(data, value)
    return value


def parse_exact(data: bytes) -> Any:
    """As parse, with integers of any size kept as they are: for events of room versions 1 to 5."""
    value = parse(data)
    if not _HUGE_INTEGER.search(data):
        return value
    try:
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as e:  # an integer of more than 4300 digits
        raise NotJson(str(e)) from e


def _refuse(constant: str) -> None:
    raise NotJson(f"{constant} is not JSON")


def _check_nesting(data: bytes, value: object) -> None:
    if data.count(b"[") + data.count(b"{") <= MAX_NESTING:
        return
    layer = [value]
    for _ in range(MAX_NESTING + 1):
        below: list[object] = []
        for item in layer:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        layer = below
    raise NotJson("nested too deep")
