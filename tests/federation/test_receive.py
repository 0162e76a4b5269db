"""Events of other servers, placed in their rooms."""

from __future__ import annotations

import pytest

from protocol.events import Event
from protocol.ids import ServerName
from services.rooms.receive.place import Missing, receive_event
from storage.events import Standing
from tests.client_api.stored import state_of
from tests.federation.stranger import Stranger, View, view_of_room
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver

pytestmark = pytest.mark.parametrize("version", ["1", "6", "11", "12"])

EVIL = Stranger(ServerName("evil.example"))
EVE = EVIL.user("eve")


async def room_with_eve(homeserver: Homeserver, alice: Client, version: str) -> View:
    """A public room of Alice's in which Eve, of another server, is too."""
    room_id = await alice.create_room(preset="public_chat", room_version=version)
    view = await view_of_room(homeserver.tenant, room_id)
    return await placed(homeserver, view, EVIL.joins(view, EVE))


async def placed(homeserver: Homeserver, view: View, event: Event) -> View:
    """The point behind an event that is received and shown."""
    result = await receive_event(homeserver.tenant, event, EVIL.name)
    assert result.standing is Standing.TIMELINE, result
    return view.with_event(event)


async def test_a_message_is_shown(homeserver: Homeserver, alice: Client, version: str) -> None:
    view = await room_with_eve(homeserver, alice, version)
    since = (await alice.sync())["next_batch"]
    message = EVIL.says(view, EVE)
    await placed(homeserver, view, message)
    news = await alice.sync(since=since)
    timeline = news["rooms"]["join"][view.room_id]["timeline"]
    assert [event["event_id"] for event in timeline["events"]] == [message.event_id]
    members = await alice.ok("GET", f"rooms/{view.room_id}/joined_members")
    assert EVE in members["joined"]


async def test_the_same_event_again_changes_nothing(
    homeserver: Homeserver, alice: Client, version: str
) -> None:
    view = await room_with_eve(homeserver, alice, version)
    message = EVIL.says(view, EVE)
    await placed(homeserver, view, message)
    await placed(homeserver, view, EVIL.says(view.with_event(message), EVE))
    assert (await receive_event(homeserver.tenant, message, EVIL.name)).standing is Standing.TIMELINE
    assert len((await view_of_room(homeserver.tenant, view.room_id)).latest) == 1


async def test_branches_come_together_again(homeserver: Homeserver, alice: Client, version: str) -> None:
    view = await room_with_eve(homeserver, alice, version)
    here = await alice.send(view.room_id, {"body": "here", "msgtype": "m.text"})
    one = await placed(homeserver, view, EVIL.says(view, EVE))
    two = await placed(homeserver, view, EVIL.says(view, EVE))
    now = await view_of_room(homeserver.tenant, view.room_id)
    assert {event.event_id for event in now.latest} == {here, one.latest[0].event_id, two.latest[0].event_id}
    last = await alice.send(view.room_id, {"body": "together", "msgtype": "m.text"})
    assert [event.event_id for event in (await view_of_room(homeserver.tenant, view.room_id)).latest] == [
        last
    ]


async def test_state_of_branches_is_resolved(homeserver: Homeserver, alice: Client, version: str) -> None:
    view = await room_with_eve(homeserver, alice, version)
    levels = {"users": {EVE: 50} | ({} if version == "12" else {alice.user_id: 100})}
    await alice.ok("PUT", f"rooms/{view.room_id}/state/m.room.power_levels", json=levels)
    view = await view_of_room(homeserver.tenant, view.room_id)
    since = (await alice.sync())["next_batch"]
    await alice.ok("PUT", f"rooms/{view.room_id}/state/m.room.name", json={"name": "Alice's"})
    await placed(homeserver, view, EVIL.says(view, EVE, "m.room.topic", {"topic": "Eve's"}, ""))
    state = await state_of(homeserver, view.room_id)
    assert state["m.room.name", ""]["name"] == "Alice's"
    assert state["m.room.topic", ""]["topic"] == "Eve's"
    # A ban of Alice's on one branch takes Eve's later doings on another one with it.
    view = await view_of_room(homeserver.tenant, view.room_id)
    await alice.ok("POST", f"rooms/{view.room_id}/ban", json={"user_id": EVE})
    result = await receive_event(
        homeserver.tenant, EVIL.says(view, EVE, "m.room.topic", {"topic": "Eve's again"}, ""), EVIL.name
    )
    assert result.standing is Standing.SOFT_FAILED
    state = await state_of(homeserver, view.room_id)
    assert state["m.room.topic", ""]["topic"] == "Eve's"
    assert state["m.room.member", EVE]["membership"] == "ban"
    shown = (await alice.sync(since=since))["rooms"]["join"][view.room_id]["timeline"]["events"]
    assert "Eve's again" not in [event["content"].get("topic") for event in shown]


