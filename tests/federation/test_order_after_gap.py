"""Where the homeserver was not told of events, /sync is cut, and what is fetched later stands in the gap."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

import pytest

from protocol.events import Event
from services.rooms import event_rows
from services.rooms.event_rows import Gap
from services.rooms.receive import place
from services.rooms.receive.between import MAX_BETWEEN, MAX_ROUNDS
from tests.client_api.stored import path
from tests.federation.plays import join_through, public_room
from tests.federation.scene import Scene, set_the_scene
from tests.federation.telling import FEDERATION, Teller
from tests.federation.test_backfill import read_back
from tests.federation.test_forks import settled
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.sync.model import Model, assert_equal_rooms
from tests.sync.sliding_model import Sliding


class Absence:
    """A scene in which Eve's server has gone on without telling ours, again and again; it answers when it is asked."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.teller = Teller(scene)
        self.teller.between()
        self.teller.tells_history()
        self.said: list[Event] = []
        """All of Eve's, those that ours was not told of too."""

    @property
    def ids(self) -> list[str]:
        """The IDs of what Eve has said."""
        return [event.event_id for event in self.said]

    async def hears(self, *lost: Any, last: Any = ()) -> Event:
        """Ours is told of one event, that follows on others which it is not told of; each is (type, content, state key)."""
        view = await self.scene.now()
        for what in lost:
            self.said.append(self.scene.says(view, *what))
            view = self.teller.knows(view, self.said[-1])
        self.said.append(self.scene.says(view, *last))
        self.teller.knows(view, self.said[-1])
        await self.scene.sends(self.said[-1])
        await settled(self.scene.room_id, {self.ids[-1]}, self.scene.one)
        return self.said[-1]


LOST = ("m.room.message",)


async def absence(make_federated: MakeFederated, make_lying: MakeLying, version: str = "11") -> Absence:
    """A new one."""
    return Absence(await set_the_scene(make_federated, make_lying, version))


async def read_on(client: Client, room_id: str, start: str, limit: int = 20) -> list[str]:
    """The IDs of all events from a token on, the oldest first."""
    events: list[str] = []
    while True:
        page = await client.ok("GET", f"{path(room_id, 'messages')}?dir=f&limit={limit}&from={start}")
        events += [event["event_id"] for event in page["chunk"]]
        if "end" not in page:
            return events
        start = page["end"]


async def read_from(client: Client, room_id: str, start: str, limit: int = 20) -> list[str]:
    """The IDs of all events before a token, the newest first."""
    events: list[str] = []
    for _ in range(100):
        page = await client.ok("GET", f"{path(room_id, 'messages')}?dir=b&limit={limit}&from={start}")
        events += [event["event_id"] for event in page["chunk"]]
        if "end" not in page:
            return events
        start = page["end"]
    raise AssertionError("there is no end")


def ids_of(events: list[dict[str, Any]]) -> list[str]:
    """Their IDs."""
    return [event["event_id"] for event in events]


async def news(client: Client, room_id: str, since: str | None, **params: Any) -> dict[str, Any]:
    """The room's part of a sync."""
    room: dict[str, Any] = (await client.sync(since=since or "", **params))["rooms"]["join"][room_id]
    return room


def assert_order(shown: list[str], *expected: str) -> None:
    """These are shown once each, in this order, whatever stands between them."""
    assert len(set(shown)) == len(shown)
    assert [one for one in shown if one in expected] == list(expected)


