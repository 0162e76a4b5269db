"""Delayed events (MSC4140): sent when their time has come, whatever happens to the server meanwhile, or not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeserver.life import alive
from services.settings import DelayedEvents
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock

BASE = "/_matrix/client/unstable/org.matrix.msc4140"
ALL = f"{BASE}/delayed_events"
DELAY = "org.matrix.msc4140.delay"


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands until it is moved."""
    return FakeClock()


@pytest.fixture
async def homeserver(make_homeserver: MakeHomeserver, clock: FakeClock) -> Homeserver:
    """One whose clock is the test's."""
    limits = DelayedEvents(max_delay=60_000, max_scheduled=5)
    return await make_homeserver(clock=clock, delayed_events=limits)


async def delayed_state(user: Client, room: str, delay: int, key: str = "", **content: Any) -> str:
    """Leaves a state event; the delay's ID."""
    params = {DELAY: delay}
    reply = await user.ok("PUT", f"rooms/{room}/state/m.test/{key}", params=params, json=content)
    return str(reply["delay_id"])


async def waiting(user: Client) -> list[str]:
    """The IDs of those that wait."""
    return [event["delay_id"] for event in (await user.ok("GET", ALL))["delayed_events"]]


async def outcome(user: Client, delay_id: str) -> dict[str, Any]:
    """What became of it, once something has."""
    async with asyncio.timeout(10):
        while True:
            event = await user.ok("GET", f"{ALL}/{delay_id}")
            if "finalised" in event:
                return dict(event["finalised"])
            await asyncio.sleep(0.01)


async def test_messages_are_sent_in_order_when_their_time_has_come(alice: Client, clock: FakeClock) -> None:
    room = await alice.create_room()
    await alice.sync()
    for number, delay in enumerate((300, 100, 200)):
        path = f"rooms/{room}/send/m.test/d{number}"
        said = await alice.ok("PUT", path, params={DELAY: delay}, json={"n": delay})
        again = await alice.ok("PUT", path, params={DELAY: delay})
        assert again == said, "the transaction ID counts, even without a body"
    [first, *_] = (await alice.ok("GET", ALL))["delayed_events"]
    assert (first["room_id"], first["type"], first["content"]) == (room, "m.test", {"n": 100})
    assert (first["delay_ms"], first["delayed_since_ts"]) == (100, clock.now())
    assert "state_key" not in first
    clock.advance(299)
    for delay_id in (await waiting(alice))[:2]:
        await outcome(alice, delay_id)
    clock.advance(1)
    [last] = await waiting(alice)
    await outcome(alice, last)
    timeline = (await alice.sync())["rooms"]["join"][room]["timeline"]["events"]
    assert [event["content"]["n"] for event in timeline] == [100, 200, 300]
    assert timeline[0]["unsigned"]["transaction_id"] == "d1"
    assert await waiting(alice) == []


async def test_a_delayed_event_is_sent_restarted_or_cancelled_by_whoever_knows_its_id(
    homeserver: Homeserver, alice: Client, bob: Client, clock: FakeClock
) -> None:
    room = await alice.create_room()
    nobody = homeserver.nobody()
    sent, kept, dropped = [await delayed_state(alice, room, 1000, key) for key in ("a", "b", "c")]
    assert await waiting(bob) == []
    for action in ("send", "restart", "cancel"):
        assert (await bob.post(f"{ALL}/{sent}/{action}"))[0] == 404, "who says who they are must be its owner"
        assert (await nobody.post(f"{ALL}/unknown/{action}"))[0] == 404
    assert (await nobody.get(ALL))[0] == 401
    assert await nobody.post(f"{ALL}/{sent}/send") == (200, {})
    await alice.state(room, "m.test", "a")
    clock.advance(600)
    assert await nobody.post(f"{ALL}/{kept}/restart") == (200, {})
    assert await alice.post(f"{ALL}/{dropped}", {"action": "cancel"}) == (200, {})
    clock.advance(600)
    assert await waiting(alice) == [kept]
    clock.advance(400)
    assert "event_id" in await outcome(alice, kept)
    assert (await alice.get(f"rooms/{room}/state/m.test/c"))[0] == 404
    assert set(await outcome(alice, dropped)) == {"finalised_ts"}


async def test_the_same_again_succeeds_and_another_outcome_is_a_conflict(alice: Client) -> None:
    room = await alice.create_room()
    sent, dropped = await delayed_state(alice, room, 1000), await delayed_state(alice, room, 1000, "b")
    for _ in range(2):
        assert (await alice.post(f"{ALL}/{sent}/send"))[0] == 200
        assert (await alice.post(f"{ALL}/{dropped}/cancel"))[0] == 200
    for delay_id, action in ((sent, "cancel"), (sent, "restart"), (dropped, "send"), (dropped, "restart")):
        status, said = await alice.post(f"{ALL}/{delay_id}/{action}")
        assert (status, said["errcode"]) == (409, "M_NOT_FOUND")
    status, said = await alice.post(f"{ALL}/{sent}", {"action": "oops"})
    assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")
    assert (await alice.post(f"{ALL}/{sent}"))[1]["errcode"] == "M_MISSING_PARAM"
    assert (await alice.post(f"{ALL}/{sent}/oops"))[0] == 404


