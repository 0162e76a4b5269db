"""A pusher as it is delivered to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from protocol.ids import UserID
from protocol.json import JsonObject
from services.push.pushers import HTTP, MAIL
from storage.push.pushers import StoredPusher

Key = tuple[str, str, str]
"""User ID, app ID, pushkey."""

SILENT_WHILE_ACTIVE: Final = "chat.hearth.silent_while_active"
_NO_BADGE: Final = ("disable_badge_count", "org.matrix.msc4076.disable_badge_count")


@dataclass(frozen=True, slots=True)
class Target:
    """What does not change while it is delivered to; `stored` is how it was when it was read."""

    stored: StoredPusher
    kind: str
    data: JsonObject

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.stored.user_id, self.stored.app_id, self.stored.pushkey

    @property
    def user_id(self) -> UserID:
        """Whose it is."""
        return UserID(self.stored.user_id)

    @property
    def is_http(self) -> bool:
        """Is it a push gateway that is told?"""
        return self.kind == HTTP

    @property
    def is_mail(self) -> bool:
        """Are mails written?"""
        return self.kind == MAIL

    @property
    def url(self) -> str:
        """Of its push gateway."""
        return str(self.data.get("url"))

    @property
    def is_full(self) -> bool:
        """Is the gateway told what was said?"""
        return self.data.get("format") != "event_id_only"

    @property
    def has_badge(self) -> bool:
        """Is it told how much is unread (MSC4076)?"""
        return not any(self.data.get(name) is True for name in _NO_BADGE)

    @property
    def is_silent_while_active(self) -> bool:
        """Does it wait as long as the user is at another device?"""
        return self.data.get(SILENT_WHILE_ACTIVE) is True


def target_of(stored: StoredPusher) -> Target:
    """The pusher in this row."""
    json = orjson.loads(stored.json)
    return Target(stored, json["kind"], json["data"])
