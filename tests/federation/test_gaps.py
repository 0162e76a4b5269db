"""Events that follow on what the homeserver does not have."""

from __future__ import annotations

import pytest

from protocol.events import Event
from protocol.ids import ServerName
from services.rooms.receive.between import MAX_BETWEEN, MAX_ROUNDS
from storage.events import Standing
from tests.client_api.stored import state_of
from tests.federation.scene import Scene, set_the_scene
from tests.federation.stranger import Stranger, View
from tests.federation.telling import FEDERATION, Teller
from tests.federation.test_forks import settled
from tests.fixtures.federation import MakeFederated, MakeLying

VERSIONS = pytest.mark.parametrize("version", ["1", "10", "12"])


async def backward_extremities(scene: Scene) -> set[str]:
    """The ends of the room's history."""
    async with scene.one.tenant.database.read() as tx:
        rows = await tx.fetch("SELECT event_id FROM backward_extremities WHERE room_id = $1", scene.room_id)
    return {row["event_id"] for row in rows}


@VERSIONS
async def test_the_events_between_are_fetched(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    scene = await set_the_scene(make_federated, make_lying, version)
    teller = Teller(scene)
    since = (await scene.alice.sync())["next_batch"]
    events, view = [], scene.view
    for _ in range(4):
        events.append(scene.says(view))
        view = teller.knows(view, events[-1])
    teller.between(events[2], events[0], events[1])
    assert await scene.sends(events[3]) == {events[3].event_id: {}}
    assert await scene.timeline(since) == [event.event_id for event in events]
    assert await backward_extremities(scene) == set()


@VERSIONS
async def test_beyond_a_gap_the_state_is_asked_for(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    scene = await set_the_scene(make_federated, make_lying, version)
    teller = Teller(scene)
    since = (await scene.alice.sync())["next_batch"]
    mallory = scene.stranger.user("mallory")
    join = scene.stranger.joins(scene.view, mallory)
    view = teller.knows(scene.view, join)
    for _ in range(30):
        view = teller.knows(view, scene.says(view))
    gap = view.latest[0]
    last = scene.stranger.says(view, mallory)
    teller.knows(view, last)
    teller.between()
    assert await scene.sends(last) == {last.event_id: {}}
    assert await scene.timeline(since) == [last.event_id]
    assert await backward_extremities(scene) == {gap.event_id}
    # Mallory's join lies in the gap: the state has it all the same.
    assert (await state_of(scene.one, scene.room_id))["m.room.member", mallory]["membership"] == "join"
    assert await scene.standing(join) == Standing.OUTLIER
    news = (await scene.alice.sync(since=since))["rooms"]["join"][scene.room_id]
    assert mallory in [event.get("state_key") for event in news["state"]["events"]]


async def test_a_lie_about_the_state_gains_nothing(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    teller = Teller(scene)
    grab = scene.says(scene.view, "m.room.power_levels", {"users": {scene.eve: 100}}, "")
    crowned = teller.knows(scene.view, grab)
    view = teller.knows(crowned, scene.says(crowned))
    topic = scene.says(view, "m.room.topic", {"topic": "mine"}, "")
    teller.knows(view, topic)
    teller.between()
    before = await state_of(scene.one, scene.room_id)
    await scene.sends(topic)
    assert await state_of(scene.one, scene.room_id) == before
    assert await scene.standing(grab) == Standing.REJECTED
    assert await scene.standing(topic) in (None, Standing.REJECTED)


async def test_a_state_of_another_room_is_not_believed(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    other = await set_the_scene(make_federated, make_lying)
    teller = Teller(scene)
    lost = scene.says(scene.view)
    view = teller.knows(other.view, lost)
    teller.events |= {event.event_id: event for event in other.view.state.values()}
    teller.between()
    last = scene.says(scene.view.with_event(lost))
    await scene.sends(last)
    assert view.latest == [lost]
    assert await scene.standing(last) is None


async def _resting_on_what_is_missing(scene: Scene, teller: Teller, place: View) -> tuple[Event, Event]:
    """A name of Eve's at this place, and an event that rests on it but follows on what is known."""
    member = scene.says(place, "m.room.member", {"membership": "join", "displayname": "E"}, scene.eve)
    teller.knows(place, member)
    event = scene.stranger.says(
        scene.view.with_event(member),
        scene.eve,
        prev_events=scene.view.latest,
        depth=scene.view.latest[0].depth + 1,
    )
    teller.knows(scene.view, event)
    return member, event


@VERSIONS
async def test_auth_events_that_are_missing_are_fetched_and_get_their_place(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    scene = await set_the_scene(make_federated, make_lying, version)
    member, event = await _resting_on_what_is_missing(scene, Teller(scene), scene.view)
    assert await scene.sends(event) == {event.event_id: {}}
    assert await scene.standing(event) == Standing.TIMELINE
    assert await scene.standing(member) == Standing.TIMELINE


@VERSIONS
async def test_an_auth_event_is_an_outlier_while_what_it_follows_on_cannot_be_had(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    scene = await set_the_scene(make_federated, make_lying, version)
    lost = scene.says(scene.view)
    member, event = await _resting_on_what_is_missing(scene, Teller(scene), scene.view.with_event(lost))
    assert await scene.sends(event) == {event.event_id: {}}
    assert await scene.standing(event) == Standing.TIMELINE
    assert await scene.standing(member) == Standing.OUTLIER
    # When it comes by itself it gets its place.
    assert await scene.sends(lost, member) == {lost.event_id: {}, member.event_id: {}}
    assert await scene.standing(member) == Standing.TIMELINE


async def test_a_server_is_asked_again_while_that_brings_us_further(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    teller, view = Teller(scene), scene.view
    events = []
    for _ in range(46):
        events.append(scene.says(view))
        view = teller.knows(view, events[-1])
    teller.tells_what_is_before()
    await scene.sends(events[-1])
    await settled(scene.room_id, {events[-1].event_id}, scene.one)
    assert {await scene.standing(event) for event in events} == {Standing.TIMELINE}
    assert await backward_extremities(scene) == set()
    assert scene.liar.times_asked(f"{FEDERATION}/get_missing_events/") == 3


async def test_it_is_not_asked_for_ever(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    teller, view = Teller(scene), scene.view
    for _ in range(MAX_ROUNDS * MAX_BETWEEN + 2):
        last = scene.says(view)
        view = teller.knows(view, last)
    teller.tells_what_is_before()
    await scene.sends(last)
    await settled(scene.room_id, {last.event_id}, scene.one)
    assert scene.liar.times_asked(f"{FEDERATION}/get_missing_events/") == MAX_ROUNDS
    # The state is asked for where that ends.
    assert await scene.standing(last) == Standing.TIMELINE
    assert len(await backward_extremities(scene)) == 1


async def test_what_the_origin_does_not_tell_others_in_the_room_are_asked_for(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    other = await make_lying()
    honest = Stranger(ServerName(other.name), other.key)
    join = honest.joins(scene.view, honest.user("henry"))
    status, _ = await other.transaction(scene.one, [join.json])
    assert status == 200
    assert await scene.standing(join) == Standing.TIMELINE
    teller, view = Teller(scene), scene.view.with_event(join)
    events = []
    for _ in range(3):
        events.append(scene.says(view))
        view = view.with_event(events[-1])
    teller.between()
    teller.tells_what_is_before(*events, by=other)
    await scene.sends(events[-1])
    assert [await scene.standing(event) for event in events] == [Standing.TIMELINE] * 3
    assert await backward_extremities(scene) == set()
    assert scene.liar.times_asked(f"{FEDERATION}/state_ids/") == 0


async def test_what_nobody_has_is_dropped(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    lost = scene.says(scene.view)
    last = scene.says(scene.view.with_event(lost))
    assert await scene.sends(last) == {last.event_id: {}}
    assert await scene.standing(last) is None
    assert scene.liar.times_asked(f"{FEDERATION}/get_missing_events/") == 1


async def test_a_gap_may_be_closed_later(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    teller = Teller(scene)
    lost = scene.says(scene.view)
    view = teller.knows(scene.view, lost)
    last = scene.says(view)
    teller.between()
    await scene.sends(last)
    assert await backward_extremities(scene) == {lost.event_id}
    await scene.sends(lost)
    assert await backward_extremities(scene) == set()
    assert await scene.standing(lost) == Standing.TIMELINE
    assert [event.event_id for event in (await scene.now()).latest] == [last.event_id]


JUNK = [
    {},
    [],
    {
        "events": [None, 5, {}],
        "pdus": [None, {}],
        "auth_chain": [{}, "x"],
        "pdu_ids": ["$a"],
        "auth_chain_ids": ["$b"],
    },
    {"events": "x", "pdus": "x", "auth_chain": 3, "pdu_ids": [5], "auth_chain_ids": {}},
    (500, {"errcode": "M_UNKNOWN"}),
    (200, b"not json"),
]


@pytest.mark.parametrize("number", range(len(JUNK)))
async def test_nonsense_in_answers_does_no_harm(
    make_federated: MakeFederated, make_lying: MakeLying, number: int
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    for method, endpoint in (
        ("POST", "get_missing_events"),
        ("GET", "state_ids"),
        ("GET", "state"),
        ("GET", "event"),
        ("GET", "event_auth"),
        ("GET", "backfill"),
    ):
        scene.liar.on(method, f"{FEDERATION}/{endpoint}/", lambda _: JUNK[number])
    lost = scene.says(scene.view, "m.room.member", {"membership": "join"}, scene.eve)
    last = scene.says(scene.view.with_event(lost))
    good = scene.says(scene.view)
    await scene.sends(last, good)
    assert await scene.standing(last) is None
    assert await scene.standing(good) == Standing.TIMELINE


async def test_what_rests_on_a_long_chain_in_the_gap_comes_with_the_state(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    teller = Teller(scene)
    scene.liar.on("GET", f"{FEDERATION}/event_auth/", lambda _: (404, {"errcode": "M_UNRECOGNIZED"}))
    view = scene.view
    for number in range(12):
        named = {"membership": "join", "displayname": f"Eve {number}"}
        view = teller.knows(view, scene.says(view, "m.room.member", named, scene.eve))
    last = scene.says(view)
    teller.knows(view, last)
    teller.between()
    await scene.sends(last)
    assert await scene.standing(last) == Standing.TIMELINE
    assert (await state_of(scene.one, scene.room_id))["m.room.member", scene.eve] == named


async def test_what_came_between_and_cannot_be_placed_is_not_passed_over(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    teller = Teller(scene)
    broken = scene.says(scene.view)
    view = teller.knows(scene.view, broken)
    last = scene.says(view)
    teller.knows(view, last)
    said = {"events": [{**broken.json, "content": {"body": 1.5}, "depth": "deep"}]}
    scene.liar.on("POST", f"{FEDERATION}/get_missing_events/", lambda _: said)
    await scene.sends(last)
    assert await scene.standing(last) is None
