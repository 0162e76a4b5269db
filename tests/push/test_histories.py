"""Random histories: what the telephone is told of is what counts as unread, and what /notifications lists."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.client_api.test_unread import GLOBAL, HIGHLIGHT, in_thread, mention, text
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.push_gateway import PushGateway, set_pusher

DEFAULTS = f"{GLOBAL}/underride"


async def wants(bob: Client, room: str, how: str) -> None:
    """Bob's rules, once and for all."""
    if how == "mentions":
        await bob.ok("PUT", f"{GLOBAL}/room/{room}", json={"actions": []})
    elif how == "keyword":
        await bob.ok("PUT", f"{GLOBAL}/content/cake", json={"pattern": "cake", "actions": HIGHLIGHT})
    elif how == "sender":
        await bob.ok("PUT", f"{GLOBAL}/sender/@dora:one.example", json={"actions": []})
    elif how == "messages muted":
        await bob.ok("PUT", f"{DEFAULTS}/.m.rule.message/actions", json={"actions": []})
    elif how == "rule off":
        await bob.ok("PUT", f"{DEFAULTS}/.m.rule.room_one_to_one/enabled", json={"enabled": False})
    elif how == "threads":
        rule = f"{GLOBAL}/postcontent/.io.element.msc4306.rule.unsubscribed_thread/enabled"
        await bob.ok("PUT", rule, json={"enabled": True})


@pytest.mark.parametrize(
    "how", ["all", "mentions", "keyword", "sender", "messages muted", "rule off", "threads"]
)
async def test_the_telephone_is_told_of_what_counts(
    homeserver: Homeserver, alice: Client, bob: Client, room: str, gateway: PushGateway, how: str
) -> None:
    dice = random.Random(how)
    people = [alice, await homeserver.user("dora")]
    await people[1].join(room)
    await set_pusher(bob, gateway.url)
    await wants(bob, room, how)
    first = await alice.send(room, "hello")
    for _ in range(40):
        person = dice.choice(people)
        content: dict[str, Any] = dice.choice(
            [
                text("x"),
                text("cake"),
                mention(bob),
                mention(room=True),
                mention(alice),
                text("x", msgtype="m.notice"),
            ]
        )
        about: dict[str, Any] = dice.choice(
            [
                {},
                {},
                in_thread(first, content["body"]),
                {"m.relates_to": {"rel_type": "m.replace", "event_id": first}, "m.new_content": text("y")},
                {"m.relates_to": {"rel_type": "m.reference", "event_id": first}},
            ]
        )
        kinds = ["m.room.message"] * 6 + ["m.sticker", "org.matrix.msc3381.poll.start"]
        # Only who has the power to may ring in a room of many.
        kind = dice.choice([*kinds, "m.call.invite"] if person is alice else kinds)
        await person.send(room, content | {name: one for name, one in about.items() if name != "body"}, kind)
    await people[0].set_state(room, "m.room.topic", {"topic": "nothing"})
    last = await alice.send(room, mention(bob))
    await gateway.until(lambda: last in gateway.events(), 60)
    found = await bob.ok("GET", "notifications", params={"limit": 50})
    listed = [
        one["event"]["event_id"] for one in found["notifications"] if one["event"]["type"] != "m.room.member"
    ]
    told = gateway.events()
    assert told == [event_id for event_id in reversed(listed) if event_id in set(told)]
    assert set(listed) == set(told)
    assert gateway.pushes[-1]["counts"]["unread"] == len(listed)
