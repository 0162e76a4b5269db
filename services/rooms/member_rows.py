"""What a membership event changes beside the room's state: the table of memberships, the counts, who is to look."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import InvalidId
from protocol.events import CREATE, JOIN_RULES, MEMBER, Event, StateKey
from protocol.ids import is_user_id, server_of
from protocol.json import encoded
from services.rooms.client_event import stripped
from services.rooms.head import Head
from services.tenant import Tenant
from storage import topics
from storage.journal import Row
from storage.membership import SET_MEMBERSHIP

# «The following state events should be represented in a room's stripped state» (§Stripped state)
STRIPPED_STATE: tuple[StateKey, ...] = tuple(
    (event_type, "")
    for event_type in (
        CREATE,
        JOIN_RULES,
        "m.room.name",
        "m.room.avatar",
        "m.room.topic",
        "m.room.canonical_alias",
        "m.room.encryption",
    )
)


@dataclass(frozen=True, slots=True)
class MemberChange:
    """A row of the memberships, what is added to the head's counts, and the topics of those whom it concerns."""

    row: Row
    joined: int
    invited: int
    wake: tuple[str, ...]


async def member_change(
    tenant: Tenant, head: Head, event: Event, previous: Event | None
) -> MemberChange | None:
    """What the event changes for its target; None for events that are no membership."""
    user_id, membership = event.state_key, event.membership
    if user_id is None or membership is None or not is_user_id(user_id):
        return None  # the rules let somebody mighty ban what is no user
    before = previous.membership if previous is not None else None
    is_local = _is_local(tenant, user_id)
    shown = None
    if is_local and membership in ("invite", "knock"):
        shown = await _stripped_state(tenant, head, event)
    row = Row(
        SET_MEMBERSHIP,
        (
            is_local,
            event.room_id,
            user_id,
            membership,
            event.event_id,
            event.sender,
            shown,
            before == membership,
        ),
    )
    wake: tuple[str, ...] = ()
    if is_local and (before != membership or membership != "join"):
        wake = (topics.user(user_id),)
        if "join" in (before, membership):
            # Others may see this user's devices now, or not any more, and the user theirs.
            wake += (topics.device_lists(event.room_id), topics.device_lists(user_id))
    elif not is_local and (before != membership or membership != "join"):
        # Its server is told of the room's events from now on, or not any more, and so are ours of the user's devices.
        wake = (topics.room_servers(event.room_id),)
        if "join" in (before, membership):
            wake += (topics.device_lists(event.room_id),)
    return MemberChange(
        row,
        (membership == "join") - (before == "join"),
        (membership == "invite") - (before == "invite"),
        wake,
    )


def member_lost(tenant: Tenant, previous: Event) -> MemberChange | None:
    """What it changes that a membership is not in the state any more, though no event has ended it."""
    user_id, before = previous.state_key, previous.membership
    if user_id is None or before is None or not is_user_id(user_id):
        return None
    is_local = _is_local(tenant, user_id)
    row = Row(
        SET_MEMBERSHIP,
        (
            is_local,
            previous.room_id,
            user_id,
            "leave",
            previous.event_id,
            previous.sender,
            None,
            before == "leave",
        ),
    )
    wake: tuple[str, ...] = ()
    if is_local:
        wake = (topics.user(user_id), topics.device_lists(previous.room_id), topics.device_lists(user_id))
    else:
        wake = (topics.room_servers(previous.room_id), topics.device_lists(previous.room_id))
    return MemberChange(row, -(before == "join"), -(before == "invite"), wake)


async def _stripped_state(tenant: Tenant, head: Head, event: Event) -> bytes:
    state = await head.state_events(tenant.database, (*STRIPPED_STATE, (MEMBER, event.sender)))
    # The member event of one who knocks says nothing that the knock itself does not.
    return encoded([stripped(found.json) for found in state.values() if found.state_key != event.state_key])


def _is_local(tenant: Tenant, user_id: str) -> bool:
    try:
        return server_of(user_id) == tenant.name
    except InvalidId:
        return False
