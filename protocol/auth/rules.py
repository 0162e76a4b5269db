"""The authorisation rules, in the specification's order; `since v..` says where a rule is not everywhere."""

from collections.abc import Collection, Sequence

from protocol.auth.case import AuthCase, domain
from protocol.auth.member import check_member
from protocol.auth.needed import needed_for
from protocol.auth.power import check_power_levels
from protocol.errors import Rejected
from protocol.event_format import create_of_room_id
from protocol.events import (
    ALIASES,
    CREATE,
    MEMBER,
    POWER_LEVELS,
    REDACTION,
    THIRD_PARTY_INVITE,
    Event,
    StateMap,
)
from protocol.ids import EventID, fits, is_user_id
from protocol.room_versions import ROOM_VERSIONS, RoomVersion


def check_auth(version: RoomVersion, event: Event, state: StateMap) -> None:
    """Raise Rejected unless the event is allowed in this state (state_needed_for names what is looked at)."""
    if event.type == CREATE:
        _check_create(version, event)
        return
    create = state.get((CREATE, ""))
    if create is None:
        raise Rejected("there is no create event")
    # «If the event's room_id is not an event ID for an accepted (not rejected) m.room.create event, with the
    # sigil ! instead of $, reject.» (since v12)
    if version.room_id_is_create_hash and create_of_room_id(event.room_id) != create.event_id:
        raise Rejected("room_id is not that of the create event")
    # «If the content of the m.room.create event in the room state has the property m.federate set to false,
    # and the sender domain of the event does not match the sender domain of the create event, reject.»
    # COMPAT Synapse: whatever is not true is false.
    if create.content.get("m.federate", True) is not True and domain(event.sender) != domain(create.sender):
        raise Rejected("the room does not federate")
    # «If type is m.room.aliases: if event has no state_key, reject; if sender's domain doesn't match
    # state_key, reject; otherwise, allow.» (until v5)
    if version.aliases_special_auth and event.type == ALIASES:
        if event.state_key != domain(event.sender):
            raise Rejected("aliases of another domain")
        return
    case = AuthCase.of(version, event, state, create)
    if event.type == MEMBER:
        check_member(case)
    else:
        _check_other(case)


def _check_create(version: RoomVersion, event: Event) -> None:
    # «If it has any prev_events, reject.»
    if event.prev_events:
        raise Rejected("create event has prev_events")
    if version.room_id_is_create_hash:
        # «If the event has a room_id, reject.» (since v12)
        if "room_id" in event.json:
            raise Rejected("create event has a room_id")
    # «If the domain of the room_id does not match the domain of the sender, reject.» (until v11)
    elif domain(event.room_id) != domain(event.sender):
        raise Rejected("room_id is of another domain than the sender")
    # «If content.room_version is present and is not a recognised version, reject.»
    room_version = event.content.get("room_version", "1")
    if not isinstance(room_version, str) or room_version not in ROOM_VERSIONS:
        raise Rejected("unknown room_version")
    # «If content.additional_creators is present and is not an array of strings where each string passes the
    # same user ID validation applied to sender, reject.» (since v12)
    if version.creator_power:
        more = event.content.get("additional_creators", [])
        if not isinstance(more, list) or not all(map(is_user_id, more)):
            raise Rejected("additional_creators are not user IDs")
    # «If content has no creator property, reject.» (until v10)
    if not version.implicit_creator and "creator" not in event.content:
        raise Rejected("create event has no creator")


def _check_other(case: AuthCase) -> None:
    event, levels = case.event, case.levels
    # «If the sender's current membership state is not join, reject.»
    if case.membership_of(event.sender) != "join":
        raise Rejected("sender is not joined")
    # «If type is m.room.third_party_invite: allow if and only if sender's current power level is greater than
    # or equal to the invite level.»
    if event.type == THIRD_PARTY_INVITE:
        if case.power < levels.invite:
            raise Rejected("sender may not invite")
        return
    # «If the event type's required power level is greater than the sender's power level, reject.»
    if levels.to_send(event.type, event.is_state) > case.power:
        raise Rejected(f"sender may not send {event.type}")
    # «If the event has a state_key that starts with an @ and does not match the sender, reject.»
    if event.state_key is not None and event.state_key[:1] == "@" and event.state_key != event.sender:
        raise Rejected("state_key is another user")
    if event.type == POWER_LEVELS:
        check_power_levels(case)
    elif event.type == REDACTION and case.version.event_id_names_server:
        _check_redaction(case)


def _check_redaction(case: AuthCase) -> None:
    # «If the sender's power level is greater than or equal to the redact level, allow. If the domain of the
    # event_id of the event being redacted is the same as the domain of the event_id of the m.room.redaction,
    # allow. Otherwise, reject.» (until v2)
    if case.power >= case.levels.redact:
        return
    target = case.event.redacts
    if target is None or domain(target) != domain(case.event.event_id):
        raise Rejected("sender may not redact")


def check_auth_events(
    version: RoomVersion, event: Event, auth_events: Sequence[Event], rejected: Collection[EventID]
) -> None:
    """Raise Rejected unless the event names only auth events that it may: the rule that needs no room state.

    `auth_events` are all that the event names; `rejected` those of them that were themselves rejected.
    """
    _check_byte_limits(event)
    if event.type == CREATE:
        return
    keys = {auth_event.key for auth_event in auth_events}
    # «If there are duplicate entries for a given type and state_key pair, reject.»
    if len(keys) < len(auth_events):
        raise Rejected("two auth events for the same state")
    # «If there are entries whose type and state_key don't match those specified by the auth events selection
    # algorithm described in the server specification, reject.»
    needed = needed_for(version, event.type, event.sender, event.state_key, event.content)
    if not keys <= needed or not all(auth_event.is_state for auth_event in auth_events):
        raise Rejected("an auth event that does not authorise this event")
    # «If there are entries which were themselves rejected under the checks performed on receipt of a PDU,
    # reject.»
    if any(auth_event.event_id in rejected for auth_event in auth_events):
        raise Rejected("an auth event was rejected")
    # «If there is no m.room.create event among the entries, reject.» (until v11)
    if not version.room_id_is_create_hash and (CREATE, "") not in keys:
        raise Rejected("the create event is not among the auth events")
    # «If any event in auth_events has a room_id which does not match that of the event being authorised,
    # reject.»
    if any(auth_event.room_id != event.room_id for auth_event in auth_events):
        raise Rejected("an auth event of another room")


def _check_byte_limits(event: Event) -> None:
    # COMPAT Synapse: up to version 10 such events are in rooms, rejected; dropping them would leave a hole. Since
    # then parse_pdu refuses them.
    if not all(map(fits, (event.sender, event.room_id, event.event_id, event.type, event.state_key or ""))):
        raise Rejected("a field is larger than 255 bytes")
