"""/sync tells of rooms: what was said, what the state is, who came and went."""

from __future__ import annotations

import json
from typing import Any

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver

Json = dict[str, Any]


def _ids(events: list[Json]) -> list[str]:
    return [event["event_id"] for event in events]


def _keys(events: list[Json]) -> set[tuple[str, str]]:
    return {(event["type"], event["state_key"]) for event in events if "state_key" in event}


def _joined(said: Json, room: str) -> Json:
    return dict(said["rooms"]["join"][room])


def _filter(**room: Any) -> str:
    return json.dumps({"room": room})


async def test_a_first_sync_has_the_room_and_later_ones_what_is_new(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat", name="Room")
    await bob.join(room)
    first = _joined(await bob.sync(), room)
    both = _keys(first["state"]["events"]) | _keys(first["timeline"]["events"])
    assert ("m.room.name", "") in both
    assert ("m.room.member", bob.user_id) in both
    said = await alice.send(room, "hello")
    timeline = _joined(await bob.sync(timeout=5000), room)["timeline"]
    assert _ids(timeline["events"]) == [said]
    assert not timeline["limited"]
    assert "rooms" not in await bob.sync()


async def test_a_gap_is_limited_and_messages_fill_it(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await bob.sync()
    sent = [await alice.send(room, f"{n}") for n in range(5)]
    topic = await alice.set_state(room, "m.room.topic", {"topic": "in the gap"})
    sent += [topic, *[await alice.send(room, f"{n}") for n in range(5, 8)]]
    news = _joined(await bob.sync(filter=_filter(timeline={"limit": 3})), room)
    assert news["timeline"]["limited"]
    assert _ids(news["timeline"]["events"]) == sent[-3:]
    assert _ids(news["state"]["events"]) == [topic]
    before = await bob.messages(room, **{"from": news["timeline"]["prev_batch"], "limit": 6})
    assert _ids(before)[::-1] == sent[:6]


async def test_state_is_that_at_the_start_of_the_timeline(alice: Client) -> None:
    room = await alice.create_room(name="old")
    new = await alice.set_state(room, "m.room.name", {"name": "new"})
    first = _joined(await alice.sync(filter=_filter(timeline={"limit": 1})), room)
    assert _ids(first["timeline"]["events"]) == [new]
    names = [e["content"]["name"] for e in first["state"]["events"] if e["type"] == "m.room.name"]
    assert names == ["old"]
    replaced = first["timeline"]["events"][0]["unsigned"]
    assert replaced["prev_content"] == {"name": "old"}


async def test_state_after_is_that_at_the_end(alice: Client) -> None:
    room = await alice.create_room(name="old")
    for name in ("use_state_after", "org.matrix.msc4222.use_state_after"):
        alice.next_batch = None
        await alice.set_state(room, "m.room.name", {"name": name})
        first = _joined(await alice.sync(filter=_filter(timeline={"limit": 1}), **{name: "true"}), room)
        assert "state" not in first
        names = [e["content"]["name"] for e in first["state_after"]["events"] if e["type"] == "m.room.name"]
        assert names == [name]
        assert first["org.matrix.msc4222.state_after"] == first["state_after"]
        await alice.send(room, "no state")
        news = _joined(await alice.sync(**{name: "true"}), room)
        assert news["state_after"] == {"events": []}
        topic = await alice.set_state(room, "m.room.topic", {"topic": name})
        news = _joined(await alice.sync(**{name: "true"}), room)
        assert _ids(news["state_after"]["events"]) == [topic] == _ids(news["timeline"]["events"])


async def test_what_a_filter_keeps_out_of_the_timeline_comes_as_state(alice: Client) -> None:
    room = await alice.create_room()
    await alice.sync()
    topic = await alice.set_state(room, "m.room.topic", {"topic": "quiet"})
    news = _joined(await alice.sync(filter=_filter(timeline={"types": ["m.room.message"]})), room)
    assert news["timeline"]["events"] == []
    assert _ids(news["state"]["events"]) == [topic]


async def test_an_invite_shows_stripped_state_and_ends_when_it_is_refused(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="private_chat", name="Secret")
    await bob.sync()
    await alice.invite(room, bob)
    invited = (await bob.sync(timeout=5000))["rooms"]["invite"][room]["invite_state"]["events"]
    assert {"m.room.create", "m.room.name", "m.room.join_rules", "m.room.member"} <= {
        e["type"] for e in invited
    }
    own = [e for e in invited if e["state_key"] == bob.user_id]
    assert [e["content"]["membership"] for e in own] == ["invite"]
    when = (await alice.messages(room, limit=1))[0]
    assert all(own[0][field] == when[field] for field in ("event_id", "origin_server_ts"))
    assert room in (await bob.sync(since=""))["rooms"]["invite"]
    await bob.leave(room)
    ended = (await bob.sync())["rooms"]["leave"][room]
    assert [e["content"]["membership"] for e in ended["timeline"]["events"]] == ["leave"]
    assert "rooms" not in await bob.sync(since="")


async def test_a_knock_is_shown_to_who_knocks(alice: Client, bob: Client) -> None:
    room = await alice.create_room(
        initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}]
    )
    await bob.sync()
    await bob.ok("POST", f"knock/{room}".replace("!", "%21").replace(":", "%3A"), json={})
    knocked = (await bob.sync())["rooms"]["knock"][room]["knock_state"]["events"]
    assert ("m.room.member", bob.user_id) in _keys(knocked)
    assert ("m.room.create", "") in _keys(knocked)


