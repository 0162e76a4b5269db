"""A user's push rules: read, changed, and shown to the user's clients."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from protocol.ids import UserID
from protocol.json import JsonObject
from protocol.matrix_error import Unknown
from protocol.push_rules.classify import classify
from protocol.push_rules.ruleset import Ruleset
from protocol.push_rules.stored import to_stored
from services.push.rulesets import ruleset_key
from services.push.user_rules import UserRules
from services.tenant import Tenant
from storage import topics
from storage.database import Tx
from storage.journal import Change, Row
from storage.push.rules import SET_PUSH_RULES, push_rules_of

PUSH_RULES = "m.push_rules"
ATTEMPTS = 20


async def ruleset_of(tenant: Tenant, user_id: UserID) -> Ruleset:
    """The user's rules now."""
    async with tenant.database.read() as tx:
        return (await _read(tx, user_id)).ruleset


async def change_ruleset(tenant: Tenant, user_id: UserID, change: Callable[[Ruleset], Ruleset]) -> None:
    """Puts what `change` makes of the user's rules in their place; what it raises is raised.

    When another request is faster, it is called again with what came of that one.
    """
    for _ in range(ATTEMPTS):
        async with tenant.database.read() as tx:
            before = await _read(tx, user_id)
        after = change(before.ruleset)
        if after == before.ruleset:
            return
        (position,) = await tenant.journal.append(_change(user_id, before.position, after))
        async with tenant.database.read() as tx:
            stands = await _read(tx, user_id)
        if stands.position == position or stands.ruleset == after:
            return
    raise Unknown("The push rules are being changed too often: try again", status=503)


async def push_rules_event(tx: Tx, user_id: UserID, after: int, upto: int) -> JsonObject | None:
    """The m.push_rules account data event, if it changed at a position in (after, upto], or `after` is negative: then the
    reader knows nothing yet.
    """
    rules = await _read(tx, user_id)
    if after >= 0 and not after < rules.position <= upto:
        return None
    return {"type": PUSH_RULES, "content": {"global": rules.ruleset.as_json(user_id)}}


async def _read(tx: Tx, user_id: UserID) -> UserRules:
    return UserRules(user_id, (await push_rules_of(tx, (user_id,))).get(user_id))


def _change(user_id: UserID, before: int, ruleset: Ruleset) -> Change:
    stored = orjson.dumps(to_stored(ruleset))
    classification = classify(ruleset)
    key = ruleset_key(ruleset, classification)
    row = Row(SET_PUSH_RULES, (user_id, before, classification.is_special, stored, key))
    wake = (topics.account_data(user_id), topics.push_rules(user_id))
    return Change(rows=(row,), wake=wake, size=len(stored))
