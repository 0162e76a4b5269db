"""The kinds of values a setting may have: how each is read, said in words, and written."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import orjson

from homeserver.config_source import Scalar
from protocol.errors import InvalidId
from protocol.ids import parse_server_name
from protocol.room_versions import ROOM_VERSIONS

T = TypeVar("T")

DURATIONS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
SIZES = {"B": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
LONG_SIZES = {"KiB": SIZES["K"], "MiB": SIZES["M"], "GiB": SIZES["G"]}


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """`parse` raises ValueError for what is not of this kind, which `what` describes: «must be ...»."""

    what: str
    parse: Callable[[Scalar], T]
    show: Callable[[T], str]


def quoted(value: Any) -> str:
    """A scalar as YAML: plain where that is unmistakable, else quoted as in JSON."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z./_][A-Za-z0-9./_-]*", value):
        return value if value not in ("true", "false", "null", "yes", "no", "on", "off") else f'"{value}"'
    return orjson.dumps(value).decode()


def _text(value: Scalar) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _boolean(value: Scalar) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


TEXT = Kind("text (in quotes, where it looks like something else)", _text, quoted)
BOOLEAN = Kind("true or false", _boolean, quoted)
PATH = Kind("the path of a file or folder", lambda value: Path(_text(value)), lambda path: quoted(str(path)))


def whole(minimum: int, maximum: int = 2**31) -> Kind[int]:
    """A whole number in a range."""

    def parse(value: Scalar) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise ValueError
        return value

    upper = f" to {maximum}" if maximum < 2**31 else ""
    return Kind(f"a whole number {'from' if upper else 'of at least'} {minimum}{upper}", parse, quoted)


def _rate(value: Scalar) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError
    return float(value)


RATE = Kind("a number above 0", _rate, lambda rate: f"{rate:g}")


def _scaled(units: dict[str, int], bare: str | None) -> Callable[[Scalar], int]:
    def parse(value: Scalar) -> int:
        match = re.fullmatch(r"(\d+) ?([A-Za-z]*)", str(value))
        unit = (match[2] or bare) if match else None
        if match is None or unit not in units:
            raise ValueError
        return int(match[1]) * units[unit]

    return parse


def _show_scaled(units: dict[str, int]) -> Callable[[int], str]:
    def show(value: int) -> str:
        unit = max((unit for unit in units if value % units[unit] == 0), key=lambda unit: units[unit])
        return f"{value // units[unit]}{unit}"

    return show


DURATION = Kind("a duration such as 30s, 5m, 2h or 7d", _scaled(DURATIONS, None), _show_scaled(DURATIONS))
SIZE = Kind("a size such as 500K, 50M or 2G", _scaled(SIZES | LONG_SIZES, "B"), _show_scaled(SIZES))


def choice(enum: type[Enum]) -> Kind[Any]:
    """One of an enumeration's values."""
    values = {str(member.value): member for member in enum}
    return Kind(f"one of {', '.join(values)}", lambda value: _pick(values, value), lambda m: str(m.value))


def _pick(values: dict[str, T], value: Scalar) -> T:
    if str(value) not in values:
        raise ValueError
    return values[str(value)]


def _server_name(value: Scalar) -> str:
    try:
        return parse_server_name(_text(value))
    except InvalidId as error:
        raise ValueError(str(error)) from None


SERVER_NAME = Kind("a server name such as example.org or localhost:8008", _server_name, quoted)


def url(*schemes: str) -> Kind[str]:
    """A URL with one of the schemes."""

    def parse(value: Scalar) -> str:
        parts = urlsplit(_text(value))
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise ValueError
        return str(value)

    return Kind(f"a URL that begins with {' or '.join(f'{scheme}:' for scheme in schemes)}", parse, quoted)


NETWORK: Kind[IPv4Network | IPv6Network] = Kind(
    "a network such as 10.0.0.0/8",
    lambda value: ip_network(_text(value), strict=False),
    lambda n: quoted(str(n)),
)


def _ports(value: Scalar) -> range:
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", "" if isinstance(value, bool) else str(value))
    if match is None:
        raise ValueError
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= 65535:
        raise ValueError
    return range(first, last + 1)


PORTS = Kind(
    "a port, or some such as 8000-8999",
    _ports,
    lambda ports: quoted(ports[0]) if len(ports) == 1 else f"{ports[0]}-{ports[-1]}",
)
ROOM_VERSION = Kind(
    f"a room version: {', '.join(ROOM_VERSIONS)}",
    lambda value: _pick({version: version for version in ROOM_VERSIONS}, value),
    lambda version: f'"{version}"',
)
