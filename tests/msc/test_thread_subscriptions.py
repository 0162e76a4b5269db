"""Thread subscriptions (MSC4306): made by hand or by the client, told to the user's devices (MSC4308), heeded by push rules."""

from __future__ import annotations

from typing import Any

from tests.fixtures.client import Client

BASE = "/_matrix/client/unstable/io.element.msc4306/rooms"
CATCH_UP = "/_matrix/client/unstable/io.element.msc4308/thread_subscriptions"
SLIDING = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
EXTENSION = "io.element.msc4308.thread_subscriptions"
RULES = "pushrules/global/postcontent/.io.element.msc4306.rule"


def path(room: str, root: str) -> str:
    """Of the subscription."""
    return f"{BASE}/{room}/thread/{root}/subscription"


async def reply(user: Client, room: str, root: str, **more: Any) -> str:
    """A message in the thread; its ID."""
    content = {
        "msgtype": "m.text",
        "body": "a reply",
        "m.relates_to": {"rel_type": "m.thread", "event_id": root},
    }
    return await user.send(room, content | more)


async def state(user: Client, room: str, root: str) -> bool | None:
    """Whether the subscription is automatic; None where there is none."""
    status, said = await user.get(path(room, root))
    assert status in (200, 404)
    return bool(said["automatic"]) if status == 200 else None


async def sliding(user: Client, pos: str | None = None, limit: int = 10, timeout: int = 0) -> tuple[str, Any]:
    """The position after a request, and what the extension says in it."""
    params = {"timeout": timeout} | ({"pos": pos} if pos else {})
    body = {"extensions": {EXTENSION: {"enabled": True, "limit": limit}}}
    said = await user.ok("POST", SLIDING, params=params, json=body)
    return said["pos"], said["extensions"].get(EXTENSION)


async def test_subscribing_by_hand_and_unsubscribing(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    root = await alice.send(room, "what do you think?")
    assert await state(alice, room, root) is None
    for _ in range(2):
        await alice.ok("PUT", path(room, root), json={})
        assert await state(alice, room, root) is False
    assert await state(bob, room, root) is None
    for _ in range(2):
        await alice.ok("DELETE", path(room, root))
        assert await state(alice, room, root) is None


async def test_the_client_subscribes_because_of_an_event_in_the_thread(alice: Client) -> None:
    room = await alice.create_room()
    root, other = await alice.send(room, "one"), await alice.send(room, "other")
    here, there = await reply(alice, room, root), await reply(alice, room, other)
    for cause in (root, there):
        status, said = await alice.put(path(room, root), {"automatic": cause})
        assert (status, said["errcode"]) == (400, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD")
    await alice.ok("PUT", path(room, root), json={"automatic": here})
    assert await state(alice, room, root) is True
    await alice.ok("PUT", path(room, root), json={})
    await alice.ok("PUT", path(room, root), json={"automatic": here})
    assert await state(alice, room, root) is False, "what was done by hand stays so"


async def test_what_came_before_the_user_unsubscribed_does_not_subscribe_again(alice: Client) -> None:
    room = await alice.create_room()
    root = await alice.send(room, "root")
    before = await reply(alice, room, root)
    await alice.ok("PUT", path(room, root), json={"automatic": before})
    await alice.ok("DELETE", path(room, root))
    status, said = await alice.put(path(room, root), {"automatic": before})
    assert (status, said["errcode"]) == (409, "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION")
    assert await state(alice, room, root) is None
    await alice.ok("PUT", path(room, root), json={"automatic": await reply(alice, room, root)})
    assert await state(alice, room, root) is True


async def test_threads_that_the_user_cannot_see(alice: Client, bob: Client) -> None:
    room = await alice.create_room()
    root = await alice.send(room, "root")
    for user, thread in ((alice, "$nothing"), (bob, root)):
        for answer in (
            await user.get(path(room, thread)),
            await user.put(path(room, thread)),
            await user.delete(path(room, thread)),
        ):
            assert (answer[0], answer[1]["errcode"]) == (404, "M_NOT_FOUND")


async def test_sliding_sync_tells_of_subscriptions(alice: Client) -> None:
    room = await alice.create_room()
    one, two = await alice.send(room, "one"), await alice.send(room, "two")
    await alice.ok("PUT", path(room, one), json={})
    await alice.ok("PUT", path(room, two), json={})
    await alice.ok("DELETE", path(room, two))
    pos, said = await sliding(alice)
    assert list(said) == ["subscribed"]
    assert said["subscribed"][room].keys() == {one}
    assert said["subscribed"][room][one]["automatic"] is False
    pos, nothing = await sliding(alice, pos)
    assert nothing is None
    await alice.ok("DELETE", path(room, one))
    pos, gone = await sliding(alice, pos, timeout=10_000)
    assert gone["unsubscribed"][room][one]["bump_stamp"] > said["subscribed"][room][one]["bump_stamp"]


async def test_what_sliding_sync_has_left_out_can_be_caught_up_with(alice: Client) -> None:
    room = await alice.create_room()
    roots = [await alice.send(room, str(number)) for number in range(5)]
    first, _ = await sliding(alice)
    for root in roots:
        await alice.ok("PUT", path(room, root), json={})
    _, said = await sliding(alice, first, limit=2)
    assert said["subscribed"][room].keys() == set(roots[3:])
    found, start = [], said["prev_batch"]
    while start is not None:
        params = {"dir": "b", "from": start, "to": first, "limit": 2}
        page = await alice.ok("GET", CATCH_UP, params=params)
        found.append(set(page["subscribed"][room]))
        start = page.get("end")
    assert found == [set(roots[1:3]), set(roots[:1])]
    everything = await alice.ok("GET", CATCH_UP, params={"dir": "b"})
    assert everything["subscribed"][room].keys() == set(roots)
    assert (await alice.get(CATCH_UP, params={"dir": "f"}))[0] == 400
    assert (await alice.get(CATCH_UP, params={"dir": "b", "from": "x"}))[0] == 400


async def test_with_its_rules_on_a_user_is_told_of_subscribed_threads_only(
    alice: Client, bob: Client
) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    root, other = await alice.send(room, "one"), await alice.send(room, "other")
    rules = (await bob.ok("GET", "pushrules/"))["global"]["postcontent"]
    assert [rule["enabled"] for rule in rules] == [False, False], (
        "they change nothing for who does not know them"
    )
    await bob.ok("PUT", path(room, root), json={})
    for rule in ("unsubscribed_thread", "subscribed_thread"):
        await bob.ok("PUT", f"{RULES}.{rule}/enabled", json={"enabled": True})
    here = await reply(alice, room, root)
    await reply(alice, room, other)
    mention = await reply(alice, room, other, **{"m.mentions": {"user_ids": [bob.user_id]}})
    shown = (await bob.sync(filter='{"room":{"timeline":{"unread_thread_notifications":true}}}'))["rooms"][
        "join"
    ][room]
    counts = {r: c["notification_count"] for r, c in shown["unread_thread_notifications"].items()}
    assert counts == {root: 1, other: 1}
    told = (await bob.ok("GET", "notifications"))["notifications"]
    by_id = {entry["event"]["event_id"]: entry["actions"] for entry in told}
    assert by_id[here] == ["notify", {"set_tweak": "sound", "value": "default"}]
    assert mention in by_id
    assert len(by_id) == 4, "and of what is in no thread, as ever"


async def test_nobody_makes_rules_of_that_kind(alice: Client) -> None:
    status, said = await alice.put("pushrules/global/postcontent/mine", {"actions": ["notify"]})
    assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")