async def test_state_that_somebody_else_has_set_is_not_overwritten(
    alice: Client, bob: Client, clock: FakeClock
) -> None:
    room = await alice.create_room(
        preset="public_chat", power_level_content_override={"events": {"m.test": 0}}
    )
    await bob.join(room)
    own, others = await delayed_state(alice, room, 1000, "a"), await delayed_state(alice, room, 1000, "b")
    await alice.set_state(room, "m.test", {"by": "alice"}, "a")
    await bob.set_state(room, "m.test", {"by": "bob"}, "b")
    assert await waiting(alice) == [own]
    assert (await outcome(alice, others))["error"]["errcode"] == "M_UNKNOWN"
    clock.advance(1000)
    await outcome(alice, own)
    assert await alice.state(room, "m.test", "a") == {}
    assert await alice.state(room, "m.test", "b") == {"by": "bob"}


async def test_what_is_allowed_is_asked_when_it_is_sent(alice: Client, bob: Client, clock: FakeClock) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    message = await bob.ok("PUT", f"rooms/{room}/send/m.test/1", params={DELAY: 1000}, json={})
    await bob.leave(room)
    clock.advance(1000)
    ended = await outcome(bob, message["delay_id"])
    assert ended["error"]["errcode"] == "M_FORBIDDEN"
    other = await bob.ok("PUT", f"rooms/{room}/send/m.test/2", params={DELAY: 1000}, json={})
    assert (await bob.post(f"{ALL}/{other['delay_id']}/send"))[0] == 403


async def test_the_newer_form(alice: Client, clock: FakeClock) -> None:
    room = await alice.create_room()
    path = f"{BASE}/rooms/{room}/delayed_event/m.test/1"
    body = {"delay_ms": 500, "state_key": "k", "content": {"a": 1}}
    said = await alice.ok("PUT", path, json=body)
    assert await alice.ok("PUT", path, json=body) == said
    assert [event["state_key"] for event in (await alice.ok("GET", ALL))["delayed_events"]] == ["k"]
    clock.advance(500)
    await outcome(alice, said["delay_id"])
    assert await alice.state(room, "m.test", "k") == {"a": 1}


async def test_limits(alice: Client) -> None:
    room = await alice.create_room()
    status, said = await alice.put(f"rooms/{room}/state/m.test/", params={DELAY: 60_001})
    assert (status, said["errcode"]) == (400, "M_UNKNOWN")
    assert said["org.matrix.msc4140.errcode"] == "M_MAX_DELAY_EXCEEDED"
    assert said["org.matrix.msc4140.max_delay"] == 60_000
    assert (await alice.put(f"rooms/{room}/state/m.test/", params={DELAY: -1}))[0] == 400
    status, said = await alice.put(f"rooms/{room}/state/m.test/", {"a": "x" * 65_537}, params={DELAY: 1})
    assert (status, said["errcode"]) == (413, "M_TOO_LARGE")
    first = await delayed_state(alice, room, 60_000)
    for number in range(4):
        await delayed_state(alice, room, 60_000, str(number))
    status, said = await alice.put(f"rooms/{room}/state/m.test/x", params={DELAY: 1000})
    assert (status, said["errcode"], said["retry_after_ms"]) == (429, "M_LIMIT_EXCEEDED", 60_000)
    await alice.ok("POST", f"{ALL}/{first}/cancel")
    await delayed_state(alice, room, 1000, "x")
    told = (await alice.ok("GET", "capabilities"))["capabilities"]["org.matrix.msc4140.delayed_events"]
    assert told == {"max_delay_ms": 60_000, "max_scheduled": 5}


async def test_they_survive_the_server_and_are_sent_late(
    make_homeserver: MakeHomeserver, homeserver: Homeserver, alice: Client, clock: FakeClock
) -> None:
    sleeper = await make_homeserver(
        clock=clock, delayed_events=DelayedEvents(enabled=False), name="two.example"
    )
    user = await sleeper.user("user")
    room = await user.create_room()
    status, said = await user.put(f"rooms/{room}/state/m.test/", params={DELAY: 1000})
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
    assert not (await user.ok("GET", "/_matrix/client/versions"))["unstable_features"]["org.matrix.msc4140"]

    rooms = [await alice.create_room() for _ in range(2)]
    left = [await delayed_state(alice, room, 1000, str(n), n=n) for n, room in enumerate(rooms)]
    later = FakeClock(clock.now() + 50_000)
    # A second process, on the same data, in a time in which the first one has slept.
    await make_homeserver(clock=later, beside=homeserver)
    for delay_id in left:
        assert "event_id" in await outcome(alice, delay_id)
    assert await alice.state(rooms[1], "m.test", "1") == {"n": 1}


async def test_two_processes_send_each_once(
    make_homeserver: MakeHomeserver, homeserver: Homeserver, alice: Client, clock: FakeClock
) -> None:
    async with alive(homeserver.tenant), alive(homeserver.tenant):
        room = await alice.create_room()
        await alice.sync()
        for number in range(5):
            await alice.ok(
                "PUT", f"rooms/{room}/send/m.test/{number}", params={DELAY: 100}, json={"n": number}
            )
        ids = await waiting(alice)
        clock.advance(100)
        for delay_id in ids:
            await outcome(alice, delay_id)
    events = await alice.messages(room, "f")
    assert [event["content"]["n"] for event in events if event["type"] == "m.test"] == list(range(5))
