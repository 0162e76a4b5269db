"""Reading only what differs gives what state resolution over everything gives."""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random

import pytest

from protocol.auth.needed import needed_for
from protocol.errors import Rejected
from protocol.events import CREATE, JOIN_RULES, POWER_LEVELS, Event, StateKey
from protocol.ids import EventID, RoomID, UserID
from protocol.room_versions import RoomVersion, version_named
from protocol.state_res import resolve
from protocol.state_res.conflicts import auth_difference_of, conflicted_subgraph, separate
from services.observations import Observation
from services.rooms.observations import StateLost, StateResolved, tell_lost_state
from services.rooms.receive_state import StateBefore, StateUnknown, merged, state_before
from services.rooms.resolve_branches import Branches, Changes
from services.tenant import Tenant
from storage.database import Database
from storage.events import Standing
from storage.state import Snapshot, state_ids_at
from tests.protocol.rooms import ALICE, BOB, CAROL, Room, foreign
from tests.services.process import process
from tests.services.stored_rooms import StoredRoom

USERS = (ALICE, BOB, CAROL, UserID("@dave:three"), UserID("@erin:three"))
ROOMS = int(os.environ.get("RESOLUTION_SEEDS", "12"))
_EMPTY = "TRUNCATE rooms, events, auth_chains, state_snapshots, state_layers"
TOPIC = ("m.room.topic", "")
States = list[tuple[Snapshot, Changes]]


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await process(database)


class Branching:
    """A room that grows at random in several places at once, stored as it grows."""

    def __init__(self, tenant: Tenant, version: RoomVersion, seed: int) -> None:
        self.chance = Random(seed)
        self.tenant = tenant
        room = Room.opened(version, *USERS[1:])
        self.stored = StoredRoom(tenant, room.create)
        self.tips = [room]
        self.rejected: set[EventID] = set()
        self.past: list[dict[StateKey, Event]] = []

    async def begin(self) -> None:
        async with self.tenant.database.transaction() as tx:
            await tx.execute(_EMPTY)
        room, state = self.tips[0], dict[StateKey, EventID]()
        for event in room.events.values():
            state[event.key] = event.event_id
            await self.stored.add(event, state)

    async def step(self) -> None:
        room = self.chance.choice(self.tips)
        if self.chance.random() < 0.12 and len(self.tips) < 4:
            self.tips.append(room.fork())
        elif self.chance.random() < 0.08 and len(self.tips) > 2:
            self.tips.remove(room)
        self.past.append(dict(room.state))
        try:
            event = self._lie(room) if self.chance.random() < 0.15 else self._act(room)
        except Rejected:
            return
        standing = Standing.TIMELINE
        if self.chance.random() < 0.05:
            standing = Standing.REJECTED
            self.rejected.add(event.event_id)
        await self.stored.add(event, room.state_ids, standing)

    def _act(self, room: Room) -> Event:
        return room.accept(room.draft(*self._anything(room)))

    def _lie(self, room: Room) -> Event:
        """Something that rests on what was once so, whether that allows it or not."""
        sender, event_type, content, state_key = self._anything(room)
        then = self.chance.choice(self.past)
        needed = sorted(needed_for(room.version, event_type, sender, state_key, content))
        named = [then[key] for key in needed if key in then]
        pairs = room.version.event_format.name == "PAIRS"
        auth = [[event.event_id, {"sha256": ""}] if pairs else event.event_id for event in named]
        return room.append(foreign(room, sender, event_type, content, state_key, auth_events=auth))

    def _anything(self, room: Room) -> tuple[str, str, dict[str, object], str]:
        chance = self.chance
        sender, target = chance.choice((ALICE, *USERS)), chance.choice(USERS[1:])
        match chance.randrange(7):
            case 0 | 1:
                key = chance.choice(("m.room.topic", "m.room.name"))
                return sender, key, {"value": chance.random().hex()}, ""
            case 2:
                users: dict[str, int] = {} if room.version.creator_power else {ALICE: 100}
                users |= {user: chance.choice((0, 50, 100)) for user in USERS[1:]}
                return sender, "m.room.power_levels", {"users": users}, ""
            case 3:
                rule = chance.choice(("public", "public", "public", "invite"))
                return ALICE, "m.room.join_rules", {"join_rule": rule, "n": chance.random().hex()}, ""
            case 4 | 5:
                return sender, "m.room.member", {"membership": "join", "n": chance.random().hex()}, sender
            case _:
                membership = chance.choice(("leave", "leave", "ban", "invite"))
                return sender, "m.room.member", {"membership": membership}, target

    def latest(self) -> list[EventID]:
        return [room.latest.event_id for room in self.tips if room.latest is not None]

    def expected(self, prev_events: list[EventID]) -> dict[StateKey, EventID]:
        room = self.tips[0]
        sets = [self.stored.state_after(event_id) for event_id in prev_events]
        return resolve(room.version, sets, room.events, self.rejected)


