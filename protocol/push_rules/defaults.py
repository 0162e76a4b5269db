"""The default rules (§Predefined Rules) of v1.19, and those of accepted proposals that clients know."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from protocol.json import JsonObject
from protocol.push_rules.conditions import THREAD_SUBSCRIPTION
from protocol.push_rules.rule import ME, Actions, Condition, Kind, PushRule

_NOTHING: Final = Actions.of(())
_NOTIFY: Final = Actions.of(("notify",))
_SOUND: Final = Actions.of(("notify", {"set_tweak": "sound", "value": "default"}))
_RING: Final = Actions.of(("notify", {"set_tweak": "sound", "value": "ring"}))
_HIGHLIGHT: Final = Actions.of(("notify", {"set_tweak": "highlight"}))
_SOUND_AND_HIGHLIGHT: Final = Actions.of(
    ("notify", {"set_tweak": "sound", "value": "default"}, {"set_tweak": "highlight"})
)


def _matches(key: str, pattern: Any) -> JsonObject:
    return {"kind": "event_match", "key": key, "pattern": pattern}


def _is(key: str, value: Any) -> JsonObject:
    return {"kind": "event_property_is", "key": key, "value": value}


def _rule(rule_id: str, actions: Actions, *conditions: Condition, enabled: bool = True) -> PushRule:
    return PushRule(rule_id, actions, conditions, enabled=enabled, default=True)


_OF_TWO: Final[Condition] = {"kind": "room_member_count", "is": "2"}
_ENCRYPTED: Final = _matches("type", "m.room.encrypted")
_MESSAGE: Final = _matches("type", "m.room.message")
_POLL: Final = _matches("type", "org.matrix.msc3381.poll.start")
_POLL_END: Final = _matches("type", "org.matrix.msc3381.poll.end")

IS_USER_MENTION: Final = ".m.rule.is_user_mention"
INVITE_FOR_ME: Final = ".m.rule.invite_for_me"

# It stands before everything else, also before the user's own override rules.
MASTER: Final = _rule(".m.rule.master", _NOTHING, enabled=False)

_OVERRIDE: Final = (
    # MSC4028: wake the client for every encrypted event, for it to look inside. Off until a client asks for it.
    _rule(".org.matrix.msc4028.encrypted_event", _NOTIFY, _ENCRYPTED, enabled=False),
    _rule(".m.rule.suppress_notices", _NOTHING, _matches("content.msgtype", "m.notice")),
    _rule(
        INVITE_FOR_ME,
        _SOUND,
        _matches("type", "m.room.member"),
        _matches("content.membership", "invite"),
        _matches("state_key", ME),
    ),
    _rule(".m.rule.member_event", _NOTHING, _matches("type", "m.room.member")),
    _rule(
        IS_USER_MENTION,
        _SOUND_AND_HIGHLIGHT,
        {"kind": "event_property_contains", "key": r"content.m\.mentions.user_ids", "value": ME},
    ),
    _rule(
        ".m.rule.is_room_mention",
        _HIGHLIGHT,
        _is(r"content.m\.mentions.room", True),
        {"kind": "sender_notification_permission", "key": "room"},
    ),
    _rule(".m.rule.tombstone", _HIGHLIGHT, _matches("type", "m.room.tombstone"), _matches("state_key", "")),
    _rule(".m.rule.reaction", _NOTHING, _matches("type", "m.reaction")),
    _rule(
        ".m.rule.room.server_acl",
        _NOTHING,
        _matches("type", "m.room.server_acl"),
        _matches("state_key", ""),
    ),
    _rule(".m.rule.suppress_edits", _NOTHING, _is(r"content.m\.relates_to.rel_type", "m.replace")),
    # MSC3930, under the names that clients use.
    _rule(
        ".org.matrix.msc3930.rule.poll_response",
        _NOTHING,
        _matches("type", "org.matrix.msc3381.poll.response"),
    ),
)

_UNDERRIDE: Final = (
    _rule(".m.rule.call", _RING, _matches("type", "m.call.invite")),
    _rule(".m.rule.encrypted_room_one_to_one", _SOUND, _OF_TWO, _ENCRYPTED),
    _rule(".m.rule.room_one_to_one", _SOUND, _OF_TWO, _MESSAGE),
    _rule(".m.rule.message", _NOTIFY, _MESSAGE),
    _rule(".m.rule.encrypted", _NOTIFY, _ENCRYPTED),
    _rule(".org.matrix.msc3930.rule.poll_start_one_to_one", _SOUND, _OF_TWO, _POLL),
    _rule(".org.matrix.msc3930.rule.poll_start", _NOTIFY, _POLL),
    _rule(".org.matrix.msc3930.rule.poll_end_one_to_one", _SOUND, _OF_TWO, _POLL_END),
    _rule(".org.matrix.msc3930.rule.poll_end", _NOTIFY, _POLL_END),
)

# MSC4306: of threads, only those that the user has subscribed to. Off until a client that can subscribe asks for them:
# with others nobody would be told of threads any more.
_POSTCONTENT: Final = (
    _rule(
        ".io.element.msc4306.rule.unsubscribed_thread",
        _NOTHING,
        {"kind": THREAD_SUBSCRIPTION, "subscribed": False},
        enabled=False,
    ),
    _rule(
        ".io.element.msc4306.rule.subscribed_thread",
        _SOUND,
        {"kind": THREAD_SUBSCRIPTION, "subscribed": True},
        enabled=False,
    ),
)

DEFAULTS: Final[Mapping[Kind, tuple[PushRule, ...]]] = MappingProxyType(
    {
        Kind.OVERRIDE: (MASTER, *_OVERRIDE),
        Kind.CONTENT: (),
        Kind.POSTCONTENT: _POSTCONTENT,
        Kind.ROOM: (),
        Kind.SENDER: (),
        Kind.UNDERRIDE: _UNDERRIDE,
    }
)
