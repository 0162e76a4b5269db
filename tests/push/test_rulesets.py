"""Users whose rules mean the same are judged together: what that saves, and that each is told what one would be told alone."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from protocol.ids import UserID
from protocol.push_rules.baseline import baseline
from protocol.push_rules.classify import RoomMode, classify
from protocol.push_rules.conditions import Context, EventProperties
from protocol.push_rules.match import compile_rules, evaluate
from protocol.push_rules.ruleset import Ruleset
from services.push.rules import ruleset_of
from services.push.rulesets import MARK, ruleset_key
from storage.schema import migrate
from tests.client_api.test_unread import GLOBAL, HIGHLIGHT, counts, in_thread, mention, pair, read, text
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.postgres import NewDatabase

POWER = {"@alice:one.example": 100}
SOUND = ["notify", {"set_tweak": "sound", "value": "default"}]
Toggle = Callable[[Client, str, bool], Awaitable[Any]]


def default(kind: str, rule: str, on: dict[str, Any], off: dict[str, Any]) -> Toggle:
    """A default rule changed, and as it was."""

    async def put(who: Client, _: str, is_on: bool) -> None:
        for name, value in (on if is_on else off).items():
            await who.ok("PUT", f"{GLOBAL}/{kind}/{rule}/{name}", json={name: value})

    return put


def own(kind: str, rule: str, body: dict[str, Any]) -> Toggle:
    """A rule of the user's own, and none."""

    async def put(who: Client, room: str, is_on: bool) -> None:
        path = f"{GLOBAL}/{kind}/{quote(rule.format(room=room))}"
        await (who.ok("PUT", path, json=body) if is_on else who.delete(path))

    return put


def when(**condition: str) -> dict[str, Any]:
    return {"actions": ["notify"], "conditions": [condition]}


def on(is_on: bool) -> dict[str, Any]:
    return {"enabled": is_on}


TOGGLES = {
    "muted": default("underride", ".m.rule.message", {"actions": []}, {"actions": ["notify"]}),
    "muted too": default("underride", ".m.rule.message", {"actions": []}, {"actions": ["notify"]}),
    "loud": default("underride", ".m.rule.message", {"actions": HIGHLIGHT}, {"actions": ["notify"]}),
    "sounding": default("underride", ".m.rule.message", {"actions": SOUND}, {"actions": ["notify"]}),
    "not by name": default("override", ".m.rule.is_user_mention", on(False), on(True)),
    "notices": default("override", ".m.rule.suppress_notices", on(False), on(True)),
    "nothing": default("override", ".m.rule.master", on(True), on(False)),
    "words": own("content", "cake", {"pattern": "cake", "actions": HIGHLIGHT}),
    "topics": own("override", "topics", when(kind="event_match", key="type", pattern="m.room.topic")),
    "name": own("override", "name", when(kind="contains_display_name")),
    "not alice": own("sender", "@alice:one.example", {"actions": []}),
    "quiet here": own("room", "{room}", {"actions": []}),
}
STEPS = ["say"] * 8 + ["rule"] * 4 + ["look"] * 4 + ["read"] * 2 + ["topic", "redact", "again"]


@dataclass
class Said:
    """An event, and what it is for each who was in the room."""

    event_id: str
    sender: str
    root: str
    outcomes: dict[str, tuple[int, int]]
    is_redacted: bool = False