@pytest.mark.parametrize("version", ["1", "10", "12"])
async def test_a_timeline_is_cut_at_a_gap_that_is_then_filled(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    away = await absence(make_federated, make_lying, version)
    alice, room_id = away.scene.alice, away.scene.room_id
    since = (await alice.sync())["next_batch"]
    before = await alice.send(room_id, "before")
    last = await away.hears(*[LOST] * 30)
    first = await alice.send(room_id, "after")
    alice.next_batch = None
    for asked in (since, None):
        room = await news(alice, room_id, asked)
        assert ids_of(room["timeline"]["events"]) == [last.event_id, first]
        assert room["timeline"]["limited"] is True
    expected = [*reversed(away.ids[:-1]), before]
    token = (await news(alice, room_id, since))["timeline"]["prev_batch"]
    assert (await read_from(alice, room_id, token))[:31] == expected
    assert ids_of(await read_back(alice, room_id))[:33] == [first, last.event_id, *expected]
    # Who was there before is told the same as at the time; who comes now, of no gap any more.
    assert ids_of((await news(alice, room_id, since))["timeline"]["events"]) == [last.event_id, first]
    whole = await news(alice, room_id, None, filter=json.dumps({"room": {"timeline": {"limit": 33}}}))
    assert ids_of(whole["timeline"]["events"]) == [*reversed(expected), last.event_id, first]


async def test_an_outage_longer_than_what_is_asked_for_at_once(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    away = await absence(make_federated, make_lying)
    scene, fetched = away.scene, MAX_ROUNDS * MAX_BETWEEN
    before = await scene.alice.send(scene.room_id, "before")
    since = (await scene.alice.sync())["next_batch"]
    view = await scene.now()
    for _ in range(fetched + 41):
        away.said.append(scene.says(view))
        view = away.teller.knows(view, away.said[-1])
    away.teller.tells_what_is_before()
    await scene.sends(away.said[-1])
    await settled(scene.room_id, {away.ids[-1]}, scene.one)
    room = await news(
        scene.alice, scene.room_id, since, filter=json.dumps({"room": {"timeline": {"limit": 120}}})
    )
    assert ids_of(room["timeline"]["events"]) == away.ids[-100:]
    assert room["timeline"]["limited"] is True
    start = room["timeline"]["prev_batch"]
    assert (await read_from(scene.alice, scene.room_id, start))[:42] == [*reversed(away.ids[:41]), before]


async def two_gaps(make_federated: MakeFederated, make_lying: MakeLying) -> tuple[Absence, list[str]]:
    """Two gaps, and all events from before the first on."""
    away = await absence(make_federated, make_lying)
    alice, room_id = away.scene.alice, away.scene.room_id
    events = [await alice.send(room_id, "before")]
    for _ in range(2):
        start = len(away.said)
        await away.hears(*[LOST] * 12)
        events += away.ids[start:]
        events.append(await alice.send(room_id, "between"))
    return away, events


@pytest.mark.parametrize("portion", [5, 100])
@pytest.mark.parametrize("limit", [4, 100])
async def test_two_gaps(
    make_federated: MakeFederated, make_lying: MakeLying, portion: int, limit: int
) -> None:
    away, events = await two_gaps(make_federated, make_lying)
    away.teller.tells_history(portion)
    alice, room_id = away.scene.alice, away.scene.room_id
    shown = ids_of(await read_back(alice, room_id, limit))
    assert shown[: len(events)] == list(reversed(events))
    assert len(set(shown)) == len(shown)
    assert ids_of(await read_back(alice, room_id, 7)) == shown


async def test_reading_on_through_gaps(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    away, events = await two_gaps(make_federated, make_lying)
    alice, room_id = away.scene.alice, away.scene.room_id
    around = await alice.ok("GET", f"{path(room_id, 'context', events[0])}?limit=50")
    # The context ends at the gap, from where one reads on.
    assert around["events_after"] == []
    assert await read_on(alice, room_id, around["end"], 5) == events[1:]
    around = await alice.ok("GET", f"{path(room_id, 'context', events[14])}?limit=20")
    assert ids_of(around["events_before"]) == list(reversed(events[4:14]))
    assert ids_of(around["events_after"]) == events[15:25]
    assert (await read_from(alice, room_id, around["start"]))[:4] == list(reversed(events[:4]))


async def test_who_has_read_a_part_reads_on_and_misses_nothing(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    away, events = await two_gaps(make_federated, make_lying)
    away.teller.tells_history(5)
    alice, room_id = away.scene.alice, away.scene.room_id
    page = await alice.ok("GET", f"{path(room_id, 'messages')}?dir=b&limit=5")
    shown, start = ids_of(page["chunk"]), page["end"]
    bob = await away.scene.one.user("bob")
    await bob.join(room_id)
    whole = ids_of(await read_back(bob, room_id))
    assert shown + await read_from(alice, room_id, start) == whole[1:]
    around = await alice.ok("GET", f"{path(room_id, 'context', events[-1])}?limit=2")
    assert await read_from(alice, room_id, around["start"]) == whole[2 + 1 :]


async def test_where_nobody_answers_the_reader_goes_on_beyond_the_gap(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    away, events = await two_gaps(make_federated, make_lying)
    alice, room_id = away.scene.alice, away.scene.room_id
    away.scene.liar.on("GET", f"{FEDERATION}/backfill/", lambda _: (500, {"errcode": "M_UNKNOWN"}))
    known = [events[0], events[13], events[14], events[27], events[28]]
    assert_order(list(reversed(ids_of(await read_back(alice, room_id)))), *known)
    around = await alice.ok("GET", f"{path(room_id, 'context', events[0])}?limit=50")
    assert await read_on(alice, room_id, around["end"]) == known[1:]


async def test_a_gap_longer_than_the_room_there_is(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "IN_THE_MIDDLE", Gap(reserved=10))
    away = await absence(make_federated, make_lying)
    alice, room_id = away.scene.alice, away.scene.room_id
    before = await alice.send(room_id, "before")
    await away.hears(*[LOST] * 15)
    shown = list(reversed(ids_of(await read_back(alice, room_id))))
    assert event_rows.IN_THE_MIDDLE.reserved > 10
    assert_order(shown, before, *away.ids[5:])


async def test_what_comes_by_itself_later_is_not_shown_twice(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    away = await absence(make_federated, make_lying)
    alice, room_id = away.scene.alice, away.scene.room_id
    before = await alice.send(room_id, "before")
    await away.hears(*[LOST] * 5)
    since = (await alice.sync())["next_batch"]
    await away.scene.sends(*away.said[2:4])  # the gap is closed from this side, in part
    assert ids_of((await news(alice, room_id, since))["timeline"]["events"]) == away.ids[2:4]
    shown = list(reversed(ids_of(await read_back(alice, room_id))))
    assert_order(shown, before, *away.ids[:2])
    assert_order(shown, *away.ids[2:4])
    assert set(away.ids) <= set(shown)
    await away.scene.sends(*away.said)
    assert list(reversed(ids_of(await read_back(alice, room_id)))) == shown
    assert "join" not in (await alice.sync()).get("rooms", {})


async def test_what_was_missed_is_neither_news_nor_unread(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    away = await absence(make_federated, make_lying)
    alice, room_id = away.scene.alice, away.scene.room_id
    await alice.send(room_id, "before")
    await away.scene.sends(away.scene.says(await away.scene.now()))
    await away.hears(*[LOST] * 5)
    await alice.sync()
    token = alice.next_batch

    async def unread() -> int:
        alice.next_batch = None
        room = await news(alice, room_id, None)
        return int(room["unread_notifications"]["notification_count"])

    assert await unread() == 2
    await read_back(alice, room_id)
    assert await unread() == 2
    assert "join" not in (await alice.sync(since=token)).get("rooms", {})
    await alice.ok("POST", path(room_id, "receipt", "m.read", away.ids[2]), json={})
    assert await unread() == 1
    await alice.ok("POST", path(room_id, "receipt", "m.read", away.ids[-1]), json={})
    assert await unread() == 0


async def test_the_state_at_the_cut(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    away = await absence(make_federated, make_lying)
    alice, room_id, eve = away.scene.alice, away.scene.room_id, away.scene.eve
    since = (await alice.sync())["next_batch"]
    await away.hears(*(("m.room.member", {"membership": "join", "displayname": f"{n}"}, eve) for n in (1, 2)))
    for _ in range(2):
        room = await news(alice, room_id, since)
        assert [event["content"]["displayname"] for event in room["state"]["events"]] == ["2"]
        await read_back(alice, room_id)
    whole = await news(alice, room_id, None)
    assert away.ids == ids_of(whole["timeline"]["events"])[-3:]
    assert not [event for event in whole["state"]["events"] if event["state_key"] == eve]


async def test_what_lost_against_a_state_that_came_before_it_does_not_seem_to_have_won(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    away = await absence(make_federated, make_lying)
    scene, alice, room_id, eve = away.scene, away.scene.alice, away.scene.room_id, away.scene.eve
    member = "m.room.member"
    lost = scene.says(scene.view, member, {"membership": "join", "displayname": "lost"}, eve)
    branch = away.teller.knows(scene.view, lost)
    won = scene.says(scene.view, member, {"membership": "join", "displayname": "won"}, eve)
    last = scene.says(branch)
    away.teller.knows(branch, last)
    await scene.sends(won)
    since = (await alice.sync())["next_batch"]
    await scene.sends(last)
    assert (await alice.state(room_id, member, eve))["displayname"] == "won"
    assert ids_of(await read_back(alice, room_id))[:3] == [last.event_id, lost.event_id, won.event_id]
    for asked in (since, None):
        room = await news(alice, room_id, asked)
        assert ids_of(room["timeline"]["events"]) == [last.event_id]
        assert room["timeline"]["limited"] is True
    known = {(e["type"], e["state_key"]): e["event_id"] for e in room["state"]["events"]}
    assert known[member, eve] == won.event_id


async def test_a_gap_is_told_of_where_the_event_behind_it_is_not(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    away = await absence(make_federated, make_lying)
    alice, room_id = away.scene.alice, away.scene.room_id
    since = (await alice.sync())["next_batch"]
    before = await alice.send(room_id, "before")
    member = ("m.room.member", {"membership": "join", "displayname": "Eve"}, away.scene.eve)
    await away.hears(*[LOST] * 3, last=member)
    params = {"filter": json.dumps({"room": {"timeline": {"types": ["m.room.message"]}}})}
    for _ in range(2):  # from memory, and from the database
        room = await news(alice, room_id, since, **params)
        assert room["timeline"]["events"] == []
        assert room["timeline"]["limited"] is True
        away.scene.one.tenant.listeners.reset(away.scene.one.tenant.feed.position)
    shown = await read_from(alice, room_id, room["timeline"]["prev_batch"])
    assert_order(shown, *reversed([before, *away.ids]))


async def test_sliding_sync_is_cut_too(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    away = await absence(make_federated, make_lying)
    alice, room_id = away.scene.alice, away.scene.room_id
    lists = {"all": {"ranges": [[0, 9]], "timeline_limit": 20, "required_state": []}}
    sliding = Sliding(alice, {"lists": lists})
    await sliding.goes_on()
    before = await alice.send(room_id, "before")
    last = await away.hears(*[LOST] * 4)
    for asking in (sliding, Sliding(await alice.log_in(), {"lists": lists})):
        room = (await asking.goes_on())["rooms"][room_id]
        assert ids_of(room["timeline"]) == [last.event_id]
        assert room["limited"] is True
    expected = [*reversed(away.ids[:-1]), before]
    assert (await read_from(alice, room_id, room["prev_batch"]))[:5] == expected
    assert (await sliding.goes_on())["rooms"] == {}
    room = (await Sliding(await alice.log_in(), {"lists": lists}).goes_on())["rooms"][room_id]
    assert ids_of(room["timeline"])[-6:] == [before, *away.ids]
    assert room["num_live"] == 0


@pytest.mark.parametrize("version", ["1", "11", "12"])
async def test_a_user_who_comes_back_reads_what_was_missed(
    make_federated: MakeFederated, version: str
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice, version)
    await join_through(bob, room_id, one)
    events = [await bob.send(room_id, "hello")]
    await settled(room_id, {events[0]}, one)
    since = (await bob.sync())["next_batch"]
    await bob.leave(room_id)
    async with asyncio.timeout(60):
        while (await alice.ok("GET", path(room_id, "joined_members")))["joined"].keys() != {alice.user_id}:
            await asyncio.sleep(0.05)
    events += [await alice.send(room_id, f"{number}") for number in range(30)]
    await join_through(bob, room_id, one)
    events.append(await alice.send(room_id, "back"))
    await settled(room_id, {events[-1]}, two)
    room = await news(bob, room_id, since)
    assert room["timeline"]["limited"] is True
    shown = ids_of(room["timeline"]["events"])
    assert not set(shown) & set(events[:-1])
    before = await read_from(bob, room_id, room["timeline"]["prev_batch"])
    assert_order([*reversed(before), *shown], *events)
    assert ids_of(await read_back(bob, room_id)) == ids_of(await read_back(alice, room_id))


async def test_two_processes_fill_one_gap(
    make_federated: MakeFederated, make_lying: MakeLying, redis_url: str
) -> None:
    one = await make_federated(redis_url=redis_url)
    makes = iter([one])

    async def make(**_: Any) -> Any:
        return next(makes)

    scene = await set_the_scene(make, make_lying)
    beside = await make_federated(redis_url=redis_url, beside=one)
    away = Absence(scene)
    alice, room_id = scene.alice, scene.room_id
    there = await alice.log_in()
    there.session, there.url = beside.session, beside.url
    before = await alice.send(room_id, "before")
    await away.hears(*[LOST] * 40)
    await there.sync()
    after = await alice.send(room_id, "after")
    await there.sync_until(lambda said: after in str(said))
    assert beside.tenant.tails.peek(room_id, -1, beside.tenant.feed.position, 1) is not None
    away.teller.tells_history(15)
    shown = await asyncio.gather(read_back(alice, room_id), read_back(there, room_id))
    for events in shown:
        assert ids_of(events)[:43] == [after, *reversed(away.ids), before]
    # What the other process had in memory is not whole any more, and forgotten.
    async with asyncio.timeout(60):
        while beside.tenant.feed.position < one.tenant.feed.position:
            await asyncio.sleep(0.05)
    for server in (one, beside):
        page = await server.tenant.tails.read(room_id, -1, server.tenant.feed.position, 43)
        assert [event.event_id for event in page.events] == [before, *away.ids, after]


@pytest.mark.parametrize("seed", range(4))
async def test_applying_news_gives_what_a_first_sync_gives(
    make_federated: MakeFederated, make_lying: MakeLying, seed: int
) -> None:
    random = Random(seed)
    away = await absence(make_federated, make_lying)
    alice, room_id, eve = away.scene.alice, away.scene.room_id, away.scene.eve
    mine, number = Model(), 0

    def name() -> Any:
        nonlocal number
        number += 1
        return "m.room.member", {"membership": "join", "displayname": f"{number}"}, eve

    def says() -> Any:
        return random.choice((LOST, LOST, name()))

    params: dict[str, Any] = {"filter": json.dumps({"room": {"timeline": {"limit": 8}}})}
    since: str | None = None
    for _ in range(12):
        for _ in range(random.randint(1, 3)):
            match random.randint(0, 3):
                case 0:
                    await alice.send(room_id, "x")
                case 1:
                    await away.hears(last=says())
                case 2:
                    await away.hears(*(says() for _ in range(random.randint(1, 6))), last=says())
                case 3:
                    await alice.messages(room_id, dir="b", limit=random.randint(1, 12))
        if random.random() < 0.3:
            away.scene.one.tenant.listeners.reset(away.scene.one.tenant.feed.position)
        said = await alice.sync(since=since or "", **params)
        mine.apply(said)
        since, whole = said["next_batch"], Model()
        alice.next_batch = None
        whole.apply(await alice.sync(since="", **params))
        assert_equal_rooms(mine.joined[room_id], whole.joined[room_id], lazy=False, limit=8)
