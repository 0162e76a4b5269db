"""What an event is for the users of a room who have rules of their own, held against what it is for everybody.

Each ruleset is evaluated once, for nobody in particular, however many users have it. Only who stands in another way to the event
(it mentions them, is about them, is theirs, or is in a thread that they are subscribed to) is looked at apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.events import Event
from protocol.ids import UserID
from protocol.push_rules.baseline import Baseline
from protocol.push_rules.conditions import Context, EventProperties
from protocol.push_rules.match import evaluate
from services.push.context import Levels, context_of, member_key, thread_subscribers
from services.push.special import Group, Special
from services.push.user_rules import UserRules
from services.rooms.head import Head
from services.tenant import Tenant

Difference = tuple[int, int]
"""More or less notifications, and highlights, than for everybody."""
NO_DIFFERENCE: Difference = (0, 0)
Subscribed = frozenset[UserID] | None
"""Those of the users who ask for it who are subscribed to the event's thread; None: it is in none, or nobody asks."""


@dataclass(frozen=True, slots=True)
class Judging:
    """An event that is about to be appended, and what it is for everybody."""

    tenant: Tenant
    head: Head
    event: Event
    properties: EventProperties
    base: Baseline
    levels: Levels


async def differences(
    judging: Judging, special: Special, mentions: Mapping[str, Difference]
) -> dict[str, Difference]:
    """By user or ruleset; `mentions` is what the event is for those whom it mentions, by the default rules. What is said of
    a user goes before what is said of the user's ruleset, also where it is that nothing is different.
    """
    found = dict(mentions)
    subscribed = await _subscribed(judging, special)
    of_rulesets: dict[str, Difference] = {}
    for group in special.groups:
        plain = of_rulesets[group.ruleset] = _judge(judging, group.rules, None, _is_in(subscribed, None))
        for user_id, difference in _particular(judging, group, subscribed).items():
            _put(found, user_id, difference, plain)
    for rules in special.apart:
        difference = await _apart(judging, rules, subscribed)
        _put(found, rules.user_id, difference, of_rulesets.get(rules.ruleset_key or "", NO_DIFFERENCE))
    return found | {ruleset: plain for ruleset, plain in of_rulesets.items() if any(plain)}


def _put(found: dict[str, Difference], user_id: UserID, difference: Difference, plain: Difference) -> None:
    if difference == plain:
        found.pop(user_id, None)
    else:
        found[user_id] = difference


def _particular(judging: Judging, group: Group, subscribed: Subscribed) -> dict[UserID, Difference]:
    """What it is for those of the group who stand in another way to the event than the others."""
    event, named = judging.event, _named(judging.event)
    found: dict[UserID, Difference] = {}
    known: dict[tuple[bool, bool, bool | None], Difference] = {}
    for user_id in {*named, event.state_key, event.sender, *(subscribed or ())}:
        if user_id is None or user_id not in group.members:
            continue
        user_id = UserID(user_id)
        stands = user_id in named, user_id == event.state_key, _is_in(subscribed, user_id)
        if user_id == event.sender:
            found[user_id] = NO_DIFFERENCE  # «Users will not be notified of their own events.»
        elif stands in known:
            found[user_id] = known[stands]
        else:
            found[user_id] = known[stands] = _judge(judging, group.rules, user_id, stands[2])
    return found


def _judge(judging: Judging, rules: UserRules, user_id: UserID | None, subscribed: bool | None) -> Difference:
    """What the rules say to this user (None: to nobody in particular), who does not ask for a name."""
    head, levels = judging.head, judging.levels
    now = judging.tenant.clock.now()
    context = Context(user_id, None, head.joined, levels.power, levels.needed, subscribed, now)
    return _difference(judging, rules, context)


async def _apart(judging: Judging, rules: UserRules, subscribed: Subscribed) -> Difference:
    if rules.user_id == judging.event.sender:
        return NO_DIFFERENCE
    member, head, tenant = None, judging.head, judging.tenant
    if rules.asks_display_name:
        key = member_key(rules)
        member = (await head.state_events(tenant.database, (key,))).get(key)
    is_in = _is_in(subscribed, rules.user_id)
    context = context_of(rules, member, head.joined, judging.levels, is_in, tenant.clock.now())
    return _difference(judging, rules, context)


def _difference(judging: Judging, rules: UserRules, context: Context) -> Difference:
    actions = evaluate(rules.compiled, judging.properties, context)
    notify, highlight = (actions.notify, actions.highlight) if actions is not None else (False, False)
    return notify - judging.base.notify, highlight - judging.base.highlight_room


async def _subscribed(judging: Judging, special: Special) -> Subscribed:
    asking = [rules.user_id for rules in special.apart if rules.asks_subscription]
    asking += [
        user_id for group in special.groups if group.rules.asks_subscription for user_id in group.members
    ]
    if not asking:
        return None
    async with judging.tenant.database.read() as tx:
        return await thread_subscribers(tx, asking, judging.event)


def _is_in(subscribed: Subscribed, user_id: UserID | None) -> bool | None:
    return None if subscribed is None else user_id in subscribed


def _named(event: Event) -> frozenset[str]:
    """Who is in the event's m.mentions."""
    mentions = event.content.get("m.mentions")
    user_ids = mentions.get("user_ids") if isinstance(mentions, dict) else None
    named = user_ids if isinstance(user_ids, list) else ()
    return frozenset(one for one in named if isinstance(one, str))
