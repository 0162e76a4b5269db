"""The default rules as the specification (v1.19, «Predefined Rules») writes them: what the API shows, and what each does."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.ids import UserID
from protocol.push_rules.conditions import Context, EventProperties
from protocol.push_rules.match import compile_rules, first_match
from protocol.push_rules.rule import Kind
from protocol.push_rules.ruleset import DEFAULT_RULESET
from tests.fixtures.client import Client
from tests.protocol.push_events import ALICE, BOB, Happening, said

ME = "<me>"
Rule = tuple[str, str, bool, list[dict[str, Any]], list[Any]]


def match(key: str, pattern: str) -> dict[str, Any]:
    return {"kind": "event_match", "key": key, "pattern": pattern}


TWO = {"kind": "room_member_count", "is": "2"}
SOUND, RING = ({"set_tweak": "sound", "value": value} for value in ("default", "ring"))
HIGHLIGHT = {"set_tweak": "highlight"}
MENTIONED = {"kind": "event_property_contains", "key": r"content.m\.mentions.user_ids", "value": ME}
EVERYBODY = {"kind": "event_property_is", "key": r"content.m\.mentions.room", "value": True}
MAY = {"kind": "sender_notification_permission", "key": "room"}
EDIT = {"kind": "event_property_is", "key": r"content.m\.relates_to.rel_type", "value": "m.replace"}
MEMBER, INVITE = match("type", "m.room.member"), match("content.membership", "invite")
ENCRYPTED, MESSAGE = match("type", "m.room.encrypted"), match("type", "m.room.message")

RULES: list[Rule] = [
    ("override", ".m.rule.master", False, [], []),
    ("override", ".m.rule.suppress_notices", True, [match("content.msgtype", "m.notice")], []),
    ("override", ".m.rule.invite_for_me", True, [MEMBER, INVITE, match("state_key", ME)], ["notify", SOUND]),
    ("override", ".m.rule.member_event", True, [MEMBER], []),
    ("override", ".m.rule.is_user_mention", True, [MENTIONED], ["notify", SOUND, HIGHLIGHT]),
    ("override", ".m.rule.is_room_mention", True, [EVERYBODY, MAY], ["notify", HIGHLIGHT]),
    (
        "override",
        ".m.rule.tombstone",
        True,
        [match("type", "m.room.tombstone"), match("state_key", "")],
        ["notify", HIGHLIGHT],
    ),
    ("override", ".m.rule.reaction", True, [match("type", "m.reaction")], []),
    (
        "override",
        ".m.rule.room.server_acl",
        True,
        [match("type", "m.room.server_acl"), match("state_key", "")],
        [],
    ),
    ("override", ".m.rule.suppress_edits", True, [EDIT], []),
    ("underride", ".m.rule.call", True, [match("type", "m.call.invite")], ["notify", RING]),
    ("underride", ".m.rule.encrypted_room_one_to_one", True, [TWO, ENCRYPTED], ["notify", SOUND]),
    ("underride", ".m.rule.room_one_to_one", True, [TWO, MESSAGE], ["notify", SOUND]),
    ("underride", ".m.rule.message", True, [MESSAGE], ["notify"]),
    ("underride", ".m.rule.encrypted", True, [ENCRYPTED], ["notify"]),
]


def with_user(value: Any, user_id: str) -> Any:
    if isinstance(value, dict):
        return {name: with_user(one, user_id) for name, one in value.items()}
    return (
        [with_user(one, user_id) for one in value]
        if isinstance(value, list)
        else user_id
        if value == ME
        else value
    )


async def test_the_api_shows_them_in_this_order(alice: Client) -> None:
    shown = (await alice.ok("GET", "pushrules/"))["global"]
    names = {rule_id for _, rule_id, *_ in RULES}
    for kind in ("override", "content", "room", "sender", "underride"):
        found = [rule for rule in shown[kind] if rule["rule_id"] in names]
        expected = [
            {
                "rule_id": rule_id,
                "default": True,
                "enabled": enabled,
                "conditions": with_user(conditions, alice.user_id),
                "actions": actions,
            }
            for its_kind, rule_id, enabled, conditions, actions in RULES
            if its_kind == kind
        ]
        for rule in found:
            # The order of conditions means nothing.
            rule["conditions"].sort(key=str)
        for rule in expected:
            rule["conditions"].sort(key=str)
        assert found == expected
        # What is there beside them is of proposals, and says so.
        others = [rule["rule_id"] for rule in shown[kind] if rule["rule_id"] not in names]
        assert all(not rule_id.startswith(".m.rule.") for rule_id in others)


INVITED = Happening("m.room.member", {"membership": "invite"}, ALICE)
MENTION = said("x", **{"m.mentions": {"user_ids": [ALICE]}})
TO_ALL = said("x", **{"m.mentions": {"room": True}})
A_EDIT = said("x", **{"m.relates_to": {"rel_type": "m.replace"}})

# The event, the members of the room, the sender's power, and the rule that decides.
CASES: list[tuple[Happening, int, int, str | None]] = [
    (said("x", msgtype="m.notice"), 3, 0, ".m.rule.suppress_notices"),
    (INVITED, 3, 0, ".m.rule.invite_for_me"),
    (Happening("m.room.member", {"membership": "invite"}, BOB), 3, 0, ".m.rule.member_event"),
    (Happening("m.room.member", {"membership": "join"}, ALICE), 3, 0, ".m.rule.member_event"),
    (MENTION, 3, 0, ".m.rule.is_user_mention"),
    (TO_ALL, 3, 50, ".m.rule.is_room_mention"),
    (TO_ALL, 3, 49, ".m.rule.message"),
    (said("x", **{"m.mentions": {"room": "true"}}), 3, 50, ".m.rule.message"),
    (Happening("m.room.tombstone", {}, ""), 3, 0, ".m.rule.tombstone"),
    (Happening("m.reaction", {"m.relates_to": {"rel_type": "m.annotation"}}), 3, 0, ".m.rule.reaction"),
    (Happening("m.room.server_acl", {}, ""), 3, 0, ".m.rule.room.server_acl"),
    (A_EDIT, 3, 0, ".m.rule.suppress_edits"),
    (said("x", **{"m.relates_to": {"rel_type": "m.replace"}, "m.mentions": {"user_ids": [ALICE]}}), 3, 0,
     ".m.rule.is_user_mention"),
    (Happening("m.call.invite", {}), 2, 0, ".m.rule.call"),
    (Happening("m.room.encrypted", {}), 2, 0, ".m.rule.encrypted_room_one_to_one"),
    (said("x"), 2, 0, ".m.rule.room_one_to_one"),
    (said("x"), 3, 0, ".m.rule.message"),
    (said("x"), 1, 0, ".m.rule.message"),
    (Happening("m.room.encrypted", {}), 3, 0, ".m.rule.encrypted"),
    (Happening("m.sticker", {}), 3, 0, None),
]  # fmt: skip


@pytest.mark.parametrize(("event", "members", "power", "rule_id"), CASES)
def test_what_each_decides(event: Happening, members: int, power: int, rule_id: str | None) -> None:
    context = Context(UserID(ALICE), "Alice", members, power, {"room": 50})
    rule = first_match(compile_rules(DEFAULT_RULESET.in_order()), EventProperties(event), context)
    assert (rule and rule.rule_id) == rule_id
    if rule is not None and rule_id is not None:
        (expected,) = (actions for _, name, _, _, actions in RULES if name == rule_id)
        assert list(rule.actions.json) == expected


def test_each_rule_decides_something() -> None:
    decided = {rule_id for *_, rule_id in CASES}
    assert {rule_id for _, rule_id, enabled, *_ in RULES if enabled} <= decided


def test_the_master_rule_silences_everything() -> None:
    rules = DEFAULT_RULESET.with_enabled(Kind.OVERRIDE, ".m.rule.master", True)
    context = Context(UserID(ALICE), "Alice", 2, 50, {})
    for event, *_ in CASES:
        rule = first_match(compile_rules(rules.in_order()), EventProperties(event), context)
        assert rule is not None
        assert (rule.rule_id, rule.actions.notify) == (".m.rule.master", False)