async def test_what_is_missing_is_named(homeserver: Homeserver, alice: Client, version: str) -> None:
    view = await room_with_eve(homeserver, alice, version)
    lost = EVIL.says(view, EVE)
    with pytest.raises(Missing) as missing:
        await receive_event(homeserver.tenant, EVIL.says(view.with_event(lost), EVE), EVIL.name)
    assert missing.value.prev == {lost.event_id}
    assert missing.value.auth == frozenset()


async def test_what_the_state_before_does_not_allow_is_rejected(
    homeserver: Homeserver, alice: Client, version: str
) -> None:
    view = await room_with_eve(homeserver, alice, version)
    topic = EVIL.says(view, EVE, "m.room.topic", {"topic": "mine now"}, "")
    result = await receive_event(homeserver.tenant, topic, EVIL.name)
    assert result.standing is Standing.REJECTED
    assert ("m.room.topic", "") not in await state_of(homeserver, view.room_id)
    # Others may follow on it all the same.
    behind = View(view.version, view.room_id, [topic], view.state)
    await placed(homeserver, behind, EVIL.says(behind, EVE))
    assert len((await view_of_room(homeserver.tenant, view.room_id)).latest) == 1


async def test_what_rests_on_a_rejected_event_is_rejected(
    homeserver: Homeserver, alice: Client, version: str
) -> None:
    view = await room_with_eve(homeserver, alice, version)
    levels = EVIL.says(view, EVE, "m.room.power_levels", {"users": {EVE: 100}}, "")
    assert (await receive_event(homeserver.tenant, levels, EVIL.name)).standing is Standing.REJECTED
    cunning = view.with_event(levels)
    topic = EVIL.says(cunning, EVE, "m.room.topic", {"topic": "mine now"}, "")
    assert (await receive_event(homeserver.tenant, topic, EVIL.name)).standing is Standing.REJECTED


async def test_a_room_has_one_create_event(homeserver: Homeserver, alice: Client, version: str) -> None:
    if version == "12":
        pytest.skip("there the create event makes the room's ID")
    view = await room_with_eve(homeserver, alice, version)
    again = EVIL.says(
        view,
        EVE,
        "m.room.create",
        {"room_version": version, "creator": EVE},
        "",
        prev_events=[],
        auth_events=[],
    )
    assert (await receive_event(homeserver.tenant, again, EVIL.name)).standing is Standing.REJECTED


async def test_a_redaction_may_come_before_its_event(
    homeserver: Homeserver, alice: Client, version: str
) -> None:
    view = await room_with_eve(homeserver, alice, version)
    message = EVIL.says(view, EVE)
    redaction = EVIL.says(view, EVE, "m.room.redaction", {}, redacts=message.event_id)
    since = (await alice.sync())["next_batch"]
    result = await receive_event(homeserver.tenant, redaction, EVIL.name)
    assert result.standing is Standing.TIMELINE
    assert (
        view.room_id not in (await alice.sync(since=since))["rooms"]["join"]
        or not ((await alice.sync(since=since))["rooms"]["join"][view.room_id]["timeline"]["events"])
    )
    await receive_event(homeserver.tenant, message, EVIL.name)
    timeline = (await alice.sync(since=since))["rooms"]["join"][view.room_id]["timeline"]["events"]
    assert [event["event_id"] for event in timeline] == [message.event_id, redaction.event_id]
    assert timeline[0]["content"] == {}
    assert timeline[0]["unsigned"]["redacted_because"]["event_id"] == redaction.event_id


async def test_a_redaction_of_others_events_is_held_back(
    homeserver: Homeserver, alice: Client, version: str
) -> None:
    if version == "1":
        pytest.skip("there the authorisation rules refuse it")
    view = await room_with_eve(homeserver, alice, version)
    event_id = await alice.send(view.room_id, {"body": "mine", "msgtype": "m.text"})
    view = await view_of_room(homeserver.tenant, view.room_id)
    since = (await alice.sync())["next_batch"]
    redaction = EVIL.says(view, EVE, "m.room.redaction", {}, redacts=event_id)
    await placed(homeserver, view, redaction)
    await placed(homeserver, view.with_event(redaction), EVIL.says(view.with_event(redaction), EVE))
    shown = (await alice.sync(since=since))["rooms"]["join"][view.room_id]["timeline"]["events"]
    assert redaction.event_id not in [event["event_id"] for event in shown]
    event = await alice.ok("GET", f"rooms/{view.room_id}/event/{event_id}")
    assert event["content"]["body"] == "mine"


async def test_what_is_passed_through_a_soft_failed_event_is_no_extremity(
    homeserver: Homeserver, alice: Client, version: str
) -> None:
    view = await room_with_eve(homeserver, alice, version)
    await alice.ok("POST", f"rooms/{view.room_id}/kick", json={"user_id": EVE})
    kicked = await view_of_room(homeserver.tenant, view.room_id)
    late = EVIL.says(View(view.version, view.room_id, kicked.latest[:0] + view.latest, view.state), EVE)
    assert (await receive_event(homeserver.tenant, late, EVIL.name)).standing is Standing.SOFT_FAILED
    assert [e.event_id for e in (await view_of_room(homeserver.tenant, view.room_id)).latest] == [
        kicked.latest[0].event_id
    ]
