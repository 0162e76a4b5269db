"""Unread counts after random things have happened in a room, against a model that counts one by one."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.client_api.test_unread import (
    BY_THREAD,
    GLOBAL,
    HIGHLIGHT,
    Counts,
    in_thread,
    mention,
    pair,
    read,
    text,
    threads,
)
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver


@dataclass
class Said:
    """A message as the model of the room knows it."""

    event_id: str
    sender: str
    root: str
    content: dict[str, Any]
    is_quiet: bool = False  # an edit, or a reaction
    carols_mode: str = ""  # then: the rules of those who look out for words are asked at each message
    is_redacted: bool = False


@dataclass
class Model:
    """A room of which everybody has seen everything so far, and what is unread in it by the rules of the test: Alice may
    notify the room, and Carol looks out for cake. Who is ignored, and how the room is heard, counts for what was said before too.
    """

    said: list[Said] = field(default_factory=list)
    points: dict[tuple[str, str | None], int] = field(default_factory=dict)
    ignored: dict[str, str | None] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)

    def says(
        self, sender: str, event_id: str, content: dict[str, Any], root: str = "", *, is_quiet: bool = False
    ) -> None:
        carols_mode = next((mode for user_id, mode in self.modes.items() if user_id.startswith("@carol")), "")
        self.said.append(Said(event_id, sender, root, content, is_quiet, carols_mode))
        self.reads(sender, root, event_id)

    def comes_anew(self, user_id: str) -> None:
        self.points[user_id, None] = len(self.said) - 1

    def reads(self, user_id: str, slot: str | None, event_id: str) -> None:
        place = next(n for n, said in enumerate(self.said) if said.event_id == event_id)
        self.points[user_id, slot] = max(self.points.get((user_id, slot), -1), place)

    def redacts(self, event_id: str) -> None:
        next(said for said in self.said if said.event_id == event_id).is_redacted = True

    def unread(self, user_id: str) -> dict[str, Counts]:
        found: dict[str, Counts] = {"": (0, 0)}
        for place, said in enumerate(self.said):
            point = max(self.points.get((user_id, slot), -1) for slot in (None, said.root))
            if place <= point or said.is_redacted or self.ignored.get(user_id) == said.sender:
                continue
            notify, highlight = self._counts(said, user_id)
            before = found.get(said.root, (0, 0))
            found[said.root] = before[0] + notify, before[1] + highlight
        return {root: counts for root, counts in found.items() if not root or any(counts)}

    def _counts(self, said: Said, user_id: str) -> Counts:
        mentions = said.content.get("m.mentions", {})
        by_room = mentions.get("room", False) and said.sender.startswith("@alice")
        is_mentioned = by_room or user_id in mentions.get("user_ids", ())
        has_cake = said.content.get("body") == "cake" and user_id.startswith("@carol") and not said.is_quiet
        match said.carols_mode if user_id.startswith("@carol") else self.modes.get(user_id):
            case "muted":
                return 0, 0
            case "mentions":
                return int(is_mentioned or has_cake), int(is_mentioned or has_cake)
        return int(is_mentioned or not said.is_quiet), int(is_mentioned or has_cake)


STEPS = [
    *[
        "say",
        "say",
        "say",
        "aside",
        "aside",
        "about",
        "edit",
        "react",
        "read",
        "read",
        "read thread",
        "redact",
    ],
    *["ignore", "mode", "return", "look", "look", "look"],
]


async def ignores(person: Client, user_id: str | None) -> None:
    """This one, and nobody else."""
    content = {"ignored_users": {} if user_id is None else {user_id: {}}}
    await person.ok("PUT", f"user/{person.user_id}/account_data/m.ignored_user_list", json=content)


async def hears(person: Client, room: str, mode: str) -> None:
    """All that is said, only what mentions the person, or nothing."""
    for kind in ("room", "override"):
        await person.delete(f"{GLOBAL}/{kind}/{room}")
    if mode == "mentions":
        await person.ok("PUT", f"{GLOBAL}/room/{room}", json={"actions": []})
    elif mode == "muted":
        in_room = [{"kind": "event_match", "key": "room_id", "pattern": room}]
        rule = {"actions": [], "conditions": in_room}
        await person.ok("PUT", f"{GLOBAL}/override/{room}", json=rule)


@pytest.mark.parametrize("seed", range(6))
async def test_unread_is_what_was_said_since_one_read_remembered_or_read_anew(
    homeserver: Homeserver, seed: int
) -> None:
    dice, model = random.Random(seed), Model()
    alice, bob, carol = people = [await homeserver.user(name) for name in ("alice", "bob", "carol")]
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await carol.join(room)
    await carol.ok("PUT", f"{GLOBAL}/content/cake", json={"pattern": "cake", "actions": HIGHLIGHT})
    shown: dict[str, dict[str, Counts]] = {person.user_id: {"": (0, 0)} for person in people}
    for person in people:
        await person.sync(filter=BY_THREAD)
    model.says(alice.user_id, await alice.send(room, "first"), text("first"))
    for step in dice.choices(STEPS, k=80):
        person = dice.choice(people)
        main = [said.event_id for said in model.said if said.root == ""]
        # What is about another event cannot begin a thread.
        roots = [said.event_id for said in model.said if "m.relates_to" not in said.content][:3]
        content = dice.choice([text("x"), text("cake"), mention(dice.choice(people)), mention(room=True)])
        if step == "say":
            model.says(person.user_id, await person.send(room, content), content)
        elif step == "aside":
            root = dice.choice(roots)
            model.says(
                person.user_id,
                await person.send(room, content | in_thread(root, content["body"])),
                content | in_thread(root, content["body"]),
                root,
            )
        elif step == "about":
            about = dice.choice(model.said)
            relates = {"m.relates_to": {"rel_type": "m.reference", "event_id": about.event_id}}
            model.says(
                person.user_id, await person.send(room, content | relates), content | relates, about.root
            )
        elif step == "edit":
            about = dice.choice([said for said in model.said if not said.is_quiet])
            edit = content | {"m.relates_to": {"rel_type": "m.replace", "event_id": about.event_id}}
            edit |= {"m.new_content": text("better")}
            model.says(person.user_id, await person.send(room, edit), edit, about.root, is_quiet=True)
        elif step == "react":
            about = dice.choice(model.said)
            reaction: dict[str, Any] = {
                "m.relates_to": {
                    "rel_type": "m.annotation",
                    "event_id": about.event_id,
                    "key": f"{len(model.said)}",
                }
            }
            event_id = await person.send(room, reaction, "m.reaction")
            model.says(person.user_id, event_id, reaction, about.root, is_quiet=True)
        elif step == "ignore":
            model.ignored[person.user_id] = dice.choice(
                [None, *(other.user_id for other in people if other is not person)]
            )
            await ignores(person, model.ignored[person.user_id])
        elif step == "mode":
            model.modes[person.user_id] = dice.choice(["all", "mentions", "muted"])
            await hears(person, room, model.modes[person.user_id])
        elif step == "return" and person is not alice:
            await person.leave(room)
            await person.join(room)
            model.comes_anew(person.user_id)
        elif step == "read":
            event_id, thread = dice.choice(main), dice.choice([None, "main"])
            await read(person, room, event_id, dice.choice(["m.read", "m.read.private"]), thread)
            model.reads(person.user_id, None if thread is None else "", event_id)
        elif step == "read thread":
            said = dice.choice(model.said)
            if said.root:
                await read(person, room, said.event_id, thread=said.root)
                model.reads(person.user_id, said.root, said.event_id)
        elif step == "redact":
            said = dice.choice(model.said)
            await alice.redact(room, said.event_id)
            model.redacts(said.event_id)
            model.points[alice.user_id, ""] = len(model.said) - 1  # who redacts is there
        for one in people if step == "look" else ():
            joined = (await one.sync(filter=BY_THREAD)).get("rooms", {}).get("join", {}).get(room, {})
            if "unread_notifications" in joined:
                found = joined.get("unread_thread_notifications", {})
                shown[one.user_id] = {"": pair(joined["unread_notifications"])} | {
                    r: pair(found[r]) for r in found
                }
            assert shown[one.user_id] == model.unread(one.user_id)
            assert await threads(one, room) == model.unread(one.user_id)
