"""What is told of an event: read and worked out once, however many are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from protocol.events import CREATE, MEMBER, POWER_LEVELS, Event, StateKey
from protocol.json import JsonObject
from protocol.push_rules.conditions import EventProperties
from protocol.push_rules.match import compile_rules, evaluate
from protocol.push_rules.rule import Actions
from protocol.push_rules.ruleset import DEFAULT_RULESET
from protocol.room_versions import version_named
from services.push.context import NO_POWER, Levels, context_of, levels_of, member_key, subscribers
from services.push.delivery.happened import Happened
from services.push.user_rules import UserRules
from services.tenant import Tenant
from storage.database import Tx
from storage.events import event_of
from storage.push.following import invite_of, room_of
from storage.rooms import current_state_events
from storage.timeline import shown_events

ENCRYPTED: Final = "m.room.encrypted"
_NAME, _ALIAS, _ENCRYPTION = "m.room.name", "m.room.canonical_alias", "m.room.encryption"
_DEFAULT: Final = compile_rules(DEFAULT_RULESET.in_order())
_TWO: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """An event and the room around it."""

    event: Event
    properties: EventProperties
    joined: int
    levels: Levels
    is_encrypted: bool
    sender_name: str | None
    room_name: str | None
    room_alias: str | None
    _by_default: dict[tuple[bool, bool], Actions | None] = field(default_factory=dict)

    def actions(
        self, rules: UserRules, member: Event | None, subscribed: bool | None, now: int
    ) -> Actions | None:
        """What the user's rules say now; those who have the default ones and stand alike to the event share the answer."""
        context = context_of(rules, member, self.joined, self.levels, subscribed, now)
        if rules.position:
            return evaluate(rules.compiled, self.properties, context)
        like = rules.user_id in self._mentioned, self.event.state_key == rules.user_id
        if like not in self._by_default:
            self._by_default[like] = evaluate(_DEFAULT, self.properties, context)
        return self._by_default[like]

    @property
    def _mentioned(self) -> Iterable[object]:
        mentions = self.event.content.get("m.mentions")
        user_ids = mentions.get("user_ids") if isinstance(mentions, dict) else None
        return user_ids if isinstance(user_ids, list) else ()


async def facts_of(tenant: Tenant, happened: Happened) -> Facts | None:
    """What is told of the event; None where it, or the room, is not here any more, or it says nothing any more."""
    async with tenant.database.snapshot() as tx:
        rows = await shown_events(tx, [happened.event_id])
        room = await room_of(tx, happened.room_id)
        if not rows or rows[0]["redacted_by"] is not None or room is None:
            return None
        version = version_named(room["room_version"])
        event = event_of(happened.event_id, happened.room_id, rows[0]["json"], version)
        keys = (
            (CREATE, ""),
            (POWER_LEVELS, ""),
            (_NAME, ""),
            (_ALIAS, ""),
            (_ENCRYPTION, ""),
            (MEMBER, event.sender),
        )
        state = await current_state_events(tx, happened.room_id, version, keys)
    levels = levels_of(version, state, event.sender)
    said = {key: one.content for key, one in state.items()}
    return _facts(event, said, room["joined"], levels)


async def facts_of_invite(tenant: Tenant, happened: Happened, user_id: str) -> Facts | None:
    """What is told of an invite: what the invite itself shows of the room; None where it does not stand any more."""
    async with tenant.database.snapshot() as tx:
        invite = await invite_of(tx, user_id, happened.room_id)
        rows = await shown_events(tx, [happened.event_id])
        room = await room_of(tx, happened.room_id)
    if (
        invite is None
        or invite["membership"] != "invite"
        or invite["event_id"] != happened.event_id
        or not rows
    ):
        return None
    version = version_named(room["room_version"] if room is not None else "1")
    event = event_of(happened.event_id, happened.room_id, rows[0]["json"], version)
    said: dict[StateKey, JsonObject] = {}
    for one in orjson.loads(invite["stripped"] or b"[]"):
        if isinstance(one, dict) and isinstance(one.get("content"), dict):
            said[str(one.get("type")), str(one.get("state_key"))] = one["content"]
    said.pop((_ENCRYPTION, ""), None)  # the invite itself is not encrypted
    return _facts(event, said, room["joined"] if room is not None else _TWO + 1, NO_POWER)


def _facts(event: Event, said: Mapping[StateKey, JsonObject], joined: int, levels: Levels) -> Facts:
    sender = _text(said, (MEMBER, event.sender), "displayname")
    alias = _text(said, (_ALIAS, ""), "alias")
    # A conversation of two has the name of the other one.
    usual = sender if joined <= _TWO else None
    return Facts(
        event,
        EventProperties(event),
        joined,
        levels,
        event.type == ENCRYPTED or (_ENCRYPTION, "") in said,
        sender,
        _text(said, (_NAME, ""), "name") or alias or usual,
        alias,
    )


def _text(said: Mapping[StateKey, JsonObject], key: StateKey, name: str) -> str | None:
    value: Any = said.get(key, {}).get(name)
    return value if isinstance(value, str) and value else None


async def actions_for(tenant: Tenant, rules: UserRules, facts: Facts) -> Actions | None:
    """What the user's rules say of the event now."""
    member: Event | None = None
    subscribed: bool | None = None
    if rules.asks_display_name or rules.asks_subscription:
        async with tenant.database.read() as tx:
            member = await _own_member(tx, rules, facts.event)
            threaded = await subscribers(tx, (rules,), facts.event)
        subscribed = None if threaded is None else rules.user_id in threaded
    return facts.actions(rules, member, subscribed, tenant.clock.now())


async def _own_member(tx: Tx, rules: UserRules, event: Event) -> Event | None:
    key = member_key(rules)
    return (await current_state_events(tx, event.room_id, event.version, (key,))).get(key)