@dataclass
class Model:
    """Each user's rules are evaluated for each event alone."""

    homeserver: Homeserver
    room: str
    names: dict[str, str]
    said: list[Said] = field(default_factory=list)
    points: dict[tuple[str, str | None], int] = field(default_factory=dict)
    came: dict[str, int] = field(default_factory=dict)
    rules: dict[str, Ruleset] = field(default_factory=dict)

    async def learn(self, user_id: str) -> None:
        """The user's rules are others."""
        self.rules[user_id] = await ruleset_of(self.homeserver.tenant, UserID(user_id))

    def mode(self, user_id: str) -> RoomMode:
        return classify(self.rules[user_id]).mode_in(self.room)  # type: ignore[arg-type]

    def happens(
        self, sender: str, event_id: str, kind: str, content: dict[str, Any], state_key: str | None = None
    ) -> None:
        event: Any = SimpleNamespace(
            event_id=event_id, room_id=self.room, type=kind, state_key=state_key, sender=sender, content=content,
            origin_server_ts=0,
        )  # fmt: skip
        root = content.get("m.relates_to", {}).get("event_id", "")
        self.said.append(
            Said(
                event_id,
                sender,
                root,
                {one: self._outcome(event, one) for one in self.names if one != sender},
            )
        )
        if state_key is None:
            self.points[sender, root] = len(self.said) - 1

    def _outcome(self, event: Any, user_id: str) -> tuple[int, int]:
        power = POWER.get(event.sender, 0)
        if self.mode(user_id) is not RoomMode.EVALUATED:
            outcome = baseline(event, power >= 50).outcome(UserID(user_id))
            return outcome.notify, outcome.highlight
        rules = compile_rules(self.rules[user_id].in_order())
        context = Context(UserID(user_id), self.names[user_id], len(self.names), power, {"room": 50})
        actions = evaluate(rules, EventProperties(event), context)
        return (0, 0) if actions is None else (actions.notify, actions.highlight)

    def shown(self, user_id: str, *, unread: bool, highlights: bool = False) -> list[str]:
        """The events that are to be seen as notifications, as the user hears the room now."""
        mode = self.mode(user_id)
        found = []
        for place, said in enumerate(self.said[self.came.get(user_id, 0) :], self.came.get(user_id, 0)):
            point = max(self.points.get((user_id, slot), -1) for slot in (None, said.root))
            if said.is_redacted or user_id not in said.outcomes or (unread and place <= point):
                continue
            notify, highlight = said.outcomes[user_id]
            if highlight or (notify and mode is not RoomMode.MENTIONS_ONLY and not highlights):
                found.append(said.event_id)
        return [] if mode is RoomMode.MUTED else found

    def counts(self, user_id: str) -> tuple[int, int]:
        highlights = self.shown(user_id, unread=True, highlights=True)
        return len(self.shown(user_id, unread=True)), len(highlights)


async def _check(model: Model, person: Client, shown: dict[str, tuple[int, int]], *, listed: bool) -> None:
    joined = (await person.sync()).get("rooms", {}).get("join", {}).get(model.room, {})
    if "unread_notifications" in joined:
        shown[person.user_id] = pair(joined["unread_notifications"])
    assert shown[person.user_id] == model.counts(person.user_id), person.user_id
    assert await counts(person, model.room) == model.counts(person.user_id), person.user_id
    for only in ("", "highlight") if listed else ():
        found: list[str] = []
        page: dict[str, Any] = {"next_token": None}
        while "next_token" in page:
            params = {"limit": 7} | ({"only": only} if only else {})
            params |= {"from": page["next_token"]} if page["next_token"] else {}
            page = await person.ok("GET", "notifications", params=params)
            found += [one["event"]["event_id"] for one in page["notifications"]]
        wanted = set(model.shown(person.user_id, unread=False, highlights=bool(only)))
        assert [one for one in found if one in wanted] == found
        assert set(found) == wanted


@pytest.mark.parametrize("seed", range(4))
async def test_each_is_told_what_one_would_be_told_alone_whatever_rules_change(
    homeserver: Homeserver, seed: int
) -> None:
    dice = random.Random(seed)
    people = [await homeserver.user(name) for name in ("alice", "bob", "carol", "dora", "ed", "fred")]
    alice = people[0]
    room = await alice.create_room(preset="public_chat")
    names = {one.user_id: one.user_id[1:].split(":")[0] for one in people}
    for person in people[1:]:
        name = {"displayname": names[person.user_id]}
        await person.ok("PUT", f"profile/{person.user_id}/displayname", json=name)
        await person.join(room)
    model = Model(homeserver, room, names)
    shown = {one.user_id: (0, 0) for one in people}
    for person in people:
        await model.learn(person.user_id)
        await person.sync()
    model.happens(alice.user_id, await alice.send(room, "first"), "m.room.message", text("first"))
    first, is_on = model.said[0].event_id, dict[tuple[str, str], bool]()
    for step in dice.choices(STEPS, k=90):
        person = dice.choice(people)
        if step == "say":
            content = dice.choice(
                [
                    text("x"),
                    text("cake"),
                    text("hello bob and dora"),
                    mention(*dice.sample(people, 2)),
                    mention(room=True),
                    text("cake", msgtype="m.notice"),
                ]
            )
            content |= dice.choice([{}, {}, {"m.relates_to": in_thread(first)["m.relates_to"]}])
            kind = dice.choice(["m.room.message"] * 4 + ["m.sticker"])
            model.happens(person.user_id, await person.send(room, content, kind), kind, content)
        elif step == "topic":
            topic = {"topic": f"{len(model.said)}"}
            event_id = await alice.set_state(room, "m.room.topic", topic)
            model.happens(alice.user_id, event_id, "m.room.topic", topic, "")
        elif step == "rule":
            name = dice.choice([*TOGGLES])
            is_on[person.user_id, name] = not is_on.get((person.user_id, name))
            await TOGGLES[name](person, room, is_on[person.user_id, name])
            await model.learn(person.user_id)
        elif step == "read":
            said = dice.choice(model.said)
            if not said.root:
                await read(person, room, said.event_id)
                place = model.said.index(said)
                model.points[person.user_id, None] = max(model.points.get((person.user_id, None), -1), place)
        elif step == "redact":
            said = dice.choice(model.said[1:] or model.said)
            if said.event_id != first:
                await alice.redact(room, said.event_id)
                said.is_redacted = True
                model.points[alice.user_id, ""] = len(model.said) - 1
        elif step == "again" and person is not alice:
            await person.leave(room)
            await person.join(room)
            model.points[person.user_id, None] = len(model.said) - 1
            model.came[person.user_id] = len(model.said)
        elif step == "look":
            await _check(model, person, shown, listed=False)
    for person in people:
        await _check(model, person, shown, listed=True)


