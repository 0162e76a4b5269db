"""What is put where something else should be; drawn by hypothesis, the same at every run with the same seed."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

T = TypeVar("T")

DEEP, DEEPER, NAN, BIG = "\1deep", "\1deeper", "\1nan", "\1big"
_RAW = {
    DEEP: "[" * 200 + "]" * 200,
    DEEPER: '{"a":' * 5000 + "1" + "}" * 5000,
    NAN: "NaN",
    BIG: "1e999",
}

TEXTS = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                "\0",
                "$",
                "$\0",
                "@",
                "@a:\0",
                "!",
                "#",
                "@:",
                "@a:",
                ":",
                "a:b:c",
                "[::1]",
                "@x:[::1",
                "\1",
            ),
            *("é" * 300, "x" * 300, "$" + "x" * 254, "!" + "x" * 43, "@" + "x" * 300 + ":y", "x" * 70_000),
            *(
                "1e9",
                "9" * 30,
                "-1",
                "-9007199254740991",
                "9007199254740993",
                "9" * 5000,
                "NaN",
                "true",
                "0x1",
            ),
            *("../..", "%", "%00", "%2F", "..", ".", "a/b", "localhost", "127.0.0.1:1", "x.example:99999"),
            *("nowhere.example", "@a:nowhere.example", "!r:nowhere.example", "ed25519:0", "ed25519:"),
            *("m.room.create", "m.room.member", "join", "leave", "ban", "invite", "knock", "1", "12", "99"),
            "٣",
            "\u2028",
            "\ufeff",
            "\ud800",
            "a\udfffb",
        ]
    ),
    st.text(max_size=12),
)
NUMBERS = st.one_of(
    st.sampled_from(
        [0, -1, 1, 2**31, 2**53 - 1, 2**53, -(2**53), 2**63 - 1, 2**63, 2**64, 10**300, -(10**40)]
    ),
    st.sampled_from([0.5, -0.0, 1e300, 1.0]),
    st.integers(),
)
LEAVES = st.one_of(
    st.none(), st.booleans(), NUMBERS, TEXTS, st.sampled_from([DEEP, DEEPER, NAN, BIG, [], {}, [[]], [None]])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
BODIES = st.one_of(
    st.sampled_from(
        [
            *(b"", b" ", b"{", b"}", b"[]", b"null", b"1", b'""', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"{}{}"),
            *(
                b'{"a":1,"a":2}',
                b'{"a":NaN}',
                b'{"a":-Infinity}',
                b"[" * 100_000,
                b'{"a":' * 3000,
                b"{'a':1}",
            ),
            *(b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"\\ud800":1}', b'{"a":1' + b"0" * 5000 + b"}", b"\0"),
            b'{"a":01}',
            b'{"a":1.}',
            b'{"a":"' + b"x" * 300_000 + b'"}',
            b"{" + b",".join(b'"%d":{}' % n for n in range(20_000)) + b"}",
        ]
    ),
    st.binary(max_size=30),
)


def written(value: Any, *, doubled: bool = False) -> bytes:
    """The value as JSON, in which there may be what no JSON has; `doubled`: its first member stands there twice."""
    text = json.dumps(value, ensure_ascii=True)
    for mark, raw in _RAW.items():
        text = text.replace(json.dumps(mark), raw)
    if doubled and isinstance(value, dict) and value:
        text = f"{{{json.dumps(next(iter(value)))}: 7, {text[1:]}"
    return text.encode()


def drawn(strategy: st.SearchStrategy[T], number: int, chance: int) -> list[T]:
    """So many examples; `chance` says which."""
    found: list[T] = []

    @seed(chance)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: T) -> None:
        found.append(example)

    collect()
    return found


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to everything that is in a JSON value, the value itself first."""
    found = [at]
    if isinstance(value, dict):
        for name, inner in value.items():
            found += places(inner, (*at, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found += places(inner, (*at, number))
    return found


def at_place(value: Any, way: tuple[Any, ...]) -> Any:
    """What is there."""
    for step in way:
        value = value[step]
    return value


def replaced(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    """The value with something else there."""
    if not way:
        return new
    inner = replaced(value[way[0]], way[1:], new)
    if isinstance(value, dict):
        return {**value, way[0]: inner}
    return [inner if number == way[0] else one for number, one in enumerate(value)]


def without(value: Any, way: tuple[Any, ...]) -> Any:
    """The value without what is there."""
    if not way:
        return None
    parent = at_place(value, way[:-1])
    if isinstance(parent, dict):
        rest: Any = {name: inner for name, inner in parent.items() if name != way[-1]}
    else:
        rest = [inner for number, inner in enumerate(parent) if number != way[-1]]
    return replaced(value, way[:-1], rest)
