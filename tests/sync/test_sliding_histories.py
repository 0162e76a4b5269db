"""A client that applies what sliding sync tells it ends where a fresh connection begins: over random histories."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver
from tests.sync.history import History
from tests.sync.sliding_model import Key, Room, Sliding

STEPS = 150
USERS = ("alice", "bob", "carol")
LAZY = [["m.room.member", "$LAZY"], ["m.room.member", "$ME"], ["*", "*"]]
ALL = [["*", "*"]]
SOME = [["m.room.name", ""], ["org.example.thing", "*"], ["m.room.member", "$ME"], ["m.room.create", ""]]
EXTENSIONS = {name: {"enabled": True} for name in ("account_data", "receipts", "typing", "to_device", "e2ee")}


def _body(state: list[Any], limit: int, last: int) -> dict[str, Any]:
    one = {"timeline_limit": limit, "required_state": state, "ranges": [[0, last]]}
    return {"lists": {"rooms": one}, "extensions": copy.deepcopy(EXTENSIONS), "conn_id": "main"}


async def _watchers(clients: list[Client]) -> list[Sliding]:
    return [
        Sliding(await clients[0].log_in(), _body(ALL, 10, 50)),
        Sliding(await clients[0].log_in(), _body(LAZY, 3, 50)),
        Sliding(await clients[1].log_in(), _body(SOME, 1, 1)),
        Sliding(await clients[1].log_in(), _body(LAZY, 20, 0)),
        Sliding(await clients[2].log_in(), _body(ALL, 2, 50)),
        Sliding(await clients[2].log_in(), _body(LAZY, 4, 2)),
    ]


def _turns(history: History, watcher: Sliding) -> None:
    """The client looks at something else: another window, more or less of each room, one room in detail."""
    random = history.random
    one = watcher.body["lists"]["rooms"]
    watcher.body["lists"]["rooms"] = one | {
        "ranges": [[0, random.choice((0, 1, 2, 50))]],
        "timeline_limit": random.choice((0, 1, 3, 10)),
    }
    opened = [random.choice(history.rooms)] if history.rooms and random.random() < 0.6 else []
    detail = {"timeline_limit": random.choice((1, 20)), "required_state": random.choice((ALL, LAZY))}
    watcher.body["room_subscriptions"] = dict.fromkeys(opened, detail)


async def _check(watcher: Sliding) -> None:
    """Opens the window as far as it goes, and holds what the client has then to a fresh connection."""
    narrow = watcher.body["lists"]["rooms"]
    watcher.body.pop("room_subscriptions", None)
    watcher.body["lists"]["rooms"] = narrow | {"ranges": [[0, 99]]}
    await watcher.goes_on()
    fresh = Sliding(watcher.client, copy.deepcopy(watcher.body) | {"conn_id": "fresh"})
    await fresh.goes_on()
    assert watcher.lists == fresh.lists
    assert watcher.account_data == fresh.account_data
    assert watcher.one_time_keys == fresh.one_time_keys
    over = {id: room for id, room in watcher.rooms.items() if id not in fresh.rooms}
    for room_id, room in over.items():
        assert room.membership in ("leave", "ban"), room_id
    for room_id, theirs in fresh.rooms.items():
        _assert_equal(watcher, room_id, theirs)
    watcher.body["lists"]["rooms"] = narrow


def _asks_for(watcher: Sliding, is_lazy: bool, key: Key) -> bool:
    """Does the list, lazy loading apart, ask for what stands under the key? (What it does not, a subscription once did.)"""
    if is_lazy and key[0] == "m.room.member":
        return key[1] == watcher.client.user_id
    pairs = watcher.body["lists"]["rooms"]["required_state"]
    return any(type in ("*", key[0]) and state_key in ("*", key[1]) for type, state_key in pairs)


def _assert_equal(watcher: Sliding, room_id: str, theirs: Room) -> None:
    ours, is_lazy = watcher.rooms[room_id], watcher.is_lazy(room_id)
    assert ours.invite_state == theirs.invite_state
    assert ours.fields["bump_stamp"] == theirs.fields["bump_stamp"]
    common = min(len(ours.timeline), len(theirs.timeline))
    assert common or not theirs.timeline
    assert ours.timeline[len(ours.timeline) - common :] == theirs.timeline[len(theirs.timeline) - common :]
    for key, event_id in theirs.state.items():
        assert ours.state.get(key) == event_id, key
    assert not [key for key in ours.state if key not in theirs.state and _asks_for(watcher, is_lazy, key)]
    if theirs.membership != "join":
        return
    assert _shown(ours) == _shown(theirs)
    if is_lazy:
        for event_id in ours.timeline:
            assert ("m.room.member", ours.senders[event_id]) in ours.state
    assert ours.counts == theirs.counts
    assert ours.account_data == theirs.account_data
    for key, event_id in theirs.receipts.items():
        assert ours.receipts.get(key) == event_id
    assert ours.typing == theirs.typing


def _shown(room: Room) -> dict[str, Any]:
    return {name: value for name, value in room.fields.items() if value not in (None, False)}


def _forget_what_is_in_memory(homeserver: Homeserver) -> None:
    tenant = homeserver.tenant
    for cache in (tenant.tails, tenant.listeners):
        cache.reset(tenant.feed.position)


@pytest.mark.parametrize("seed", [200, 201, 301, 302, 312, 411])
async def test_what_was_applied_is_what_a_fresh_connection_says(homeserver: Homeserver, seed: int) -> None:
    clients = [await homeserver.user(name) for name in USERS]
    watchers = await _watchers(clients)
    history = History(seed, clients)
    for number in range(STEPS):
        await history.step()
        for watcher in watchers:
            chance = history.random.random()
            if number >= STEPS // 2 and history.random.random() < 0.1:
                _turns(history, watcher)
            if chance < 0.25:
                await watcher.goes_on()
            elif chance < 0.3 and watcher.pos is not None:
                await watcher.ask()  # the answer is lost
        if history.random.random() < 0.05:
            _forget_what_is_in_memory(homeserver)
        if number % 25 == 24:
            for watcher in watchers:
                await _check(watcher)