async def _state(tenant: Tenant, found: StateBefore) -> dict[StateKey, EventID]:
    async with tenant.database.read() as tx:
        state = {**await state_ids_at(tx, found.base.snapshot), **found.changes}
    return {key: event_id for key, event_id in state.items() if event_id is not None}


@pytest.mark.parametrize("version", ["1", "2", "6", "10", "11", "12"])
async def test_what_is_read_decides_as_everything_would(tenant: Tenant, version: str) -> None:
    conflicts = 0
    for seed in range(ROOMS):
        branching = Branching(tenant, version_named(version), seed)
        await branching.begin()
        for _ in range(4):
            for _ in range(branching.chance.randrange(5, 50)):
                await branching.step()
            await branching.stored.write()
            known = list(branching.stored.known())
            older = branching.chance.sample(known, 2)
            for prev_events in (branching.latest(), older):
                found = await state_before(tenant, version_named(version), prev_events)
                expected = branching.expected(prev_events)
                assert await _state(tenant, found) == expected, (seed, prev_events)
                conflicts += expected not in map(branching.stored.state_after, prev_events)
    assert conflicts >= ROOMS


@pytest.mark.parametrize("version", ["2", "11", "12"])
async def test_what_has_a_say_is_what_the_definitions_name(tenant: Tenant, version: str) -> None:
    old_ones = 0
    for seed in range(ROOMS):
        branching = Branching(tenant, version_named(version), seed + 1000)
        await branching.begin()
        for _ in range(80):
            await branching.step()
        await branching.stored.write()
        events = branching.tips[0].events
        known = list(branching.stored.known())
        for _ in range(6):
            prev_events = branching.chance.sample(known, branching.chance.choice((2, 2, 3)))
            sets = [branching.stored.state_after(event_id) for event_id in prev_events]
            unconflicted, conflicted = separate(sets)
            if not conflicted:
                continue
            async with tenant.database.snapshot() as tx:
                states: States = [(branching.stored.snapshot_after(e), {}) for e in prev_events]
                branches = await Branches.read(tx, version_named(version), states, {})
                question = await branches.question(tx)
            expected = auth_difference_of(sets, unconflicted, events)
            old_ones += bool(expected - conflicted)
            if version == "12":
                expected |= conflicted_subgraph(conflicted, events)
            assert question.auth_difference - conflicted == expected - conflicted
    assert old_ones


@pytest.mark.parametrize("event_type", ["m.room.join_rules", "m.room.power_levels"])
async def test_what_was_replaced_long_ago_is_common_if_something_common_rests_on_it(
    tenant: Tenant, event_type: str
) -> None:
    branching = Branching(tenant, version_named("11"), 1)
    await branching.begin()
    room = branching.tips[0]
    old = room.state[event_type, ""]
    replaced = room.put(ALICE, event_type, {**old.content, "n": 1}, "")
    await branching.stored.add(replaced, room.state_ids)
    other = room.fork()
    needed = [room.state[key] for key in ((CREATE, ""), (POWER_LEVELS, ""), (JOIN_RULES, ""))]
    auth = [old.event_id if event is replaced else event.event_id for event in needed]
    frank = "@frank:four"
    late = room.append(foreign(room, frank, "m.room.member", {"membership": "join"}, frank, auth_events=auth))
    await branching.stored.add(late, room.state_ids)
    says = other.says(ALICE, "something else")
    await branching.stored.add(says, other.state_ids)
    await branching.stored.write()

    async with tenant.database.snapshot() as tx:
        states: States = [(branching.stored.snapshot_after(e.event_id), {}) for e in (late, says)]
        branches = await Branches.read(tx, room.version, states, {})
        question = await branches.question(tx)

    assert question.auth_difference <= {late.event_id}


