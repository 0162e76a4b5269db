"""What may stand in events, and what only elsewhere (§Canonical JSON, §Size limits)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.fixtures.client import Client

NOT_CANONICAL = [
    b"1.5",
    b"1.0",
    b"1e3",
    b"-0.5",
    b"9007199254740992",
    b"-9007199254740992",
    b"9223372036854775808",
    b"1" + b"0" * 30,
]


def places(room: str) -> dict[str, tuple[str, str]]:
    """Where a client can put content into an event: the request, and the body around the value."""
    return {
        "a message": (f"PUT rooms/{room}/send/m.room.message/t", '{"a": {"b": [%s]}}'),
        "a state event": (f"PUT rooms/{room}/state/m.custom/", '{"a": {"b": [%s]}}'),
        "initial state": (
            "POST createRoom",
            '{"initial_state": [{"type": "m.custom", "content": {"a": [%s]}}]}',
        ),
        "creation content": ("POST createRoom", '{"creation_content": {"a": [%s]}}'),
        "power levels": ("POST createRoom", '{"power_level_content_override": {"a": [%s]}}'),
    }


async def _said(client: Client, request: str, body: bytes) -> tuple[int, Any]:
    method, path = request.split()
    return await client.request(method, path, data=body)


@pytest.mark.parametrize("value", NOT_CANONICAL)
async def test_events_hold_no_other_numbers_than_canonical_ones(alice: Client, value: bytes) -> None:
    room = await alice.create_room()
    for name, (request, body) in places(room).items():
        status, said = await _said(alice, request, body.replace("%s", value.decode()).encode())
        assert (status, said["errcode"]) == (400, "M_BAD_JSON"), name


async def test_the_greatest_and_least_integers_are_kept(alice: Client) -> None:
    room = await alice.create_room()
    for name, (request, body) in places(room).items():
        status, said = await _said(
            alice, request, body.replace("%s", "9007199254740991, -9007199254740991").encode()
        )
        assert status == 200, f"{name}: {said}"
    assert (await alice.state(room, "m.custom"))["a"] == {"b": [2**53 - 1, -(2**53) + 1]}


@pytest.mark.parametrize("value", [b"1.5", b"9007199254740992", b"1e3", b"-9223372036854775808"])
async def test_account_data_holds_any_number(alice: Client, value: bytes) -> None:
    path = f"user/{alice.user_id}/account_data/m.custom"
    assert (await alice.put(path, data=b'{"a": %s}' % value))[0] == 200
    assert (await alice.ok("GET", path))["a"] == orjson.loads(value)


async def test_an_event_is_at_most_64_kib(alice: Client) -> None:
    room = await alice.create_room()
    for length, expected in ((60_000, 200), (65_536, 413)):
        body = orjson.dumps({"body": "x" * length, "msgtype": "m.text"})
        for request in (
            f"PUT rooms/{room}/send/m.room.message/t{length}",
            f"PUT rooms/{room}/state/m.custom/",
        ):
            status, said = await _said(alice, request, body)
            assert (status, said.get("errcode")) == (expected, "M_TOO_LARGE" if expected == 413 else None)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud7ff\ue000", "\U0010ffff", "\u202e", "\x7f"])
async def test_every_character_comes_back_as_it_was_sent(alice: Client, text: str) -> None:
    room = await alice.create_room()
    content = {"body": text, "msgtype": "m.text", text or "x": [text]}
    await alice.send(room, content)
    await alice.set_state(room, "m.custom", content)
    assert (await alice.messages(room))[1]["content"] == content
    assert await alice.state(room, "m.custom") == content
    joined = (await alice.sync())["rooms"]["join"][room]
    assert [e["content"] for e in joined["timeline"]["events"]][-2:] == [content, content]
