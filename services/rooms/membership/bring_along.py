"""What a user had set for a room that was replaced comes along to the new one (§Room Upgrades)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from protocol.events import Event
from protocol.ids import RoomID, UserID
from protocol.push_rules.errors import TooManyRules
from protocol.push_rules.rule import Kind
from protocol.push_rules.ruleset import Ruleset
from services.push.rules import change_ruleset
from services.tenant import Tenant
from storage.account_data import GLOBAL, account_data_change, account_data_of
from storage.membership import membership_of

TAGS = "m.tag"
DIRECT = "m.direct"


async def bring_along(tenant: Tenant, user_id: UserID, room_id: RoomID, create: Event) -> None:
    """Copies the user's tags, direct chats and push rules from the room's predecessor, if the user was in that one."""
    predecessor = create.content.get("predecessor")
    old = predecessor.get("room_id") if isinstance(predecessor, dict) else None
    if not isinstance(old, str) or "\0" in old:
        return
    async with tenant.database.read() as tx:
        if await membership_of(tx, old, user_id) is None:
            return
        tags = await account_data_of(tx, user_id, old, TAGS)
        has_tags = await account_data_of(tx, user_id, room_id, TAGS) is not None
        direct = await account_data_of(tx, user_id, GLOBAL, DIRECT)
    changes = []
    if tags is not None and not has_tags:
        changes.append(account_data_change(user_id, room_id, TAGS, tags))
    more = _with_room(orjson.loads(direct), old, room_id) if direct is not None else None
    if more is not None:
        changes.append(account_data_change(user_id, GLOBAL, DIRECT, orjson.dumps(more)))
    if changes:
        await tenant.journal.append(*changes)
    await change_ruleset(tenant, user_id, lambda ruleset: _with_rule(ruleset, old, room_id))


def _with_room(direct: Any, old: str, new: str) -> Any:
    """The direct chats with the new room beside the old one; None if that changes nothing."""
    if not isinstance(direct, dict):
        return None
    more = {
        user: [*rooms, new] if isinstance(rooms, list) and old in rooms and new not in rooms else rooms
        for user, rooms in direct.items()
    }
    return more if more != direct else None


def _with_rule(ruleset: Ruleset, old: str, new: str) -> Ruleset:
    own = {rule.rule_id: rule for rule in ruleset.own.get(Kind.ROOM, ())}
    if old not in own or new in own:
        return ruleset
    try:
        return ruleset.with_rule(Kind.ROOM, replace(own[old], rule_id=new))
    except TooManyRules:  # the user has as many rules as may be
        return ruleset
