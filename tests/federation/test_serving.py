"""Events, state and auth chains, as another server gets them."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.event_format import parse_pdu
from protocol.events import Event
from protocol.ids import EventID
from protocol.room_versions import version_named
from services.rooms.receive.place import receive_event
from tests.federation.asking import Scene, part, scene

__all__ = ["scene"]

VERSIONS = pytest.mark.parametrize("version", ["1", "6", "11", "12"])


def parsed(version: str, pdus: list[Any]) -> list[Event]:
    """The events, as who gets them understands them."""
    return [parse_pdu(pdu, version_named(version)) for pdu in pdus]


def ids(version: str, pdus: list[Any]) -> list[str]:
    """Their IDs."""
    return [event.event_id for event in parsed(version, pdus)]


@VERSIONS
async def test_an_event_comes_as_it_was_sent(scene: Scene, version: str) -> None:
    room = await scene.room(version)
    event_id = await scene.alice.send(room, "hello")
    await scene.eve_joins(room)
    reply = await scene.get(f"event/{part(event_id)}")
    (event,) = parsed(version, reply["pdus"])
    assert (event.event_id, event.content["body"]) == (event_id, "hello")
    assert reply["origin"] == scene.one.name


@VERSIONS
async def test_the_state_is_that_before_the_event_and_rests_on_what_comes_with_it(
    scene: Scene, version: str
) -> None:
    room = await scene.room(version, name="first")
    await scene.eve_joins(room)
    before = set((await state_ids(scene, room)).values())
    named = await scene.alice.set_state(room, "m.room.name", {"name": "second"})
    said = await scene.alice.send(room, "hello")
    after = set((await state_ids(scene, room)).values())
    assert named in after - before

    for event_id, expected in ((named, before), (said, after)):
        by_ids = await scene.get(f"state_ids/{part(room)}", event_id=event_id)
        whole = await scene.get(f"state/{part(room)}", event_id=event_id)
        assert set(by_ids["pdu_ids"]) == expected
        assert sorted(ids(version, whole["pdus"])) == sorted(by_ids["pdu_ids"])
        assert sorted(ids(version, whole["auth_chain"])) == sorted(by_ids["auth_chain_ids"])
        chain = set(by_ids["auth_chain_ids"])
        for event in parsed(version, whole["pdus"] + whole["auth_chain"]):
            assert chain.issuperset(event.auth_events)


async def state_ids(scene: Scene, room: str) -> dict[tuple[str, str], str]:
    view = await scene.view(room)
    return {key: event.event_id for key, event in view.state.items()}


@VERSIONS
async def test_the_auth_chain_of_an_event(scene: Scene, version: str) -> None:
    room = await scene.room(version)
    join = await scene.eve_joins(room)
    chain = parsed(version, (await scene.get(f"event_auth/{part(room)}/{part(join)}"))["auth_chain"])
    kinds = {event.type for event in chain}
    assert kinds == {"m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules"}
    known = {event.event_id for event in chain}
    assert all(known.issuperset(event.auth_events) for event in chain)
    assert join not in known


async def test_backfill_goes_from_the_newest_to_the_oldest(scene: Scene) -> None:
    room = await scene.room()
    await scene.eve_joins(room)
    sent = [await scene.alice.send(room, str(number)) for number in range(30)]
    reply = await scene.get(f"backfill/{part(room)}", v=sent[-1], limit=10)
    assert ids("11", reply["pdus"]) == sent[:-11:-1]
    reply = await scene.get(f"backfill/{part(room)}", v=sent[9], limit=1000)
    found = parsed("11", reply["pdus"])
    assert [event.event_id for event in found[:10]] == sent[9::-1]
    assert found[-1].type == "m.room.create"


async def test_backfill_of_many_events_takes_few_queries(scene: Scene) -> None:
    room = await scene.room()
    await scene.eve_joins(room)
    for number in range(100):
        last = await scene.alice.send(room, str(number))
    await scene.get(f"event/{part(last)}")
    before = scene.one.tenant.database.statements_run
    reply = await scene.get(f"backfill/{part(room)}", v=last, limit=100)
    assert len(reply["pdus"]) == 100
    assert scene.one.tenant.database.statements_run - before < 12


async def test_what_is_missing_between_two_points_of_a_forked_graph(scene: Scene) -> None:
    room = await scene.room()
    earliest = await scene.eve_joins(room)
    view = await scene.view(room)
    here = [await scene.alice.send(room, str(number)) for number in range(3)]
    branch = view
    there = []
    for _ in range(3):
        event = scene.stranger.says(branch, scene.eve)
        await receive_event(scene.one.tenant, event, scene.stranger.name)
        branch = branch.with_event(event)
        there.append(event.event_id)
    latest = await scene.alice.send(room, "both")

    async def missing(**more: Any) -> list[str]:
        asked = {"earliest_events": [earliest], "latest_events": [latest], "limit": 20} | more
        status, body = await scene.ask("POST", f"get_missing_events/{part(room)}", asked)
        assert status == 200
        events = parsed("11", body["events"])
        assert [event.depth for event in events] == sorted(event.depth for event in events)
        return [event.event_id for event in events]

    assert set(await missing()) == {*here, *there}
    assert set(await missing(limit=2)) == {here[-1], there[-1]}
    assert set(await missing(min_depth=view.latest[0].depth + 2)) == {*here[1:], *there[1:]}
    assert set(await missing(earliest_events=[here[0], there[2], earliest])) == {*here[1:]}
    assert set(await missing(latest_events=["$unknown", here[1]])) == {here[0]}
    assert await missing(latest_events=[here[0]]) == []
    assert await missing(limit=0) == []


async def test_who_asks_for_what_is_not_known_here_is_told_so(scene: Scene) -> None:
    room = await scene.room()
    await scene.eve_joins(room)
    sent = await scene.alice.send(room, "hello")
    asked = {"earliest_events": [], "latest_events": ["$unknown"], "limit": 20}
    status, said = await scene.ask("POST", f"get_missing_events/{part(room)}", asked)
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
    status, said = await scene.ask("GET", f"backfill/{part(room)}", query={"v": "$unknown", "limit": 5})
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
    _, said = await scene.ask("POST", f"get_missing_events/{part(room)}", {**asked, "latest_events": []})
    assert said == {"events": []}
    reply = await scene.ask(
        "GET", f"backfill/{part(room)}", query=[("v", "$unknown"), ("v", sent), ("limit", 1)]
    )
    assert (reply[0], len(reply[1]["pdus"])) == (200, 1)


async def test_never_more_than_twenty_missing_events(scene: Scene) -> None:
    room = await scene.room()
    await scene.eve_joins(room)
    for number in range(25):
        last = await scene.alice.send(room, str(number))
    asked = {"earliest_events": [], "latest_events": [last], "limit": 1000}
    _, body = await scene.ask("POST", f"get_missing_events/{part(room)}", asked)
    assert len(body["events"]) == 20


def questions(room: str, event_id: str) -> list[tuple[str, str, Any, dict[str, object]]]:
    """All questions that only servers in the room may ask."""
    missing = {"earliest_events": [], "latest_events": [event_id]}
    return [
        ("GET", f"event_auth/{part(room)}/{part(event_id)}", None, {}),
        ("GET", f"state/{part(room)}", None, {"event_id": event_id}),
        ("GET", f"state_ids/{part(room)}", None, {"event_id": event_id}),
        ("GET", f"backfill/{part(room)}", None, {"v": event_id, "limit": 10}),
        ("POST", f"get_missing_events/{part(room)}", missing, {}),
        ("GET", f"timestamp_to_event/{part(room)}", None, {"ts": 0, "dir": "f"}),
    ]


async def test_who_is_not_in_the_room_is_told_nothing(scene: Scene) -> None:
    room = await scene.room()
    event_id = await scene.alice.send(room, "hello")
    for method, path, body, query in questions(room, event_id):
        status, said = await scene.ask(method, path, body, query)
        assert (status, said["errcode"]) == (403, "M_FORBIDDEN"), path
    assert (await scene.ask("GET", f"event/{part(event_id)}"))[0] == 404
    for method, path, body, query in questions("!nowhere:here", event_id):
        status, said = await scene.ask(method, path, body, query)
        assert (status, said["errcode"]) == (404, "M_NOT_FOUND"), path


async def test_who_is_shut_out_is_told_nothing(scene: Scene) -> None:
    scene.liar.name = f"127.0.0.1:{scene.liar.port}"
    room = await scene.room()
    await scene.eve_joins(room)
    event_id = await scene.alice.send(room, "hello")
    for method, path, body, query in questions(room, event_id):
        assert (await scene.ask(method, path, body, query))[0] == 200, path
    await scene.alice.set_state(room, "m.room.server_acl", {"allow": ["*"], "allow_ip_literals": False})
    for method, path, body, query in questions(room, event_id):
        status, said = await scene.ask(method, path, body, query)
        assert (status, said["errcode"]) == (403, "M_FORBIDDEN"), path
    assert (await scene.ask("GET", f"event/{part(event_id)}"))[0] == 404


async def test_events_of_other_rooms_are_not_there(scene: Scene) -> None:
    room, other = await scene.room(), await scene.room()
    await scene.eve_joins(room)
    event_id = await scene.alice.send(other, "elsewhere")
    for method, path, body, query in questions(room, event_id):
        status, said = await scene.ask(method, path, body, query)
        if "timestamp" not in path:
            assert (status, said["errcode"]) == (404, "M_NOT_FOUND"), path


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("backfill/{room}", {"limit": 5}),
        ("backfill/{room}", {"v": "nonsense", "limit": 5}),
        ("backfill/{room}", {"v": "$x", "limit": "many"}),
        ("state/{room}", {}),
        ("state_ids/{room}", {"event_id": "x"}),
        ("timestamp_to_event/{room}", {"ts": 1}),
        ("timestamp_to_event/{room}", {"ts": 1, "dir": "up"}),
        ("timestamp_to_event/{room}", {"dir": "f"}),
        ("event/nonsense", {}),
    ],
)
async def test_nonsense_is_refused(scene: Scene, path: str, query: dict[str, object]) -> None:
    room = await scene.room()
    await scene.eve_joins(room)
    status, said = await scene.ask("GET", path.format(room=part(room)), query=query)
    assert status == 400, said


async def test_rejected_events_are_not_handed_on(scene: Scene) -> None:
    room = await scene.room()
    await scene.eve_joins(room)
    view = await scene.view(room)
    bad = scene.stranger.says(view, scene.eve, "m.room.name", {"name": "mine"}, "")
    await receive_event(scene.one.tenant, bad, scene.stranger.name)
    behind = scene.stranger.says(view.with_event(bad), scene.eve)
    await receive_event(scene.one.tenant, behind, scene.stranger.name)
    assert (await scene.ask("GET", f"event/{part(bad.event_id)}"))[0] == 404
    found = ids("11", (await scene.get(f"backfill/{part(room)}", v=behind.event_id, limit=3))["pdus"])
    assert bad.event_id not in found
    assert view.latest[0].event_id in found


async def test_the_event_id_may_be_anything(scene: Scene) -> None:
    assert (await scene.ask("GET", f"event/{part(EventID('$' + 'x' * 200))}"))[0] == 404
    assert (await scene.ask("GET", f"event/{part('$a b/c')}"))[0] == 404