async def test_a_branch_that_is_not_stored_yet(tenant: Tenant) -> None:
    for seed in range(ROOMS):
        branching = Branching(tenant, version_named("11"), seed)
        await branching.begin()
        for _ in range(30):
            await branching.step()
        await branching.stored.write()
        room = branching.tips[0]
        other = room.fork()
        mine = room.append(room.draft(ALICE, "m.room.topic", {"topic": "mine"}, ""))
        await branching.stored.add(mine, room.state_ids)
        await branching.stored.write()
        fresh = other.append(other.draft(ALICE, "m.room.topic", {"topic": "other"}, ""))
        head = StateBefore(branching.stored.snapshot_after(mine.event_id))
        before = await state_before(tenant, room.version, fresh.prev_events)
        after = StateBefore(before.base, {**before.changes, fresh.key: fresh.event_id})

        found = await merged(tenant, room.version, [head, after], [fresh])

        expected = resolve(room.version, [room.state_ids, other.state_ids], room.events, branching.rejected)
        assert await _state(tenant, found) == expected
        assert found.base == head.base
        assert found.changes.keys() <= {TOPIC}


async def test_what_the_auth_chains_lack_is_said_to_be_missing(tenant: Tenant) -> None:
    branching = Branching(tenant, version_named("11"), 1)
    await branching.begin()
    await branching.stored.write()
    left = branching.tips[0]
    right = left.fork()
    for room in (left, right):
        await branching.stored.add(
            room.put(ALICE, "m.room.topic", {"topic": str(room is left)}, ""), room.state_ids
        )
    await branching.stored.write()
    async with tenant.database.transaction() as tx:
        await tx.execute("DELETE FROM auth_chains WHERE event_id = $1", left.create.event_id)
        await tx.execute("DELETE FROM events WHERE event_id = $1", left.create.event_id)
    assert left.latest is not None
    assert right.latest is not None

    with pytest.raises(StateUnknown):
        await state_before(tenant, left.version, [left.latest.event_id, right.latest.event_id])


async def test_a_large_room_is_not_read(tenant: Tenant) -> None:
    told: list[Observation] = []
    tenant = replace(tenant, observe=told.append)
    branching = Branching(tenant, version_named("11"), 1)
    await branching.begin()
    room = branching.tips[0]
    for number in range(300):
        await branching.stored.add_plain(room.member(f"@user{number}:two", "join"))
    other = room.fork()
    last = room.put(ALICE, "m.room.topic", {"topic": "one"}, "")
    others = other.put(ALICE, "m.room.topic", {"topic": "another"}, "")
    for event in (last, others):
        await branching.stored.add_plain(event)
    await branching.stored.write()
    before = tenant.database.statements_run

    found = await state_before(tenant, room.version, [last.event_id, others.event_id])

    assert found.changes == {TOPIC: others.event_id}
    assert tenant.database.statements_run - before <= 12
    assert told == [StateResolved(room.create.room_id, 1, 5)]  # two topics, and what they rest on
    assert str(told[0])


def test_state_that_is_lost_without_an_event_is_told_of(tenant: Tenant) -> None:
    told: list[Observation] = []
    room_id = RoomID("!room:one")

    tell_lost_state(replace(tenant, observe=told.append), room_id, {TOPIC: None, (CREATE, ""): EventID("$e")})

    assert told == [StateLost(room_id, TOPIC)]
    assert "m.room.topic" in str(told[0])
