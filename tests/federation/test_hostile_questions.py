"""Whatever another server asks, however it asks it: an answer with a Matrix error at worst, never a failure of ours."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.federation.asking import V1, Scene, part, scene

__all__ = ["scene"]

NASTY: list[Any] = [
    None,
    True,
    0,
    -1,
    2**53 - 1,
    "",
    "\0",
    "$",
    "$\0",
    "@",
    "@a:\0",
    "!",
    "é" * 300,
    [],
    [[]],
    [None],
    ["\0"],
    ["$" + "x" * 300],
    {},
    {"\0": "\0"},
    {"@a\0:b": []},
    {"@a:b": {"\0": "\0"}},
]
TEXTS = [
    *(text for text in NASTY if isinstance(text, str)),
    "1e9",
    "9" * 30,
    "-9007199254740991",
    "true",
    "../..",
    "%",
]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("get_missing_events/{room}", ("earliest_events", "latest_events", "limit", "min_depth")),
        ("publicRooms", ("limit", "since", "filter", "include_all_networks", "third_party_instance_id")),
        ("user/keys/query", ("device_keys",)),
        ("user/keys/claim", ("one_time_keys",)),
    ],
)
async def test_bodies(scene: Scene, path: str, names: tuple[str, ...]) -> None:
    room = await scene.room()
    await scene.eve_joins(room)
    alice = {scene.alice.user_id: {scene.alice.device_id: "\0"}}
    sane: dict[str, Any] = {"earliest_events": [], "latest_events": []} if "missing" in path else {}
    for body in (*NASTY, *({**sane, name: value} for name in names for value in [*NASTY, alice])):
        if body is not None:
            status, _ = await scene.ask("POST", path.format(room=part(room)), body)
            assert status < 500, body


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("backfill/{room}", ("v", "limit")),
        ("state/{room}", ("event_id",)),
        ("state_ids/{room}", ("event_id",)),
        ("timestamp_to_event/{room}", ("ts", "dir")),
        ("hierarchy/{room}", ("suggested_only",)),
        ("query/profile", ("user_id", "field")),
        ("query/directory", ("room_alias",)),
        ("publicRooms", ("limit", "since", "include_all_networks", "third_party_instance_id")),
        ("openid/userinfo", ("access_token",)),
    ],
)
async def test_queries(scene: Scene, path: str, names: tuple[str, ...]) -> None:
    room = await scene.room()
    join = await scene.eve_joins(room)
    sane = {
        "v": join,
        "limit": "5",
        "ts": "5",
        "dir": "b",
        "event_id": join,
        "user_id": scene.alice.user_id,
    }
    for name in names:
        for text in TEXTS:
            query = {other: value for other, value in sane.items() if other in names} | {name: text}
            status, _ = await scene.ask("GET", path.format(room=part(room)), query=query)
            assert status < 500, query


@pytest.mark.parametrize(
    "path",
    [
        "event/{}",
        "event_auth/!x:y/{}",
        "event_auth/{}/$x",
        "state/{}",
        "hierarchy/{}",
        "user/devices/{}",
        "query/{}",
    ],
)
async def test_paths(scene: Scene, path: str) -> None:
    for text in TEXTS:
        raw = f"{V1}/" + path.replace("{}", quote(text, safe=""))
        status, _ = await scene.liar.request(scene.one, "GET", raw)
        assert status < 500, raw


async def test_media(scene: Scene) -> None:
    for text in TEXTS:
        for tail in ("", "?width=1&height=1", "?width=-1&height=x", "?width=9999999&height=1&method=\0"):
            for kind in ("download", "thumbnail"):
                raw = f"{V1}/media/{kind}/{quote(text, safe='')}{quote(tail, safe='?=&')}"
                status, _ = await scene.liar.request(scene.one, "GET", raw)
                assert status < 500, raw
