"""The identifiers of the specification (§Common Identifier Format) and who may be called what."""

import re
from typing import Final, NewType

from protocol.errors import InvalidId

UserID = NewType("UserID", str)
RoomID = NewType("RoomID", str)
EventID = NewType("EventID", str)
RoomAlias = NewType("RoomAlias", str)
ServerName = NewType("ServerName", str)
DeviceID = NewType("DeviceID", str)

MAX_ID_BYTES: Final = 255

_NEW_LOCALPART = re.compile(r"[a-z0-9._=/+-]+")
_SERVER_NAME = re.compile(
    r"(?:\[[0-9A-Fa-f:.]{2,45}\]"  # IPv6 literal
    r"|[0-9A-Za-z.-]{1,255})"  # dns-name or IPv4 literal
    r"(?::[0-9]{1,5})?"
)
# «Historical user IDs»: every code point but `:` and U+0000; surrogates have no UTF-8 form.
_LOCALPART = re.compile(r"[^:\x00\ud800-\udfff]*")
_OPAQUE = re.compile(r"[^\x00\ud800-\udfff]+")


def parse_user_id(text: str) -> UserID:
    """The text as a user ID, historical ones too (any localpart); raises InvalidId."""
    _split(text, "@", "user ID")
    return UserID(text)


def parse_room_alias(text: str) -> RoomAlias:
    """The text as a room alias; raises InvalidId."""
    localpart, _ = _split(text, "#", "room alias")
    if not localpart:
        raise InvalidId(f"room alias without a localpart: {text!r}")
    return RoomAlias(text)


def parse_room_id(text: str) -> RoomID:
    """The text as a room ID, with a domain (up to version 11) or without one (12); raises InvalidId."""
    _check_opaque(text, "!", "room ID")
    return RoomID(text)


def parse_event_id(text: str) -> EventID:
    """The text as an event ID, of whatever room version; raises InvalidId."""
    _check_opaque(text, "$", "event ID")
    return EventID(text)


def parse_server_name(text: str) -> ServerName:
    """The text as a server name: host name or IP literal, with or without port; raises InvalidId."""
    if not isinstance(text, str) or len(text) > MAX_ID_BYTES or not _SERVER_NAME.fullmatch(text):
        raise InvalidId(f"not a server name: {text!r}")
    return ServerName(text)


def server_of(identifier: str) -> ServerName:
    """The server of a user ID, an alias, an older room or event ID; raises InvalidId if it names none."""
    _, colon, server = identifier.partition(":")
    if not colon:
        raise InvalidId(f"names no server: {identifier!r}")
    return ServerName(server)


def localpart_of(identifier: str) -> str:
    """What stands between the sigil and the first colon of a user ID or a room alias."""
    return identifier[1:].partition(":")[0]


def is_valid_new_localpart(localpart: str) -> bool:
    """May a user that registers now have this localpart? Older ones may have others."""
    return _NEW_LOCALPART.fullmatch(localpart) is not None


def is_user_id(value: object) -> bool:
    """Does the value pass for a user ID inside of an event?

    Looser than parse_user_id: what one server's auth rules refuse and another's accept splits the room,
    so that here only what all servers agree on is asked for.
    """
    return isinstance(value, str) and value[:1] == "@" and ":" in value and fits(value)


def fits(text: str) -> bool:
    """Is the text within 255 bytes of UTF-8?"""
    if text.isascii():
        return len(text) <= MAX_ID_BYTES
    return len(text.encode("utf-8", "surrogatepass")) <= MAX_ID_BYTES


def _split(text: str, sigil: str, name: str) -> tuple[str, ServerName]:
    if not isinstance(text, str) or text[:1] != sigil or not fits(text):
        raise InvalidId(f"not a {name}: {text!r}")
    localpart, colon, server = text[1:].partition(":")
    if not colon or not _LOCALPART.fullmatch(localpart):
        raise InvalidId(f"not a {name}: {text!r}")
    return localpart, parse_server_name(server)


def _check_opaque(text: str, sigil: str, name: str) -> None:
    if not isinstance(text, str) or text[:1] != sigil or not fits(text) or not _OPAQUE.fullmatch(text, 1):
        raise InvalidId(f"not a {name}: {text!r}")
