"""Creating rooms with everything that a client may ask for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.client_api.stored import events_of, membership, state_of
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock

VERSIONS = [str(number) for number in range(1, 13)]


async def test_a_room_begins_in_the_specifications_order(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await alice.create_room(
        room_alias_name="order",
        name="Name",
        topic="Topic",
        invite=[bob.user_id],
        initial_state=[{"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}],
    )

    events = await events_of(homeserver, room_id)
    assert [event["type"] for event in events] == [
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.canonical_alias",
        "m.room.join_rules",
        "m.room.history_visibility",
        "m.room.guest_access",
        "m.room.encryption",
        "m.room.name",
        "m.room.topic",
        "m.room.member",
    ]
    assert [event["depth"] for event in events] == list(range(1, 12))


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_creator_has_all_power(homeserver: Homeserver, alice: Client, version: str) -> None:
    room_id = await alice.create_room(room_version=version)

    state = await state_of(homeserver, room_id)
    create = (await events_of(homeserver, room_id))[0]
    levels = state["m.room.power_levels", ""]
    assert state["m.room.create", ""]["room_version"] == version
    if version == "12":
        assert room_id == "!" + create["event_id"][1:]
        assert "room_id" not in create["json"]
        assert levels["users"] == {}
        assert levels["events"]["m.room.tombstone"] == 150
    else:
        assert room_id.endswith(":one.example")
        assert levels["users"] == {alice.user_id: 100}
        assert levels["events"]["m.room.tombstone"] == 100
    assert ("creator" in create["json"]["content"]) is (int(version) <= 10)


@pytest.mark.parametrize(
    ("request_", "join_rule", "guest_access", "invite_level"),
    [
        ({}, "invite", "can_join", 0),
        ({"visibility": "public"}, "public", None, 50),
        ({"visibility": "public", "preset": "private_chat"}, "invite", "can_join", 0),
        ({"preset": "public_chat"}, "public", None, 50),
        ({"preset": "trusted_private_chat"}, "invite", "can_join", 0),
    ],
)
async def test_presets(
    homeserver: Homeserver,
    alice: Client,
    request_: dict[str, Any],
    join_rule: str,
    guest_access: str | None,
    invite_level: int,
) -> None:
    state = await state_of(homeserver, await alice.create_room(**request_))

    assert state["m.room.join_rules", ""] == {"join_rule": join_rule}
    assert state["m.room.history_visibility", ""] == {"history_visibility": "shared"}
    assert state.get(("m.room.guest_access", ""), {}).get("guest_access") == guest_access
    assert state["m.room.power_levels", ""]["invite"] == invite_level


async def test_the_trusted_get_the_creators_power(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    trusted = {"preset": "trusted_private_chat", "invite": [bob.user_id]}

    old = await state_of(homeserver, await alice.create_room(room_version="11", **trusted))
    new = await state_of(homeserver, await alice.create_room(room_version="12", **trusted))

    assert old["m.room.power_levels", ""]["users"] == {alice.user_id: 100, bob.user_id: 100}
    assert new["m.room.create", ""]["additional_creators"] == [bob.user_id]
    assert new["m.room.power_levels", ""]["users"] == {}


async def test_a_public_room_stands_in_the_directory(homeserver: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room(visibility="public", room_alias_name="shown")

    async with homeserver.tenant.database.read() as tx:
        assert [row["room_id"] for row in await tx.fetch("SELECT room_id FROM published_rooms")] == [room_id]
        aliases = await tx.fetch("SELECT alias, room_id, creator FROM aliases")
    assert [tuple(row) for row in aliases] == [("#shown:one.example", room_id, alice.user_id)]


async def test_a_direct_invite_says_so(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(is_direct=True, invite=[bob.user_id])

    invite = (await state_of(homeserver, room_id))["m.room.member", bob.user_id]
    assert (invite["membership"], invite["is_direct"]) == ("invite", True)
    assert (await membership(homeserver, room_id, bob.user_id))["membership"] == "invite"


async def test_what_is_given_comes_before_the_preset_and_after_the_name(
    homeserver: Homeserver, alice: Client
) -> None:
    initial_state = [
        {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}},
        {"type": "m.room.name", "content": {"name": "overwritten"}},
        {"type": "org.example.thing", "state_key": "key", "content": {"a": 1}},
    ]
    room_id = await alice.create_room(initial_state=initial_state, name="Name", topic="Topic")

    state = await state_of(homeserver, room_id)
    assert state["m.room.history_visibility", ""] == {"history_visibility": "joined"}
    assert state["m.room.name", ""] == {"name": "Name"}
    assert state["m.room.topic", ""] == {"topic": "Topic", "m.topic": {"m.text": [{"body": "Topic"}]}}
    assert state["org.example.thing", "key"] == {"a": 1}


async def test_creation_content_cannot_say_who_or_which_version(
    homeserver: Homeserver, alice: Client
) -> None:
    content = {"type": "m.space", "creator": "@evil:one.example", "room_version": "1", "m.federate": False}
    room_id = await alice.create_room(room_version="10", creation_content=content)

    assert (await state_of(homeserver, room_id))["m.room.create", ""] == {
        "type": "m.space",
        "creator": alice.user_id,
        "room_version": "10",
        "m.federate": False,
    }


async def test_power_levels_are_overridden_key_by_key(homeserver: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room(
        power_level_content_override={"events_default": 10, "events": {"m.x": 1}}
    )

    levels = (await state_of(homeserver, room_id))["m.room.power_levels", ""]
    assert (levels["events_default"], levels["events"], levels["ban"]) == (10, {"m.x": 1}, 50)


@pytest.mark.parametrize(
    ("request_", "errcode"),
    [
        ({"room_version": "thirteen"}, "M_UNSUPPORTED_ROOM_VERSION"),
        ({"room_version": 12}, "M_BAD_JSON"),
        ({"visibility": "somewhat"}, "M_INVALID_PARAM"),
        ({"preset": "party"}, "M_INVALID_PARAM"),
        ({"room_alias_name": "with space"}, "M_INVALID_PARAM"),
        ({"room_alias_name": "#full:one.example"}, "M_INVALID_PARAM"),
        ({"room_alias_name": "x" * 300}, "M_INVALID_PARAM"),
        ({"invite": ["nobody"]}, "M_INVALID_PARAM"),
        ({"invite": "@bob:one.example"}, "M_BAD_JSON"),
        ({"invite_3pid": [{"medium": "email"}]}, "M_MISSING_PARAM"),
        (
            {
                "invite_3pid": [
                    {"id_server": "i", "id_access_token": "t", "medium": "email", "address": "a@b.c"}
                ]
            },
            "M_SERVER_NOT_TRUSTED",
        ),
        ({"initial_state": [{"content": {}}]}, "M_MISSING_PARAM"),
        ({"initial_state": [{"type": "m.room.create", "content": {}}]}, "M_INVALID_ROOM_STATE"),
        (
            {"room_version": "11", "power_level_content_override": {"users": {"@b:one.example": 1}}},
            "M_BAD_JSON",
        ),
        (
            {"room_version": "12", "power_level_content_override": {"users": {"@alice:one.example": 1}}},
            "M_BAD_JSON",
        ),
        ({"power_level_content_override": {"events_default": "50"}}, "M_BAD_JSON"),
        (
            {
                "room_version": "11",
                "name": "N",
                "power_level_content_override": {"users": {"@alice:one.example": 1}},
            },
            "M_INVALID_ROOM_STATE",
        ),
        ({"creation_content": {"additional_creators": "@bob:one.example"}}, "M_BAD_JSON"),
        ({"creation_content": {"additional_creators": ["@bob:$one$"]}}, "M_INVALID_PARAM"),
        ({"creation_content": {"additional_creators": ["bob"]}}, "M_INVALID_PARAM"),
    ],
)
async def test_rooms_that_cannot_be(
    homeserver: Homeserver, alice: Client, request_: dict[str, Any], errcode: str
) -> None:
    status, said = await alice.post("createRoom", request_)

    assert (status, said["errcode"]) == (400, errcode)
    async with homeserver.tenant.database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM rooms") == 0
        assert await tx.fetchval("SELECT count(*) FROM events") == 0


async def test_an_alias_is_taken_once(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    await alice.create_room(room_alias_name="only")

    status, said = await bob.post("createRoom", {"room_alias_name": "only"})

    assert (status, said["errcode"]) == (400, "M_ROOM_IN_USE")
    async with homeserver.tenant.database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM rooms") == 1


async def test_nobody_without_an_account_creates_rooms(homeserver: Homeserver) -> None:
    status, said = await homeserver.nobody().post("createRoom", {})

    assert (status, said["errcode"]) == (401, "M_MISSING_TOKEN")


async def test_rooms_made_alike_at_the_same_time_are_two(make_homeserver: MakeHomeserver) -> None:
    alice = await (await make_homeserver(clock=FakeClock())).user("alice")
    rooms = await asyncio.gather(*(alice.create_room(preset="public_chat", name="A room") for _ in range(3)))
    assert len(set(rooms)) == 3
    for room in rooms:
        await alice.send(room, "hello")