async def test_who_joins_gets_the_room_whole(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat", name="Room")
    said = [await alice.send(room, f"{n}") for n in range(3)]
    await bob.sync()
    await bob.join(room)
    news = _joined(await bob.sync(filter=_filter(timeline={"limit": 2})), room)
    assert news["timeline"]["limited"]
    assert _ids(news["timeline"]["events"])[0] == said[-1]
    assert ("m.room.name", "") in _keys(news["state"]["events"])
    assert news["summary"]["m.joined_member_count"] == 2
    assert news["summary"]["m.heroes"] == [alice.user_id]


async def test_leaving_is_told_once_with_what_was_said_before(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await bob.sync()
    before = await alice.send(room, "you still hear this")
    await alice.ok(
        "POST", f"rooms/{room}/kick".replace("!", "%21").replace(":", "%3A"), json={"user_id": bob.user_id}
    )
    await alice.send(room, "and not this")
    left = (await bob.sync())["rooms"]["leave"][room]["timeline"]["events"]
    assert left[0]["event_id"] == before
    assert [e["content"].get("membership") for e in left[1:]] == ["leave"]
    assert "rooms" not in await bob.sync()
    assert "rooms" not in await bob.sync(since="")
    again = await bob.sync(since="", filter=_filter(include_leave=True))
    assert room in again["rooms"]["leave"]
    assert "and not this" not in json.dumps(again)


async def test_a_sender_sees_the_transaction_id_and_nobody_else(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    other_device = await alice.log_in()
    for client in (alice, bob, other_device):
        await client.sync()
    await alice.send(room, "mine")
    for client, knows in ((alice, True), (bob, False), (other_device, False)):
        (event,) = _joined(await client.sync(), room)["timeline"]["events"]
        assert ("transaction_id" in event["unsigned"]) is knows
        assert event["unsigned"]["membership"] == "join"
        assert event["unsigned"]["age"] >= 0


async def test_redacted_events_come_redacted(alice: Client) -> None:
    room = await alice.create_room()
    said = await alice.send(room, "oh no")
    redaction = await alice.redact(room, said, "why not")
    timeline = _joined(await alice.sync(), room)["timeline"]["events"]
    (event,) = [e for e in timeline if e["event_id"] == said]
    assert event["content"] == {}
    assert event["unsigned"]["redacted_because"]["event_id"] == redaction
    (shown,) = [e for e in timeline if e["event_id"] == redaction]
    assert shown["redacts"] == said == shown["content"]["redacts"]


async def test_history_from_before_a_join_is_shown_as_its_visibility_says(alice: Client, bob: Client) -> None:
    for visibility, sees in (
        ("joined", False),
        ("invited", False),
        ("shared", True),
        ("world_readable", True),
    ):
        content = {"history_visibility": visibility}
        state = [{"type": "m.room.history_visibility", "state_key": "", "content": content}]
        room = await alice.create_room(preset="public_chat", initial_state=state)
        said = await alice.send(room, "before")
        await bob.join(room)
        after = await alice.send(room, "after")
        timeline = _ids(_joined(await bob.sync(since=""), room)["timeline"]["events"])
        assert (said in timeline) is sees
        assert after in timeline
        assert (said in _ids(await bob.messages(room))) is sees
        status, _ = await bob.get(f"rooms/{room}/event/{said}".replace("!", "%21").replace("$", "%24"))
        assert status == (200 if sees else 404)


async def test_ignored_users_are_not_heard(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await alice.sync()
    path = f"user/{alice.user_id}/account_data/m.ignored_user_list"
    await alice.ok("PUT", path, json={"ignored_users": {bob.user_id: {}}})
    await bob.send(room, "spam")
    topicless = await bob.put(f"profile/{bob.user_id}/displayname", {"displayname": "Bobby"})
    assert topicless[0] == 200
    news = await alice.sync()
    events = _joined(news, room)["timeline"]["events"]
    assert [e["type"] for e in events] == ["m.room.member"]
    assert "spam" not in json.dumps(await alice.messages(room))


async def test_full_state_is_told_again(alice: Client) -> None:
    room = await alice.create_room(name="Room")
    await alice.sync()
    whole = _joined(await alice.sync(full_state="true"), room)
    assert ("m.room.name", "") in _keys(whole["state"]["events"])
    assert whole["timeline"]["events"] == []


async def test_a_token_of_a_time_to_come_begins_anew(alice: Client, homeserver: Homeserver) -> None:
    room = await alice.create_room()
    ahead = homeserver.tenant.feed.position + 1000
    assert room in (await alice.sync(since=f"s{ahead}_0", timeout=0))["rooms"]["join"]


async def test_tokens_that_are_none_are_refused(alice: Client) -> None:
    for token in ("x", "s1", "s1_2_3_4", "s１_2", "s99999999999999999999_1", "s1_2\n"):
        status, said = await alice.get("sync", params={"since": token})
        assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")


async def test_filters_that_are_none_are_refused(alice: Client) -> None:
    for text, status in (("{", 400), ('{"room": 1}', 400), ("999", 404), ("abc", 404)):
        answered, said = await alice.get("sync", params={"filter": text})
        assert answered == status, said
    status, _ = await alice.get("sync", params={"set_presence": "asleep"})
    assert status == 400


async def test_an_uploaded_filter_is_used_by_its_number(alice: Client) -> None:
    room = await alice.create_room()
    await alice.send(room, "one")
    definition = {"room": {"timeline": {"limit": 1}}}
    filter_id = (await alice.ok("POST", f"user/{alice.user_id}/filter", json=definition))["filter_id"]
    news = _joined(await alice.sync(filter=filter_id), room)
    assert len(news["timeline"]["events"]) == 1


async def test_event_fields_and_format_are_as_the_filter_says(alice: Client) -> None:
    room = await alice.create_room()
    await alice.send(room, "hello")
    fields = json.dumps({"event_fields": ["type", "content.body"], "room": {"timeline": {"limit": 1}}})
    (event,) = _joined(await alice.sync(filter=fields), room)["timeline"]["events"]
    assert event["content"] == {"body": "hello"}
    assert "unsigned" not in event
    raw = json.dumps({"event_format": "federation", "room": {"timeline": {"limit": 1}}})
    reply = await alice.request("GET", "sync", params={"filter": raw})
    (event,) = _joined(reply[1], room)["timeline"]["events"]
    assert "auth_events" in event
    assert "signatures" in event


async def test_rooms_are_filtered(alice: Client) -> None:
    one, two = await alice.create_room(), await alice.create_room()
    assert (await alice.sync(filter=_filter(rooms=[one])))["rooms"]["join"].keys() == {one}
    assert (await alice.sync(since="", filter=_filter(not_rooms=[one])))["rooms"]["join"].keys() == {two}
    nothing = await alice.sync(since="", filter=_filter(rooms=[]))
    assert "rooms" not in nothing


async def test_events_say_what_the_reader_was_to_the_room_then(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    before = await alice.send(room, "before")
    await alice.invite(room, bob)
    invited = await alice.send(room, "invited")
    await bob.join(room)
    joined = await alice.send(room, "joined")

    timeline = _joined(await bob.sync(), room)["timeline"]["events"]
    memberships = {event["event_id"]: event["unsigned"]["membership"] for event in timeline}
    assert (memberships[before], memberships[invited], memberships[joined]) == ("leave", "invite", "join")


async def test_who_wants_no_events_gets_the_state_after_them(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await bob.sync()
    topic = await alice.set_state(room, "m.room.topic", {"topic": "new"})
    for since in ("", bob.next_batch):
        news = _joined(await bob.sync(since=since, filter=_filter(timeline={"limit": 0})), room)
        assert (news["timeline"]["events"], news["timeline"]["limited"]) == ([], True)
        assert topic in _ids(news["state"]["events"])
