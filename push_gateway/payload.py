"""What providers are told: the fields that applications know, trimmed to what a push may hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from push_gateway.notification import Device, Notification

MAX_NAME: Final = 256
"""Characters of a name that are told."""
SHORTEST: Final = 64
"""Characters of a message that are worth telling."""
DROPPED: Final = (
    "content", "room_alias", "room_name", "sender_display_name", "sender", "user_is_target", "type",
)  # fmt: skip
"""What goes first when it is too much. The event's and the room's ID and the counts stay."""
_NAMES: Final = ("sender", "sender_display_name", "room_name", "room_alias", "type")

Json = dict[str, Any]


def opened(notification: Notification, device: Device, content: bool) -> Json:
    """All that may be told, by the names of the notification; without `content` only IDs and counts.

    What the application wants in every push stands below what we say, and cannot replace it.
    """
    said: Json = dict(device.default_payload)
    said |= _present(event_id=notification.event_id, room_id=notification.room_id)
    said |= _present(unread=notification.unread, missed_calls=notification.missed_calls)
    said["prio"] = "high" if notification.is_urgent else "low"
    if content:
        said |= {
            name: value[:MAX_NAME] for name in _NAMES if (value := getattr(notification, name)) is not None
        }
        said |= _present(user_is_target=notification.user_is_target, content=notification.content)
    return said


def _present(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def fitted(said: Json, written: Callable[[Json], bytes], limit: int) -> Json:
    """As much of it as fits into so many bytes: first the message is cut, then what matters least goes.

    The whole of an event's content but its text goes before the text does.
    """
    if len(written(said)) <= limit:
        return said
    body = _text(said)
    if body is not None:
        body = body[:limit]  # a character is at least one byte
        said = {**said, "content": {"msgtype": said["content"].get("msgtype", "m.text"), "body": body}}
        excess = len(written(said)) - limit
        while excess > 0 and len(body) > SHORTEST:
            # A character is at least one byte, and seldom more than four.
            body = body[: max(SHORTEST, len(body) - max(excess // 4, 1))]
            said["content"] = {**said["content"], "body": body + "…"}
            excess = len(written(said)) - limit
    for name in DROPPED:
        if len(written(said)) <= limit:
            return said
        said = {key: value for key, value in said.items() if key != name}
    if len(written(said)) > limit:
        said = {
            key: said[key] for key in ("event_id", "room_id", "unread", "missed_calls", "prio") if key in said
        }
    if len(written(said)) > limit:
        said = {key: value for key, value in said.items() if not isinstance(value, str)}
    return said


def _text(said: Json) -> str | None:
    content = said.get("content")
    body = content.get("body") if isinstance(content, dict) else None
    if not isinstance(body, str) or not isinstance(content, dict):
        return None
    return body if isinstance(content.get("msgtype", ""), str) else None
