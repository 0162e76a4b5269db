"""Who may invite: nobody (MSC4380, in the specification), or as lists of users and servers say (MSC4155)."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.invite_permissions import Verdict, invite_permissions
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver

BLOCK = "m.invite_permission_config"
LISTS = "org.matrix.msc4155.invite_permission_config"
SLIDING = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"


async def say(user: Client, type: str, **content: Any) -> None:
    """Sets the user's account data."""
    await user.ok("PUT", f"user/{user.user_id}/account_data/{type}", json=content)


async def told(user: Client) -> set[str]:
    """The rooms to which the user is invited, as all ways of listening tell it."""
    invited = set((await user.sync(since="")).get("rooms", {}).get("invite", {}))
    asked = {"timeline_limit": 0, "required_state": [], "ranges": [[0, 99]], "filters": {"is_invite": True}}
    sliding = await user.ok("POST", SLIDING, json={"lists": {"invites": asked}})
    assert set(sliding["rooms"]) == invited
    rooms = (await user.ok("GET", "initialSync"))["rooms"]
    assert {room["room_id"] for room in rooms if room["membership"] == "invite"} == invited
    return invited


async def invite(host: Client, guest: Client) -> tuple[int, Any]:
    """The answer to an invite to a new room of the host."""
    return await host.post(f"rooms/{await host.create_room()}/invite", {"user_id": guest.user_id})


@pytest.mark.parametrize("type", [BLOCK, "org.matrix.msc4380.invite_permission_config"])
async def test_who_blocks_all_invites_is_not_invited(alice: Client, bob: Client, type: str) -> None:
    old = await bob.create_room(invite=[alice.user_id])
    assert await told(alice) == {old}
    await say(alice, type, default_action="block")
    assert await told(alice) == set(), "what was there before is hidden"
    status, said = await invite(bob, alice)
    assert (status, said["errcode"]) == (403, "M_INVITE_BLOCKED")
    room = await bob.create_room()
    content = {"membership": "invite"}
    status, said = await bob.put(f"rooms/{room}/state/m.room.member/{alice.user_id}", content)
    assert (status, said["errcode"]) == (403, "M_INVITE_BLOCKED")
    await say(alice, type, default_action="allow")
    assert await told(alice) == {old}
    assert (await invite(bob, alice))[0] == 200


async def test_a_blocked_user_is_refused_and_an_ignored_one_learns_nothing(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    carol, dora = await homeserver.user("carol"), await homeserver.user("dora")
    await say(alice, LISTS, blocked_users=[bob.user_id], ignored_users=["@car?l:*"])
    status, said = await invite(bob, alice)
    assert (status, said["errcode"]) == (403, "M_INVITE_BLOCKED")
    assert (await invite(carol, alice))[0] == 200
    assert await told(alice) == set()
    assert (await invite(dora, alice))[0] == 200
    assert len(await told(alice)) == 1
    await say(alice, LISTS, enabled=False, blocked_users=[bob.user_id])
    assert (await invite(bob, alice))[0] == 200
    assert len(await told(alice)) == 3


async def test_who_listens_hears_of_an_allowed_invite_only(alice: Client, bob: Client) -> None:
    await say(alice, LISTS, ignored_users=[bob.user_id])
    await alice.sync()
    assert (await invite(bob, alice))[0] == 200
    assert "rooms" not in await alice.sync()
    await say(alice, LISTS, ignored_users=[])
    await alice.sync()
    assert (await invite(bob, alice))[0] == 200
    reply = await alice.sync_until(lambda reply: reply.get("rooms", {}).get("invite"))
    assert len(reply["rooms"]["invite"]) == 1


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        ({}, Verdict.ALLOWED),
        ({"blocked_users": None, "blocked_servers": 7}, Verdict.ALLOWED),
        ({"blocked_servers": ["two.*"]}, Verdict.BLOCKED),
        ({"ignored_servers": ["two.example"]}, Verdict.IGNORED),
        ({"blocked_servers": ["TWO.example"]}, Verdict.ALLOWED),
        ({"allowed_users": ["@a:*"], "blocked_servers": ["*"]}, Verdict.ALLOWED),
        ({"allowed_users": ["@a:*"], "ignored_users": ["@a:*"], "blocked_users": ["@a:*"]}, Verdict.ALLOWED),
        ({"ignored_users": ["@a:*"], "blocked_users": ["@a:*"]}, Verdict.IGNORED),
        ({"blocked_users": ["@?:two.example:8448"], "allowed_servers": ["*"]}, Verdict.BLOCKED),
        ({"blocked_users": ["@b:*", 1, {}]}, Verdict.ALLOWED),
    ],
)
def test_the_first_list_that_has_the_sender_decides(content: dict[str, Any], verdict: Verdict) -> None:
    assert invite_permissions({LISTS: content}).verdict("@a:two.example:8448") is verdict


def test_blocking_all_goes_before_the_lists() -> None:
    both = invite_permissions({LISTS: {"allowed_users": ["*"]}, BLOCK: {"default_action": "block"}})
    assert both.verdict("@a:two.example") is Verdict.BLOCKED
