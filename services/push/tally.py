"""What an event means for unread counts: for everybody at once, and for the few for whom it is something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol.errors import InvalidId
from protocol.events import CREATE, Event
from protocol.ids import server_of
from protocol.push_rules.baseline import Baseline, baseline
from protocol.push_rules.conditions import EventProperties
from services.push.context import LEVEL_KEYS, NO_POWER, levels_of
from services.push.counts import MAIN, THREAD
from services.push.judging import Judging, differences
from services.rooms.head import Head
from services.rooms.relation import Relation, is_storable, relation_in
from services.tenant import Tenant
from storage.journal import Row
from storage.push.unread import APPEND_EXCEPTION, FOLLOW_LAST_SENT, SET_LAST_SENT

Exceptions = Mapping[str, tuple[int, int]]
NONE: Final[Exceptions] = {}


@dataclass(frozen=True, slots=True)
class Tally:
    """Does the event count as unread, does it highlight, both for everybody; and for whom it is more or less (notify,
    highlight): users, and rulesets, whose users it is so for who are not there themselves. `root` is the thread it is in;
    where that is not known, `exceptions` is None, and so is how the event adds to what a process remembers. `rows` are to
    be written with the event.
    """

    counts: bool
    highlights_all: bool = False
    exceptions: Exceptions | None = None
    root: str = MAIN
    rows: tuple[Row, ...] = ()


NO_TALLY = Tally(False, exceptions=NONE)
"""Of what nobody is to read."""


async def tally_of(tenant: Tenant, head: Head, event: Event) -> Tally:
    """The tally of an event that is about to be appended to this head; asks the database for nothing in a warm room."""
    if event.type == CREATE:
        return NO_TALLY
    properties = EventProperties(event)
    special = await tenant.evaluators.in_room(tenant.database, head.room_id)
    levels = NO_POWER
    if special or _mentions_room(event):
        state = await head.state_events(tenant.database, LEVEL_KEYS)
        levels = levels_of(head.room_version, state, event.sender)
    base = baseline(event, levels.may_notify_room, properties)
    exceptions = _mentions(tenant, base)
    if special:
        judging = Judging(tenant, head, event, properties, base, levels)
        exceptions = await differences(judging, special, exceptions)
    return _tally(tenant, event, base, exceptions)


def _tally(tenant: Tenant, event: Event, base: Baseline, exceptions: Exceptions) -> Tally:
    relation = relation_in(event.content)
    in_thread = relation is not None and relation.rel_type == THREAD
    rows = [Row(APPEND_EXCEPTION, (*more, event.room_id, user_id)) for user_id, more in exceptions.items()]
    # Who sends something has read up to there. What the server sends for a user (a new profile) says nothing.
    if _is_local(tenant, event.sender) and (event.state_key is None or base.notify):
        rows.append(_last_sent(event, relation))
    is_unread_for_some = base.notify or base.highlight_room or bool(exceptions)
    thread_is_known = relation is None or in_thread or not is_unread_for_some
    return Tally(
        base.notify,
        base.highlight_room,
        exceptions if thread_is_known else None,
        relation.parent if relation is not None and in_thread else MAIN,
        tuple(rows),
    )


def _last_sent(event: Event, relation: Relation | None) -> Row:
    if relation is None:
        return Row(SET_LAST_SENT, (event.room_id, event.sender, MAIN))
    statement = SET_LAST_SENT if relation.rel_type == THREAD else FOLLOW_LAST_SENT
    return Row(statement, (event.room_id, event.sender, relation.parent))


def _mentions(tenant: Tenant, base: Baseline) -> dict[str, tuple[int, int]]:
    """What the event is more for those it mentions than for everybody."""
    more = int(not base.notify), int(not base.highlight_room)
    if not any(more):
        return {}
    return {user: more for user in base.mentioned if _is_local(tenant, user) and is_storable(user)}


def _mentions_room(event: Event) -> bool:
    mentions = event.content.get("m.mentions")
    return isinstance(mentions, dict) and mentions.get("room") is True


def _is_local(tenant: Tenant, user_id: str) -> bool:
    try:
        return server_of(user_id) == tenant.name
    except InvalidId:
        return False
