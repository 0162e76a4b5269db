"""What survives a redaction, as data: one value for each set of rules in use (§Redactions)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class RedactionRules:
    """Which keys of an event, and of the content of each type, a redaction leaves alone."""

    kept: tuple[str, ...]
    kept_content: Mapping[str, frozenset[str]]
    whole_content: frozenset[str] = frozenset()
    keeps_signed_third_party_invite: bool = False


def _with(rules: RedactionRules, event_type: str, *keys: str) -> Mapping[str, frozenset[str]]:
    """The content rules, with these keys kept of this type."""
    kept = rules.kept_content.get(event_type, frozenset()) | set(keys)
    return MappingProxyType({**rules.kept_content, event_type: kept})


def _without(rules: RedactionRules, event_type: str) -> Mapping[str, frozenset[str]]:
    return MappingProxyType({t: kept for t, kept in rules.kept_content.items() if t != event_type})


_KEPT_V11 = (
    "event_id",
    "type",
    "room_id",
    "sender",
    "state_key",
    "content",
    "hashes",
    "signatures",
    "depth",
    "prev_events",
    "auth_events",
    "origin_server_ts",
)
_POWER_LEVELS = frozenset(
    ("ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default")
)

REDACTION_V1: Final = RedactionRules(
    kept=(*_KEPT_V11, "prev_state", "origin", "membership"),
    kept_content=MappingProxyType(
        {
            "m.room.member": frozenset(("membership",)),
            "m.room.create": frozenset(("creator",)),
            "m.room.join_rules": frozenset(("join_rule",)),
            "m.room.power_levels": _POWER_LEVELS,
            "m.room.history_visibility": frozenset(("history_visibility",)),
            "m.room.aliases": frozenset(("aliases",)),
        }
    ),
)
# Since version 6 aliases are no longer protected.
REDACTION_V6: Final = replace(REDACTION_V1, kept_content=_without(REDACTION_V1, "m.room.aliases"))
REDACTION_V8: Final = replace(REDACTION_V6, kept_content=_with(REDACTION_V6, "m.room.join_rules", "allow"))
REDACTION_V9: Final = replace(
    REDACTION_V8,
    kept_content=_with(REDACTION_V8, "m.room.member", "join_authorised_via_users_server"),
)
_V11_POWER_LEVELS = replace(REDACTION_V9, kept_content=_with(REDACTION_V9, "m.room.power_levels", "invite"))
REDACTION_V11: Final = RedactionRules(
    kept=_KEPT_V11,
    kept_content=_with(_V11_POWER_LEVELS, "m.room.redaction", "redacts"),
    whole_content=frozenset(("m.room.create",)),
    keeps_signed_third_party_invite=True,
)
