"""Which state an event is authorised by (§Auth events selection)."""

from typing import Any

from protocol.events import (
    CREATE,
    JOIN_RULES,
    MEMBER,
    POWER_LEVELS,
    THIRD_PARTY_INVITE,
    StateKey,
)
from protocol.json import JsonObject
from protocol.room_versions import RoomVersion

_CREATE_KEY: StateKey = (CREATE, "")
_POWER_LEVELS_KEY: StateKey = (POWER_LEVELS, "")
_JOIN_RULES_KEY: StateKey = (JOIN_RULES, "")


def needed_for(
    version: RoomVersion, event_type: str, sender: str, state_key: str | None, content: JsonObject
) -> frozenset[StateKey]:
    """The state whose events, where there are such, an event like this names in its auth_events.

    Where the room ID is the create event's hash the create event is not among them.
    """
    needed = state_needed_for(version, event_type, sender, state_key, content)
    return needed - {_CREATE_KEY} if version.room_id_is_create_hash else needed


def state_needed_for(
    version: RoomVersion, event_type: str, sender: str, state_key: str | None, content: JsonObject
) -> frozenset[StateKey]:
    """All the state that check_auth looks at for an event like this, the create event too."""
    if event_type == CREATE:
        return frozenset()
    needed = {_CREATE_KEY, _POWER_LEVELS_KEY, (MEMBER, sender)}
    if event_type == MEMBER:
        needed |= _needed_for_member(version, state_key, content)
    return frozenset(needed)


def _needed_for_member(version: RoomVersion, target: str | None, content: JsonObject) -> set[StateKey]:
    membership = content.get("membership")
    needed = set()
    # «The target's current m.room.member event, if any.»
    if target is not None:
        needed.add((MEMBER, target))
    # «If membership is join, invite or knock, the current m.room.join_rules event, if any.»
    if membership in ("join", "invite", "knock"):
        needed.add(_JOIN_RULES_KEY)
    # «If membership is invite and content contains a third_party_invite property, the current
    # m.room.third_party_invite event with state_key matching content.third_party_invite.signed.token, if
    # any.»
    if membership == "invite":
        token = third_party_token(content)
        if token is not None:
            needed.add((THIRD_PARTY_INVITE, token))
    # «If content.join_authorised_via_users_server is present, and the room version supports restricted rooms,
    # then the m.room.member event with state_key matching content.join_authorised_via_users_server.»
    if membership == "join" and version.restricted_join_rule:
        via = content.get("join_authorised_via_users_server")
        if isinstance(via, str):
            needed.add((MEMBER, via))
    return needed


def third_party_token(content: JsonObject) -> str | None:
    """The token that a third-party invite was made for."""
    signed: Any = content.get("third_party_invite")
    for step in ("signed", "token"):
        signed = signed.get(step) if isinstance(signed, dict) else None
    return signed if isinstance(signed, str) else None
