"""A notification as a homeserver sends it (Push Gateway API, POST /_matrix/push/v1/notify)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from protocol.matrix_error import BadJson, InvalidParam
from web.body import Fields

Json = dict[str, Any]

HIGH, LOW = "high", "low"
MAX_DEVICES: Final = 100
MAX_CONTENT: Final = 16 * 1024
MAX_PAYLOAD: Final = 4 * 1024
"""Bytes. No push holds more than 4 KiB: what is larger is made small once, not for each device and each try to make it fit."""


@dataclass(frozen=True, slots=True)
class Device:
    """Who is to be told."""

    app_id: str
    pushkey: str
    pushkey_ts: int
    """Seconds."""
    data: Json
    tweaks: Json

    @property
    def default_payload(self) -> Json:
        """What the application wants in every push, as Sygnal's applications say it."""
        payload = self.data.get("default_payload")
        return payload if isinstance(payload, dict) and len(orjson.dumps(payload)) <= MAX_PAYLOAD else {}


@dataclass(frozen=True, slots=True)
class Notification:
    """What they are to be told; what was not said is None."""

    event_id: str | None
    room_id: str | None
    type: str | None
    sender: str | None
    sender_display_name: str | None
    room_name: str | None
    room_alias: str | None
    user_is_target: bool | None
    is_urgent: bool
    content: Json | None
    unread: int | None
    missed_calls: int | None

    @property
    def badge(self) -> int | None:
        """All that waits for the user; None when nothing was said of it."""
        if self.unread is None and self.missed_calls is None:
            return None
        return (self.unread or 0) + (self.missed_calls or 0)


def notification_of(body: Fields) -> tuple[Notification, list[Device]]:
    """What the body tells, and whom; raises BadJson, MissingParam or InvalidParam."""
    said = Fields(body.object("notification"))
    devices = [_device(Fields(one)) for one in said.objects("devices")]
    if len(devices) > MAX_DEVICES:
        raise InvalidParam(f"A notification has at most {MAX_DEVICES} devices")
    counts = said.fields("counts")
    # «If omitted, high is assumed.»
    prio = said.text("prio", HIGH)
    if prio not in (HIGH, LOW):
        raise BadJson(f"prio must be {HIGH} or {LOW}")
    notification = Notification(
        event_id=said.text("event_id", None),
        room_id=said.text("room_id", None),
        type=said.text("type", None),
        sender=said.text("sender", None),
        sender_display_name=said.text("sender_display_name", None),
        room_name=said.text("room_name", None),
        room_alias=said.text("room_alias", None),
        user_is_target=said.flag("user_is_target", None),
        is_urgent=prio == HIGH,
        content=_bounded(said.object("content", None)),
        unread=counts.integer("unread", None, minimum=0),
        missed_calls=counts.integer("missed_calls", None, minimum=0),
    )
    return notification, devices


def _device(said: Fields) -> Device:
    return Device(
        app_id=said.text("app_id"),
        pushkey=said.text("pushkey"),
        pushkey_ts=said.integer("pushkey_ts", 0),
        data=said.object("data", {}),
        tweaks=said.object("tweaks", {}),
    )


def _bounded(content: Json | None) -> Json | None:
    """Of a content that is too large its kind and its text."""
    if content is None or len(orjson.dumps(content)) <= MAX_CONTENT:
        return content
    texts = {name: content.get(name) for name in ("msgtype", "body")}
    return {name: text[:MAX_PAYLOAD] for name, text in texts.items() if isinstance(text, str)}
