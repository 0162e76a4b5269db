"""Redacting events, and who may do it (§Redactions, §Handling redactions)."""

from typing import Any

from protocol.auth.levels import PowerLevels
from protocol.errors import InvalidId
from protocol.events import MEMBER, Event
from protocol.ids import server_of
from protocol.json import JsonObject
from protocol.redaction_rules import RedactionRules
from protocol.room_versions import RoomVersion

_NOTHING: frozenset[str] = frozenset()


def redact(json: JsonObject, version: RoomVersion) -> JsonObject:
    """A copy of the event with what the room version's redaction leaves of it; `unsigned` is gone.

    The values are shared with the original.
    """
    rules = version.redaction
    redacted = {key: json[key] for key in rules.kept if key in json}
    redacted["content"] = _redacted_content(json.get("type"), json.get("content"), rules)
    return redacted


def _redacted_content(event_type: object, content: object, rules: RedactionRules) -> JsonObject:
    if not isinstance(content, dict) or not isinstance(event_type, str):
        return {}
    if event_type in rules.whole_content:
        return content
    kept: dict[str, Any] = {
        key: content[key] for key in rules.kept_content.get(event_type, _NOTHING) if key in content
    }
    if event_type == MEMBER and rules.keeps_signed_third_party_invite:
        # Of third_party_invite only its `signed` key stays (since v11). COMPAT Synapse: without that key an empty
        # object stays; event IDs depend on it.
        invite = content.get("third_party_invite")
        if isinstance(invite, dict):
            kept["third_party_invite"] = {"signed": invite["signed"]} if "signed" in invite else {}
    return kept


def redact_event(event: Event) -> Event:
    """The same event in its redacted form, with the same event ID."""
    return Event.from_trusted(redact(event.json, event.version), event.event_id, event.version, event.room_id)


def may_apply_redaction(redaction: Event, target: Event, levels: PowerLevels) -> bool:
    """Is the redaction, which passed the auth rules, to be carried out on the target?

    `levels` are those of the state that the redaction was authorised against. The version's auth rules have
    decided already where event IDs name servers.
    """
    if redaction.room_id != target.room_id:
        return False
    if redaction.version.event_id_names_server:
        return True
    # «The power level of the redaction event's sender is greater than or equal to the redact level.» (since
    # v3)
    if levels.of_user(redaction.sender) >= levels.redact:
        return True
    # «The domain of the redaction event's sender matches that of the original event's sender.» (since v3)
    try:
        return server_of(redaction.sender) == server_of(target.sender)
    except InvalidId:
        return False
