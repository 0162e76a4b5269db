"""Filters that are kept for clients."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tests.fixtures.client import Client

FILTER = {
    "room": {"timeline": {"limit": 5, "types": ["m.room.*"]}},
    "event_fields": ["type"],
    "org.example": 1.5,
}


def filters(client: Client, *filter_id: str) -> str:
    return "/".join(("user", quote(client.user_id), "filter", *filter_id))


async def test_a_filter_is_kept_under_an_id(alice: Client) -> None:
    filter_id = (await alice.ok("POST", filters(alice), json=FILTER))["filter_id"]
    assert await alice.ok("GET", filters(alice, filter_id)) == FILTER


async def test_the_same_filter_has_the_same_id(alice: Client) -> None:
    said = [await alice.ok("POST", filters(alice), json=FILTER) for _ in range(2)]
    turned = dict(reversed(list(FILTER.items())))
    assert said[0] == said[1] == await alice.ok("POST", filters(alice), json=turned)
    assert said[0] != await alice.ok("POST", filters(alice), json={})


async def test_many_at_once_have_each_their_own_id(alice: Client) -> None:
    wanted = [{"room": {"timeline": {"limit": n % 10 + 1}}} for n in range(30)]
    said = await asyncio.gather(*(alice.ok("POST", filters(alice), json=one) for one in wanted))
    assert len({one["filter_id"] for one in said}) == 10
    for one, answer in zip(wanted, said, strict=True):
        assert await alice.ok("GET", filters(alice, answer["filter_id"])) == one


async def test_filters_of_others_are_theirs(alice: Client, bob: Client) -> None:
    filter_id = (await alice.ok("POST", filters(alice), json=FILTER))["filter_id"]
    assert (await bob.post(filters(alice), FILTER))[0] == 403
    assert (await bob.get(filters(alice, filter_id)))[0] == 403
    assert (await bob.get(filters(bob, filter_id)))[0] == 404


@pytest.mark.parametrize("filter_id", ["1", "0", "-1", "x", "1" * 30, "%C2%B2"])
async def test_an_unknown_filter_is_not_found(alice: Client, filter_id: str) -> None:
    status, body = await alice.get(filters(alice, filter_id))
    assert (status, body["errcode"]) == (404, "M_NOT_FOUND")


@pytest.mark.parametrize(
    "nonsense",
    [
        [],
        {"room": 5},
        {"room": {"timeline": {"limit": "x"}}},
        {"event_fields": "x"},
        {"presence": {"types": [5]}},
        {"event_format": "x"},
    ],
)
async def test_what_is_no_filter_is_refused(alice: Client, nonsense: Any) -> None:
    status, body = await alice.post(filters(alice), nonsense)
    assert (status, body["errcode"]) == (400, "M_BAD_JSON")


async def test_sync_uses_a_kept_filter(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, "hello")
    wanted = {"room": {"timeline": {"types": ["m.room.message"]}, "state": {"types": []}}}
    filter_id = (await alice.ok("POST", filters(alice), json=wanted))["filter_id"]
    timeline = (await alice.sync(filter=filter_id))["rooms"]["join"][room_id]["timeline"]
    assert [event["type"] for event in timeline["events"]] == ["m.room.message"]
