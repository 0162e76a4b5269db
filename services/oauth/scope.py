"""Scopes (§OAuth 2.0 API, «Scope»): all of the client API, for one device that the client names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol.ids import DeviceID
from services.oauth.errors import OAuthError

# The second of each is the name of MSC2967, which clients from before v1.15 ask for.
_API = ("urn:matrix:client:api:*", "urn:matrix:org.matrix.msc2967.client:api:*")
_DEVICE = ("urn:matrix:client:device:", "urn:matrix:org.matrix.msc2967.client:device:")
# «only unreserved characters, as defined in RFC 3986 section 2.3»
_DEVICE_ID = re.compile(r"[A-Za-z0-9._~-]{1,255}")


@dataclass(frozen=True, slots=True)
class Scope:
    """What is granted, in the words in which it was asked for."""

    text: str
    device_id: DeviceID


def parse_scope(text: str) -> Scope:
    """Drops what we do not know; raises OAuthError unless the client API and exactly one device are asked for."""
    asked = dict.fromkeys(text.split())
    known = [one for one in asked if one in _API or one.startswith(_DEVICE)]
    devices = {_device_id(one) for one in known if one not in _API}
    if not any(one in _API for one in known):
        raise OAuthError("invalid_scope", "urn:matrix:client:api:* is missing")
    if len(devices) != 1:
        raise OAuthError("invalid_scope", "There must be exactly one urn:matrix:client:device:")
    return Scope(" ".join(known), devices.pop())


def _device_id(scope: str) -> DeviceID:
    device_id = next(scope.removeprefix(prefix) for prefix in _DEVICE if scope.startswith(prefix))
    if not _DEVICE_ID.fullmatch(device_id):
        raise OAuthError("invalid_scope", "A device ID consists of unreserved characters")
    return DeviceID(device_id)
