"""Replacing a room by one of another version."""

from __future__ import annotations

import pytest

from tests.client_api.stored import events_of, path, state_of
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver


async def upgraded(client: Client, room_id: str, version: str, **more: object) -> str:
    """The new room's ID."""
    said = await client.ok("POST", path(room_id, "upgrade"), json={"new_version": version, **more})
    return str(said["replacement_room"])


@pytest.mark.parametrize(("old", "new"), [("1", "9"), ("9", "11"), ("10", "12"), ("12", "12"), ("12", "11")])
async def test_the_new_room_is_as_the_old_one(
    homeserver: Homeserver, alice: Client, old: str, new: str
) -> None:
    room_id = await alice.create_room(
        room_version=old,
        preset="public_chat",
        visibility="public",
        room_alias_name="place",
        name="Place",
        topic="Topic",
        creation_content={"type": "m.space"},
        initial_state=[
            {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
            {"type": "m.room.guest_access", "content": {"guest_access": "forbidden"}},
            {"type": "m.room.server_acl", "content": {"allow": ["*"]}},
            {"type": "m.space.child", "state_key": "!child:one.example", "content": {"via": ["one.example"]}},
            {
                "type": "m.room.image_pack",
                "state_key": "cats",
                "content": {"images": {"cat": {"url": "mxc://a/b"}}},
            },
            {"type": "im.ponies.room_emotes", "state_key": "", "content": {"images": {}}},
        ],
    )
    await alice.ok("POST", path(room_id, "ban"), json={"user_id": "@troll:one.example", "reason": "trolling"})
    before = await state_of(homeserver, room_id)

    replacement = await upgraded(alice, room_id, new)

    after, left = await state_of(homeserver, replacement), await state_of(homeserver, room_id)
    for kept in (
        ("m.room.name", ""),
        ("m.room.topic", ""),
        ("m.room.join_rules", ""),
        ("m.room.history_visibility", ""),
        ("m.room.guest_access", ""),
        ("m.room.encryption", ""),
        ("m.room.server_acl", ""),
        ("m.room.canonical_alias", ""),
        ("m.space.child", "!child:one.example"),
        ("m.room.image_pack", "cats"),
        ("im.ponies.room_emotes", ""),
        ("m.room.member", "@troll:one.example"),
        ("m.room.member", alice.user_id),
    ):
        assert after[kept] == before[kept], kept
    create = after["m.room.create", ""]
    assert (create["room_version"], create["type"]) == (new, "m.space")
    assert left["m.room.tombstone", ""]["replacement_room"] == replacement
    assert left["m.room.canonical_alias", ""] == {}
    tombstone = next(
        e["event_id"] for e in await events_of(homeserver, room_id) if e["type"] == "m.room.tombstone"
    )
    named = {"room_id": room_id} if new == "12" else {"room_id": room_id, "event_id": tombstone}
    assert create["predecessor"] == named


async def test_aliases_and_the_directory_follow(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(visibility="public", room_alias_name="place")

    replacement = await upgraded(alice, room_id, "12")

    assert await bob.join("#place:one.example") == replacement
    async with homeserver.tenant.database.read() as tx:
        assert await tx.fetchval("SELECT array_agg(room_id) FROM published_rooms") == [replacement]


async def test_power_is_copied(homeserver: Homeserver, alice: Client) -> None:
    levels = {
        "users": {alice.user_id: 100, "@mod:one.example": 50},
        "users_default": 5,
        "events": {"m.room.name": 10},
        "events_default": 7,
        "state_default": 60,
        "ban": 70,
        "kick": 70,
        "redact": 70,
        "invite": 70,
    }
    room_id = await alice.create_room(room_version="10", power_level_content_override=levels)

    to_11 = await state_of(homeserver, await upgraded(alice, room_id, "11"))
    left = await state_of(homeserver, room_id)

    assert to_11["m.room.power_levels", ""] == {**levels, "historical": 100}
    assert left["m.room.power_levels", ""] == {
        **levels,
        "historical": 100,
        "events_default": 50,
        "invite": 70,
    }


async def test_a_moderator_with_less_power_than_all_may_upgrade(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    levels = {
        "users": {alice.user_id: 100, bob.user_id: 50},
        "events": {"m.room.tombstone": 50, "m.room.power_levels": 100, "m.room.encryption": 100},
    }
    room_id = await alice.create_room(
        room_version="10",
        preset="public_chat",
        power_level_content_override=levels,
        initial_state=[{"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}],
    )
    await bob.join(room_id)

    after = await state_of(homeserver, await upgraded(bob, room_id, "11"))

    assert after["m.room.power_levels", ""]["users"] == {alice.user_id: 100, bob.user_id: 50}
    assert after["m.room.encryption", ""]["algorithm"] == "m.megolm.v1.aes-sha2"


async def test_creators_of_version_12_are_not_in_the_power_levels(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    users = {alice.user_id: 100, bob.user_id: 50}
    room_id = await alice.create_room(room_version="11", power_level_content_override={"users": users})

    new = await upgraded(alice, room_id, "12", additional_creators=[bob.user_id])
    to_12 = await state_of(homeserver, new)
    assert to_12["m.room.create", ""]["additional_creators"] == [bob.user_id]
    assert to_12["m.room.power_levels", ""]["users"] == {}
    assert to_12["m.room.power_levels", ""]["events"]["m.room.tombstone"] == 150

    back = await state_of(homeserver, await upgraded(alice, new, "11"))
    assert back["m.room.power_levels", ""]["users"] == {alice.user_id: 100, bob.user_id: 100}
    assert back["m.room.power_levels", ""]["events"]["m.room.tombstone"] == 100


async def test_who_may_and_to_what(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)

    for room, client, body, expected in (
        (room_id, bob, {"new_version": "11"}, (403, "M_FORBIDDEN")),
        ("!nowhere:one.example", bob, {"new_version": "11"}, (403, "M_FORBIDDEN")),
        (room_id, alice, {"new_version": "thirteen"}, (400, "M_UNSUPPORTED_ROOM_VERSION")),
        (room_id, alice, {}, (400, "M_MISSING_PARAM")),
    ):
        status, said = await client.post(path(room, "upgrade"), body)
        assert (status, said["errcode"]) == expected
    assert await alice.send(room_id, "still here")


async def test_what_a_user_had_set_comes_along(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    for client in (alice, bob):
        user = f"user/{client.user_id}"
        await client.ok("PUT", f"{user}/{path(room_id)}/tags/m.favourite", json={"order": 0.5})
        await client.ok(
            "PUT", f"{user}/account_data/m.direct", json={"@x:one.example": [room_id], "@y:z": ["!other"]}
        )
        rule = f"pushrules/global/room/{path(room_id).removeprefix('rooms/')}"
        await client.ok("PUT", rule, json={"actions": []})

    replacement = await upgraded(alice, room_id, "12")
    await bob.join(replacement)

    for client in (alice, bob):
        user = f"user/{client.user_id}"
        tags = await client.ok("GET", f"{user}/{path(replacement)}/tags")
        assert tags == {"tags": {"m.favourite": {"order": 0.5}}}
        direct = await client.ok("GET", f"{user}/account_data/m.direct")
        assert direct == {"@x:one.example": [room_id, replacement], "@y:z": ["!other"]}
        rules = await client.ok("GET", "pushrules/global/")
        assert {rule["rule_id"] for rule in rules["room"]} == {room_id, replacement}


async def test_what_the_maker_of_a_room_had_set_for_its_predecessor_comes_along(alice: Client) -> None:
    old = await alice.create_room()
    await alice.ok("PUT", f"pushrules/global/room/{old}", json={"actions": []})

    new = await alice.create_room(creation_content={"predecessor": {"room_id": old}})

    rules = (await alice.ok("GET", "pushrules/"))["global"]["room"]
    assert {rule["rule_id"]: rule["actions"] for rule in rules} == {old: [], new: []}
