"""Topics: the short names under which waiting readers are told "look again".

A topic is a letter and an ID. It carries no data that matters: a lost or doubled one does no harm.
"""

from __future__ import annotations

ROOM, RECEIPTS, ACCOUNT_DATA, TO_DEVICE, DEVICE_LISTS, USER, LOGINS = "e", "r", "a", "d", "k", "u", "t"
TYPING, PRESENCE = "y", "p"
OWN_RECEIPTS = "o"
PUSH_RULES, UNREAD = "n", "c"
ROOM_SERVERS, DESTINATION, HEARD = "s", "q", "h"
ALIASES, APPSERVICE = "l", "b"
HISTORY = "g"
PUSHERS = "w"
MEDIA = "m"


def room(room_id: str) -> str:
    """Events of the room: its timeline or its state."""
    return ROOM + room_id


def history(room_id: str) -> str:
    """History of the room has been fetched: no news, but what is kept of it in memory is not whole any more."""
    return HISTORY + room_id


def receipts(room_id: str) -> str:
    """Receipts in the room."""
    return RECEIPTS + room_id


def own_receipts(user_id: str, room_id: str) -> str:
    """A private receipt of the user in the room, which concerns nobody else; neither ID contains a NUL."""
    return f"{OWN_RECEIPTS}{user_id}\0{room_id}"


def account_data(user_id: str) -> str:
    """Account data, tags and push rules of the user."""
    return ACCOUNT_DATA + user_id


def to_device(user_id: str) -> str:
    """Messages to devices of the user."""
    return TO_DEVICE + user_id


def device_lists(room_or_user: str) -> str:
    """The devices of somebody in the room (or of the user) have changed."""
    return DEVICE_LISTS + room_or_user


def user(user_id: str) -> str:
    """The user's own memberships, or the number of keys that the user's devices have left."""
    return USER + user_id


def typing(room_id: str) -> str:
    """Who types in the room; numbered by the ephemeral counter, not by the journal."""
    return TYPING + room_id


def presence(user_id: str) -> str:
    """The user's presence; numbered by the ephemeral counter, not by the journal."""
    return PRESENCE + user_id


def logins(user_id: str) -> str:
    """Access tokens of the user have died, or what the account may do has changed."""
    return LOGINS + user_id


def push_rules(user_id: str) -> str:
    """The user's push rules."""
    return PUSH_RULES + user_id


def unread(user_id: str) -> str:
    """What the user has read: a receipt of the user's has moved."""
    return UNREAD + user_id


def room_servers(room_id: str) -> str:
    """Which other servers have users in the room."""
    return ROOM_SERVERS + room_id


def destination(server: str) -> str:
    """Something waits for this other server in the outbox."""
    return DESTINATION + server


def heard(server: str) -> str:
    """This other server, which could not be reached, has been heard from."""
    return HEARD + server


def aliases(room_id: str) -> str:
    """The aliases here that lead to the room; told only where there are application services, which may care for them."""
    return ALIASES + room_id


def appservice(appservice_id: str) -> str:
    """This application service, which could not be reached, has shown that it can."""
    return APPSERVICE + appservice_id


def pushers(user_id: str) -> str:
    """The user's pushers: there is a new or another one, or one less."""
    return PUSHERS + user_id


def media(media_id: str) -> str:
    """The file of a media ID that had been given out before has come."""
    return MEDIA + media_id
