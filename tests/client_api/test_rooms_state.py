"""Setting state: what is refused, and what is not sent again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client_api.stored import events_of, path, state_of
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver

ALIAS = "m.room.canonical_alias"


async def refused(client: Client, room_id: str, event_type: str, content: dict[str, Any]) -> tuple[int, str]:
    """Status and error code."""
    status, said = await client.put(path(room_id, "state", event_type, ""), content)
    return status, said.get("errcode", "")


async def test_all_spellings_of_the_empty_state_key(homeserver: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room()

    for number, url in enumerate((path(room_id, "state", "m.x"), path(room_id, "state", "m.x") + "/")):
        await alice.ok("PUT", url, json={"n": number})
        assert (await state_of(homeserver, room_id))["m.x", ""] == {"n": number}


async def test_the_same_again_is_not_sent(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", power_level_content_override={"state_default": 0})
    first = await alice.set_state(room_id, "m.x", {"a": 1}, "key")
    count = len(await events_of(homeserver, room_id))

    assert await alice.set_state(room_id, "m.x", {"a": 1}, "key") == first
    assert len(await events_of(homeserver, room_id)) == count

    await bob.join(room_id)
    assert await bob.set_state(room_id, "m.x", {"a": 1}, "key") != first
    changed = await alice.set_state(room_id, "m.x", {"a": 2}, "key")
    assert (await events_of(homeserver, room_id))[-1]["event_id"] == changed


async def test_state_replaces_state(homeserver: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room()
    first = await alice.set_state(room_id, "m.x", {"a": 1})
    second = await alice.set_state(room_id, "m.x", {"a": 2})

    stored = {event["event_id"]: event for event in await events_of(homeserver, room_id)}
    assert (stored[first]["replaces_state"], stored[second]["replaces_state"]) == (None, first)


async def test_aliases_must_lead_here(homeserver: Homeserver, alice: Client) -> None:
    await alice.create_room(room_alias_name="elsewhere")
    room_id = await alice.create_room(room_alias_name="here")

    for content, expected in (
        ({"alias": "#nowhere:one.example"}, (400, "M_BAD_ALIAS")),
        ({"alias": "#elsewhere:one.example"}, (400, "M_BAD_ALIAS")),
        ({"alt_aliases": ["#here:one.example", "#elsewhere:one.example"]}, (400, "M_BAD_ALIAS")),
        ({"alias": "nonsense"}, (400, "M_INVALID_PARAM")),
        ({"alt_aliases": "#here:one.example"}, (400, "M_BAD_JSON")),
    ):
        assert await refused(alice, room_id, ALIAS, content) == expected
    await alice.set_state(room_id, ALIAS, {"alt_aliases": ["#here:one.example"]})
    await alice.set_state(room_id, ALIAS, {})
    await alice.set_state(room_id, ALIAS, {"alias": "#here:one.example"})


async def test_encryption_is_not_switched_off(homeserver: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.set_state(room_id, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})

    assert await refused(alice, room_id, "m.room.encryption", {}) == (403, "M_FORBIDDEN")
    await alice.set_state(
        room_id, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2", "rotation_period_msgs": 5}
    )


@pytest.mark.parametrize(
    ("acl", "locked_out"),
    [
        ({"allow": ["*"]}, False),
        ({"allow": ["one.*"]}, False),
        ({"allow": ["ONE.example"], "deny": ["evil.example"]}, False),
        ({"allow": ["*"], "deny": ["one.exampl?"]}, True),
        ({"allow": ["other.example"]}, True),
        ({}, True),
    ],
)
async def test_nobody_shuts_the_own_server_out(alice: Client, acl: dict[str, Any], locked_out: bool) -> None:
    room_id = await alice.create_room()

    status, _ = await alice.put(path(room_id, "state", "m.room.server_acl", ""), acl)

    assert status == (400 if locked_out else 200)


async def test_who_may_set_what(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)

    assert await refused(bob, room_id, "m.room.name", {"name": "Bob's"}) == (403, "M_FORBIDDEN")
    assert await refused(alice, room_id, "m.room.power_levels", {"ban": "50"}) == (400, "M_BAD_JSON")
    status, said = await bob.put(
        path(room_id, "state", "m.room.member", alice.user_id), {"membership": "join"}
    )
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")


async def test_members_are_users(alice: Client) -> None:
    room_id = await alice.create_room()

    for state_key in ("nobody", "@nobody", "@no\u00a0body:one.example:x"):
        url = path(room_id, "state", "m.room.member", state_key)
        status, said = await alice.put(url, {"membership": "ban"})
        assert (status, said["errcode"]) == (400, "M_INVALID_PARAM"), state_key


async def test_who_has_left_learns_of_no_state(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", power_level_content_override={"state_default": 0})
    await bob.join(room_id)
    await bob.set_state(room_id, "m.x", {"a": 1})
    await bob.leave(room_id)

    assert await refused(bob, room_id, "m.x", {"a": 1}) == (403, "M_FORBIDDEN")


async def test_creators_have_no_power_level(alice: Client) -> None:
    room_id = await alice.create_room(room_version="12")
    levels = {"users": {alice.user_id: 100}}
    assert await refused(alice, room_id, "m.room.power_levels", levels) == (400, "M_INVALID_PARAM")