async def _rows(homeserver: Homeserver) -> list[str]:
    """For whom the last event that is something else for anybody is so."""
    async with homeserver.tenant.database.read() as tx:
        rows = await tx.fetch(
            "SELECT user_id FROM unread_exceptions WHERE position = (SELECT max(position) FROM unread_exceptions)"
        )
    return sorted(row["user_id"] for row in rows)


async def test_those_who_have_the_same_rules_have_one_row_together(
    homeserver: Homeserver, alice: Client
) -> None:
    room = await alice.create_room(preset="public_chat")
    others = [await homeserver.user(f"user{number}") for number in range(8)]
    for number, other in enumerate(others):
        await other.join(room)
        await TOGGLES["muted"](other, room, True)
        if number % 2:  # rules that say nothing here do not make it another ruleset
            await TOGGLES["quiet here"](other, "!elsewhere:one.example", True)
    await alice.send(room, "hello")
    (ruleset,) = await _rows(homeserver)
    assert ruleset.startswith(MARK)
    assert [await counts(other, room) for other in others] == [(0, 0)] * 8
    # Who is mentioned, and who speaks, stands in another way to the event.
    await others[0].send(room, mention(others[1], others[2]))
    assert await _rows(homeserver) == sorted([ruleset, *(one.user_id for one in others[:3])])
    assert [await counts(other, room) for other in others] == [(0, 0), (1, 1), (1, 1), *[(0, 0)] * 5]
    # Whoever has a rule for this room is judged apart, and the others are not.
    await TOGGLES["quiet here"](others[4], room, True)
    await TOGGLES["words"](others[5], room, True)
    await alice.send(room, "cake")
    assert len(await _rows(homeserver)) == 2
    assert [await counts(other, room) for other in others[3:6]] == [(0, 0), (0, 0), (1, 1)]
    # What was muted stays so when the rules change; what comes counts.
    await TOGGLES["muted"](others[6], room, False)
    assert await counts(others[6], room) == (0, 0)
    await alice.send(room, "hello again")
    assert [await counts(other, room) for other in others[5:]] == [(1, 1), (1, 0), (0, 0)]


async def test_only_what_counts_makes_a_ruleset(homeserver: Homeserver) -> None:
    async def key(name: str, *toggles: str) -> str | None:
        who = await homeserver.user(name)
        for toggle in toggles:
            await TOGGLES[toggle](who, "!a:b", True)
        rules = await ruleset_of(homeserver.tenant, UserID(who.user_id))
        return ruleset_key(rules, classify(rules))

    assert await key("a") is await key("b", "nothing") is await key("c", "sounding") is None
    assert await key("d", "muted", "name") is None
    assert await key("e", "muted") == await key("f", "muted", "quiet here") != await key("g", "loud")
    assert await key("h", "words", "topics") == await key("i", "topics", "words") != await key("j", "words")
    assert await key("k", "muted", "nothing") is None


async def test_those_who_had_the_same_rules_before_there_were_rulesets_share_one(
    new_database: NewDatabase, connection: Any
) -> None:
    database = await new_database()
    await connection.execute(f"SET search_path TO {database.schema}")
    await connection.execute("DROP TABLE push_rulesets; DELETE FROM schema_steps WHERE step = 19")
    rules = {"a": b"{1}", "b": b"{1}", "c": b"{2}", "d": b'{"contains_display_name"}', "e": b"{3}"}
    for user_id, stored in rules.items():
        await connection.execute(
            "INSERT INTO push_rules (position, special, user_id, rules) VALUES (1, $2, $1, $3)",
            user_id, user_id != "e", stored,
        )  # fmt: skip
    await migrate.migrate(connection, database.schema)
    found = {row["user_id"]: row["ruleset"] for row in await connection.fetch("SELECT * FROM push_rulesets")}
    assert found.keys() == {"a", "b", "c"}
    assert found["a"] == found["b"] != found["c"]
    assert all(ruleset.startswith(MARK) for ruleset in found.values())
