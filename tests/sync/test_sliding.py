"""Sliding sync, one promise after the other."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from services.sync.sliding.connections import MAX_OF_DEVICE, Connections
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.sync.sliding_model import ACCEPTED, PATH, Json, Sliding

NAMES = [["m.room.name", ""]]


def _list(last: int = 99, limit: int = 5, state: Any = NAMES, **filters: Any) -> Json:
    return {"ranges": [[0, last]], "timeline_limit": limit, "required_state": state, "filters": filters}


def _all(**more: Any) -> Json:
    return {"lists": {"all": _list(**more)}}


def _bodies(news: Json) -> list[str]:
    return [event["content"]["body"] for event in news["timeline"] if event["type"] == "m.room.message"]


def _from(token: Any) -> dict[str, Any]:
    return {"from": token}


def _types(events: list[Json]) -> set[tuple[str, str]]:
    return {(event["type"], event["state_key"]) for event in events}


async def test_it_is_advertised(alice: Client) -> None:
    said = await alice.ok("GET", "/_matrix/client/versions")
    assert said["unstable_features"]["org.matrix.simplified_msc3575"] is True


async def test_a_room_is_told_whole_and_then_what_is_new(alice: Client) -> None:
    room = await alice.create_room(name="Home")
    await alice.send(room, "one")
    sliding = Sliding(alice, _all())
    first = (await sliding.goes_on())["rooms"][room]
    assert first["initial"] is True
    assert first["name"] == "Home"
    assert (first["joined_count"], first["invited_count"], first["num_live"]) == (1, 0, 0)
    assert first["limited"] is True
    assert _types(first["required_state"]) == {("m.room.name", "")}
    assert (await sliding.goes_on())["rooms"] == {}
    await alice.send(room, "two")
    news = (await sliding.goes_on())["rooms"][room]
    assert _bodies(news) == ["two"]
    assert news["num_live"] == 1
    assert news["limited"] is False
    assert "initial" not in news
    assert "name" not in news
    await alice.set_state(room, "m.room.name", {"name": "House"})
    news = (await sliding.goes_on())["rooms"][room]
    assert news["name"] == "House"
    assert _types(news["required_state"]) == {("m.room.name", "")}
    older = await alice.messages(room, **_from(first["prev_batch"]))
    assert first["timeline"][0]["event_id"] not in {event["event_id"] for event in older}


async def test_pos_is_a_token_for_messages(alice: Client) -> None:
    room = await alice.create_room()
    sliding = Sliding(alice, _all())
    await sliding.goes_on()
    await alice.send(room, "later")
    assert _bodies({"timeline": await alice.messages(room, "f", 10, **_from(sliding.pos))}) == ["later"]


async def test_windows_are_by_the_last_event(alice: Client) -> None:
    rooms = [await alice.create_room() for _ in range(3)]
    sliding = Sliding(alice, _all(last=0))
    said = await sliding.goes_on()
    assert said["lists"] == {"all": {"count": 3}}
    assert said["rooms"].keys() == {rooms[2]}
    await alice.send(rooms[0], "up")
    assert (await sliding.goes_on())["rooms"].keys() == {rooms[0]}
    sliding.body = _all(last=9)
    assert (await sliding.goes_on())["rooms"].keys() == {rooms[1]}


async def test_an_answer_may_be_asked_for_again_but_not_an_older_one(alice: Client) -> None:
    room = await alice.create_room()
    sliding = Sliding(alice, _all())
    await sliding.goes_on()
    await alice.send(room, "once")
    for _ in range(3):
        _, lost = await sliding.ask()
        assert _bodies(lost["rooms"][room]) == ["once"]
    old = sliding.pos
    await sliding.goes_on()
    await sliding.goes_on()
    sliding.pos = old
    status, said = await sliding.ask()
    assert (status, said["errcode"]) == (400, "M_UNKNOWN_POS")


async def test_a_pos_belongs_to_its_user_device_and_connection(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    sliding = Sliding(alice, _all())
    await sliding.goes_on()
    for body, client in (
        (_all(), bob),
        (_all(), await alice.log_in()),
        (_all() | {"conn_id": "other"}, alice),
    ):
        status, said = await Sliding(client, body, pos=sliding.pos).ask()
        assert (status, said["errcode"]) == (400, "M_UNKNOWN_POS")
    first = sliding.pos
    sliding.pos = None
    await sliding.goes_on()  # a new connection takes the place of the old one
    sliding.pos = first
    assert (await sliding.ask())[1]["errcode"] == "M_UNKNOWN_POS"


async def test_it_waits_for_news(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    sliding = Sliding(bob, _all())
    await sliding.goes_on()
    waiting = asyncio.create_task(sliding.goes_on(timeout=20_000))
    await alice.send(room, "hello")
    assert _bodies((await waiting)["rooms"][room]) == ["hello"]
    assert (await sliding.goes_on(timeout=50))["rooms"] == {}


async def test_the_timeline_grows_with_its_limit(alice: Client) -> None:
    room = await alice.create_room()
    for number in range(6):
        await alice.send(room, f"{number}")
    sliding = Sliding(alice, _all(limit=1))
    assert _bodies((await sliding.goes_on())["rooms"][room]) == ["5"]
    sliding.body["room_subscriptions"] = {room: {"timeline_limit": 4, "required_state": []}}
    news = (await sliding.goes_on())["rooms"][room]
    assert _bodies(news) == ["2", "3", "4", "5"]
    assert news["unstable_expanded_timeline"] is True
    assert news["num_live"] == 0
    assert (await sliding.goes_on())["rooms"] == {}


async def test_required_state_grows(alice: Client) -> None:
    room = await alice.create_room(name="Home", topic="All of us")
    sliding = Sliding(alice, _all())
    await sliding.goes_on()
    wider = [["m.room.topic", ""], ["m.room.member", "$ME"], ["m.room.name", ""]]
    sliding.body = _all(state=wider)
    news = (await sliding.goes_on())["rooms"][room]
    assert _types(news["required_state"]) == {("m.room.topic", ""), ("m.room.member", alice.user_id)}
    assert (await sliding.goes_on())["rooms"] == {}


async def test_members_are_sent_when_they_are_needed(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    for number in range(3):
        await alice.send(room, f"{number}")
    sliding = Sliding(alice, _all(limit=1, state=[["m.room.member", "$LAZY"], ["*", "*"]]))
    state = _types((await sliding.goes_on())["rooms"][room]["required_state"])
    assert ("m.room.member", alice.user_id) in state
    assert ("m.room.member", bob.user_id) not in state
    assert ("m.room.create", "") in state
    await bob.send(room, "hi")
    news = (await sliding.goes_on())["rooms"][room]
    assert _types(news["required_state"]) == {("m.room.member", bob.user_id)}
    await bob.send(room, "hi again")
    assert (await sliding.goes_on())["rooms"][room]["required_state"] == []


async def test_an_invite_shows_nothing_but_what_came_with_it(alice: Client, bob: Client) -> None:
    room = await alice.create_room(name="Secret garden")
    await alice.send(room, "secret")
    await alice.invite(room, bob)
    sliding = Sliding(bob, _all(state=[["*", "*"]]))
    news = (await sliding.goes_on())["rooms"][room]
    assert news.keys() == {"initial", "invite_state", "bump_stamp"} | (news.keys() & {"is_dm"})
    assert ("m.room.member", bob.user_id) in _types(news["invite_state"])
    await bob.leave(room)
    news = (await sliding.goes_on())["rooms"][room]
    assert [event["content"]["membership"] for event in news["timeline"]] == ["leave"]
    assert (await sliding.goes_on())["rooms"] == {}


async def test_who_leaves_is_told_once_and_who_is_kicked_sees_it(alice: Client, bob: Client) -> None:
    left = await alice.create_room(preset="public_chat")
    kicked = await alice.create_room(preset="public_chat")
    for room in (left, kicked):
        await bob.join(room)
    sliding = Sliding(bob, _all(state=[["m.room.member", "$ME"]]))
    assert (await sliding.goes_on())["lists"]["all"]["count"] == 2
    await bob.leave(left)
    await alice.ok("POST", f"rooms/{quote(kicked)}/kick", json={"user_id": bob.user_id})
    await alice.send(kicked, "bob is gone")
    said = await sliding.goes_on()
    assert said["lists"]["all"]["count"] == 1
    for room in (left, kicked):
        assert sliding.rooms[room].membership == "leave"
        assert _bodies(said["rooms"][room]) == []
    assert (await sliding.goes_on())["rooms"] == {}
    fresh = await Sliding(bob, _all(state=[["*", "*"]]) | {"conn_id": "fresh"}).goes_on()
    assert fresh["rooms"].keys() == {kicked}
    assert _bodies(fresh["rooms"][kicked]) == []
    await bob.join(left)
    assert (await sliding.goes_on())["rooms"][left]["initial"] is True


async def test_a_subscription_is_for_who_may_see_the_room(alice: Client, bob: Client) -> None:
    room = await alice.create_room()
    everything = {"timeline_limit": 10, "required_state": [["*", "*"]]}
    subscribed = {"room_subscriptions": {room: everything, "!nowhere:one.example": everything}}
    assert (await Sliding(bob, subscribed).goes_on())["rooms"] == {}
    sliding = Sliding(alice, subscribed)
    assert (await sliding.goes_on())["rooms"].keys() == {room}


async def test_filters(alice: Client, bob: Client) -> None:
    async def matching(**filters: Any) -> set[str]:
        return set((await Sliding(alice, _all(**filters)).goes_on())["rooms"])

    plain = await alice.create_room(name="Plain")
    secret = await alice.create_room(
        initial_state=[{"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]
    )
    space = await alice.create_room(creation_content={"type": "m.space"})
    invited = await bob.create_room(invite=[alice.user_id])
    await alice.set_state(space, "m.space.child", {"via": ["one.example"]}, plain)
    await alice.ok("PUT", f"user/{alice.user_id}/account_data/m.direct", json={bob.user_id: [secret]})
    tag = f"user/{alice.user_id}/rooms/{quote(plain)}/tags/m.favourite"
    await alice.ok("PUT", tag, json={"order": 0.1})
    assert await matching() == {plain, secret, space, invited}
    assert await matching(is_dm=True) == {secret}
    assert await matching(is_dm=False) == {plain, space, invited}
    assert await matching(is_encrypted=True) == {secret}
    assert await matching(is_invite=True) == {invited}
    assert await matching(spaces=[space]) == {plain}
    assert await matching(room_types=["m.space"]) == {space}
    assert await matching(not_room_types=["m.space"]) == {plain, secret, invited}
    assert await matching(room_types=[None, "m.space"], not_room_types=[None]) == {space}
    assert await matching(tags=["m.favourite"]) == {plain}
    assert await matching(tags=["m.favourite"], not_tags=["m.favourite"]) == set()
    assert await matching(room_name_like="pla") == {plain}
    sliding = Sliding(alice, _all(is_dm=True))
    assert (await sliding.goes_on())["lists"]["all"]["count"] == 1
    direct = {bob.user_id: [secret, plain]}
    await alice.ok("PUT", f"user/{alice.user_id}/account_data/m.direct", json=direct)
    said = await sliding.goes_on(timeout=10_000)
    assert said["lists"]["all"]["count"] == 2
    assert said["rooms"][plain]["is_dm"] is True


async def test_messages_to_the_device_are_acknowledged_by_their_own_token(alice: Client, bob: Client) -> None:
    async def tell(number: int) -> None:
        body = {"messages": {bob.user_id: {bob.device_id: {"n": number}}}}
        await alice.ok("PUT", f"sendToDevice/org.example.note/t{number}", json=body)

    def numbers(said: Json) -> list[int]:
        return [event["content"]["n"] for event in said["extensions"]["to_device"]["events"]]

    for number in range(3):
        await tell(number)
    sliding = Sliding(bob, {"extensions": {"to_device": {"enabled": True, "limit": 2}}})
    for _ in range(2):
        _, said = await sliding.ask()
        assert numbers(said) == [0, 1]
    assert numbers(await sliding.goes_on()) == [0, 1]
    assert numbers(await sliding.goes_on()) == [2]
    waiting = asyncio.create_task(sliding.goes_on(timeout=20_000))
    await tell(3)
    assert numbers(await waiting) == [3]
    again = Sliding(bob, {"extensions": {"to_device": {"enabled": True}}})
    assert numbers(await again.goes_on()) == [3]  # what was acknowledged is gone


async def test_encryption_devices_and_keys(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    sliding = Sliding(alice, {"extensions": {"e2ee": {"enabled": True}}, "conn_id": "encryption"})
    first = (await sliding.goes_on())["extensions"]["e2ee"]
    assert "device_lists" not in first
    assert first["device_one_time_keys_count"] == {"signed_curve25519": 0}
    assert first["device_unused_fallback_key_types"] == []
    keys = {
        "device_keys": {
            "user_id": bob.user_id,
            "device_id": bob.device_id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
            "keys": {f"ed25519:{bob.device_id}": "a", f"curve25519:{bob.device_id}": "b"},
            "signatures": {bob.user_id: {f"ed25519:{bob.device_id}": "c"}},
        }
    }
    waiting = asyncio.create_task(sliding.goes_on(timeout=20_000))
    await bob.ok("POST", "keys/upload", json=keys)
    assert (await waiting)["extensions"]["e2ee"]["device_lists"]["changed"] == [bob.user_id]


async def test_receipts_typing_and_account_data_of_rooms_in_the_window(alice: Client, bob: Client) -> None:
    rooms = [await alice.create_room(preset="public_chat") for _ in range(2)]
    for room in rooms:
        await bob.join(room)
    sent = [await alice.send(room, "read me") for room in rooms]
    extensions = {name: {"enabled": True} for name in ("receipts", "typing", "account_data")}
    sliding = Sliding(alice, _all(last=0) | {"extensions": extensions})
    first = await sliding.goes_on()
    assert first["rooms"].keys() == {rooms[1]}
    assert {event["type"] for event in first["extensions"]["account_data"]["global"]} >= {"m.push_rules"}
    for room, event_id in zip(rooms, sent, strict=True):
        await bob.ok("POST", f"rooms/{quote(room)}/receipt/m.read/{quote(event_id)}", json={})
        await bob.ok(
            "PUT", f"rooms/{quote(room)}/typing/{bob.user_id}", json={"typing": True, "timeout": 60_000}
        )
        await alice.ok("PUT", f"user/{alice.user_id}/rooms/{quote(room)}/tags/u.x", json={})
    said = (await sliding.goes_on())["extensions"]
    for name in extensions:
        assert said[name]["rooms"].keys() == {rooms[1]}, name
    sliding.body["lists"]["all"]["ranges"] = [[0, 5]]
    said = (await sliding.goes_on())["extensions"]
    for name in extensions:
        assert said[name]["rooms"].keys() == {rooms[0]}, name
    assert sliding.rooms[rooms[0]].receipts == {("m.read", bob.user_id): sent[0]}
    assert sliding.rooms[rooms[0]].typing == [bob.user_id]


async def test_what_was_missed_out_of_the_window_is_told_on_coming_back(alice: Client, bob: Client) -> None:
    rooms = [await alice.create_room(preset="public_chat") for _ in range(2)]
    for room in rooms:
        await bob.join(room)
    sent = [await alice.send(room, "read me") for room in rooms]
    extensions = {name: {"enabled": True} for name in ("receipts", "typing", "account_data")}
    sliding = Sliding(alice, _all(last=5) | {"extensions": extensions})
    await sliding.goes_on()
    sliding.body["lists"]["all"]["ranges"] = [[0, 0]]
    await sliding.goes_on()
    away = quote(rooms[0])
    await bob.ok("POST", f"rooms/{away}/receipt/m.read/{quote(sent[0])}", json={})
    await alice.ok("PUT", f"user/{alice.user_id}/rooms/{away}/tags/u.x", json={})
    assert "receipts" not in (await sliding.goes_on())["extensions"]
    sliding.body["lists"]["all"]["ranges"] = [[0, 5]]
    await sliding.goes_on()
    assert sliding.rooms[rooms[0]].receipts == {("m.read", bob.user_id): sent[0]}
    assert sliding.rooms[rooms[0]].account_data == {"m.tag": {"tags": {"u.x": {}}}}


async def test_reading_a_room_is_told_by_its_counts(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    sliding = Sliding(bob, _all())
    await sliding.goes_on()
    event_id = await alice.send(room, "hello")
    assert (await sliding.goes_on())["rooms"][room]["notification_count"] == 1
    other = await bob.log_in()
    await other.ok("POST", f"rooms/{quote(room)}/receipt/m.read/{quote(event_id)}", json={})
    assert (await sliding.goes_on())["rooms"][room]["notification_count"] == 0


async def test_the_accepted_form(alice: Client, bob: Client) -> None:
    room = await alice.create_room(name="Home", invite=[bob.user_id])
    wanted = {"include": [{}], "exclude": [{"type": "m.room.create"}], "lazy_members": True}
    one = {"timeline_limit": 3, "required_state": wanted, "range": [0, 9]}
    said = await alice.ok("POST", ACCEPTED, json={"lists": {"all": one}, "timeout": 0})
    news = said["rooms"][room]
    assert news["membership"] == "join"
    assert news["lists"] == ["all"]
    assert "notification_count" not in news
    assert "m.room.create" not in {event["type"] for event in news["required_state"]}
    await alice.set_state(room, "m.room.name", {})
    body = {"lists": {"all": one}, "pos": said["pos"]}
    assert (await alice.ok("POST", ACCEPTED, json=body))["rooms"][room]["name"] is None
    said = await bob.ok("POST", ACCEPTED, json={"lists": {"all": one | {"filters": {"is_invited": True}}}})
    assert said["rooms"][room]["membership"] == "invite"
    assert said["rooms"][room]["stripped_state"]


async def test_what_cannot_be_meant_is_refused(alice: Client) -> None:
    config = {"timeline_limit": 1, "required_state": []}
    for body, errcode in (
        ({"lists": []}, "M_BAD_JSON"),
        ({"lists": {"a": {"ranges": [[0]]} | config}}, "M_BAD_JSON"),
        ({"lists": {"a": {"ranges": [[5, 2]]} | config}}, "M_INVALID_PARAM"),
        ({"lists": {"a": {"timeline_limit": -1}}}, "M_INVALID_PARAM"),
        ({"lists": {"a": {"timeline_limit": True}}}, "M_BAD_JSON"),
        ({"lists": {"a": {"required_state": [["x"]]}}}, "M_BAD_JSON"),
        ({"lists": {f"{n}": config for n in range(101)}}, "M_INVALID_PARAM"),
        ({"room_subscriptions": {f"!{n}": config for n in range(101)}}, "M_INVALID_PARAM"),
        ({"extensions": {"to_device": {"enabled": True, "since": "x"}}}, "M_INVALID_PARAM"),
        ({"extensions": {"typing": {"enabled": "yes"}}}, "M_BAD_JSON"),
    ):
        status, said = await alice.post(PATH, body)
        assert (status, said["errcode"]) == (400, errcode), body


async def test_quiet_requests_run_no_statement(homeserver: Homeserver, alice: Client) -> None:
    for _ in range(5):
        await alice.create_room()
    extensions = {n: {"enabled": True} for n in ("to_device", "e2ee", "account_data", "receipts", "typing")}
    sliding = Sliding(alice, _all() | {"extensions": extensions})
    for _ in range(3):
        await sliding.goes_on()
    before = homeserver.tenant.database.statements_run
    for _ in range(3):
        assert (await sliding.goes_on())["rooms"] == {}
    assert homeserver.tenant.database.statements_run == before


async def test_another_process_does_not_know_the_connection(
    make_homeserver: MakeHomeserver, redis_url: str
) -> None:
    one = await make_homeserver(redis_url=redis_url)
    two = await make_homeserver(redis_url=redis_url, beside=one)
    alice = await one.user("alice")
    room = await alice.create_room()
    there = Client(two.session, two.url, alice.user_id, alice.device_id, alice.access_token)
    sliding = Sliding(alice, _all())
    await sliding.goes_on()
    elsewhere = Sliding(there, _all(), pos=sliding.pos)
    assert (await elsewhere.ask())[1]["errcode"] == "M_UNKNOWN_POS"
    elsewhere.pos = None
    await elsewhere.goes_on()
    waiting = asyncio.create_task(elsewhere.goes_on(timeout=20_000))
    await alice.send(room, "over there")
    assert _bodies((await waiting)["rooms"][room]) == ["over there"]
    assert _bodies((await sliding.goes_on())["rooms"][room]) == ["over there"]


async def test_ignored_users_and_space_children_follow_their_events(alice: Client, bob: Client) -> None:
    room = await bob.create_room(preset="public_chat")
    await alice.join(room)
    invite = await bob.create_room(invite=[alice.user_id])
    space = await alice.create_room(creation_content={"type": "m.space"})
    sliding = Sliding(alice, _all(spaces=[space]) | {"extensions": {"account_data": {"enabled": True}}})
    sliding.body["lists"]["everything"] = _list()
    assert (await sliding.goes_on())["lists"] == {"all": {"count": 0}, "everything": {"count": 3}}
    await alice.set_state(space, "m.space.child", {"via": ["one.example"]}, room)
    assert (await sliding.goes_on())["lists"]["all"]["count"] == 1
    await alice.set_state(space, "m.space.child", {}, room)
    assert (await sliding.goes_on())["lists"]["all"]["count"] == 0
    assert sliding.rooms[invite].invite_state
    ignored: Json = {"ignored_users": {bob.user_id: {}}}
    await alice.ok("PUT", f"user/{alice.user_id}/account_data/m.ignored_user_list", json=ignored)
    await bob.send(room, "not to be heard")
    said = await sliding.goes_on()
    assert said["lists"]["everything"]["count"] == 2
    assert _bodies(said["rooms"].get(room, {"timeline": []})) == []


def test_connections_are_bounded() -> None:
    connections = Connections(rooms=100)
    for number in range(MAX_OF_DEVICE + 5):
        key = ("@alice:one.example", "DEVICE", f"{number}")
        connections.keep(key, connections.begin(key, now=number))
    known = [key for key in connections._known if key[1] == "DEVICE"]
    assert [key[2] for key in known] == [f"{number}" for number in range(5, MAX_OF_DEVICE + 5)]
