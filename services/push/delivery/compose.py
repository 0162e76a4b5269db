"""What a push gateway is told (Push Gateway API, §Homeserver behaviour)."""

from __future__ import annotations

from typing import Final

import orjson

from protocol.json import JsonObject
from protocol.push_rules.rule import Actions
from services.push.delivery.badges import Badge
from services.push.delivery.facts import ENCRYPTED, Facts
from services.push.delivery.target import Target

HIGH, LOW = "high", "low"
_NAMES: Final = 255  # characters of a name that are told
_CONTENT: Final = (
    8 * 1024
)  # bytes; «the pusher may omit this if the event had no content or for any other reason»


def event_push(target: Target, facts: Facts, actions: Actions, badge: Badge) -> bytes:
    """The body that tells of an event, and of how much is unread with it."""
    event = facts.event
    tweaks = _tweaks(actions)
    # What is encrypted may be anything: the device looks inside.
    is_urgent = "sound" in tweaks or tweaks.get("highlight") is True or event.type == ENCRYPTED
    said: JsonObject = {
        "event_id": event.event_id,
        "room_id": event.room_id,
        "prio": HIGH if is_urgent else LOW,
    }
    if target.is_full and not facts.is_encrypted:
        said |= _in_full(target, facts)
    return _body(target, said, badge, tweaks)


def badge_push(target: Target, badge: Badge) -> bytes:
    """The body that tells how much is unread, and nothing else."""
    return _body(target, {"prio": LOW}, badge, {})


def _in_full(target: Target, facts: Facts) -> JsonObject:
    event = facts.event
    said: JsonObject = {"type": event.type, "sender": event.sender}
    for name, value in (
        ("sender_display_name", facts.sender_name),
        ("room_name", facts.room_name),
        ("room_alias", facts.room_alias),
    ):
        if value is not None:
            said[name] = value[:_NAMES]
    if event.state_key is not None and event.type == "m.room.member":
        said["user_is_target"] = event.state_key == target.user_id
    if len(orjson.dumps(event.content)) <= _CONTENT:
        said["content"] = event.content
    return said


def _tweaks(actions: Actions) -> JsonObject:
    # «If a highlight tweak is given with no value, its value is defined to be true.»
    return {
        one["set_tweak"]: one.get("value", True)
        for one in actions.json
        if isinstance(one, dict) and isinstance(one.get("set_tweak"), str)
    }


def _body(target: Target, said: JsonObject, badge: Badge, tweaks: JsonObject) -> bytes:
    device: JsonObject = {
        "app_id": target.stored.app_id,
        "pushkey": target.stored.pushkey,
        "pushkey_ts": target.stored.created // 1000,
        "data": {name: value for name, value in target.data.items() if name != "url"},
    }
    if tweaks:
        device["tweaks"] = tweaks
    counts = {"unread": badge.unread, "missed_calls": badge.missed_calls} if target.has_badge else {}
    if counts:
        # «Counts whose value is zero should be omitted», but where nothing else is told the zero is the news.
        only = "event_id" not in said
        said["counts"] = {name: n for name, n in counts.items() if n or (only and name == "unread")}
    return orjson.dumps({"notification": {**said, "devices": [device]}})
