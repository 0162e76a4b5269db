"""What a mail about missed messages says."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from protocol.json import JsonObject
from services.mail.letters import Letter, write_letter
from services.push.delivery.delivering import Delivering
from services.push.delivery.facts import Facts
from services.push.delivery.happened import Happened
from services.push.delivery.target import Target
from services.push.unsubscribe import unsubscribe_link
from services.tenant import Tenant

MOST_SHOWN = 10  # messages of a room
MOST_CHARACTERS = 300
A_MESSAGE = "sent a message"


@dataclass(frozen=True, slots=True)
class MissedRoom:
    """A room, and what was missed in it: (who, what) of the last messages, and how many there are."""

    room_id: str
    name: str
    messages: list[tuple[str, str]]
    count: int
    last: Happened


async def rooms_of(delivery: Delivering, target: Target, missed: list[Happened]) -> list[MissedRoom]:
    """What was missed, as far as it still notifies, room by room in the order of what came first."""
    found: dict[str, list[tuple[Happened, Facts]]] = {}
    for happened in missed:
        told = await delivery.look(target, happened)
        if told is not None:
            found.setdefault(happened.room_id, []).append((happened, told.facts))
    return [_room(target, room_id, some) for room_id, some in found.items()]


def _room(target: Target, room_id: str, some: list[tuple[Happened, Facts]]) -> MissedRoom:
    facts = some[-1][1]
    messages = [(one.sender_name or one.event.sender, _said(target, one)) for _, one in some[-MOST_SHOWN:]]
    return MissedRoom(room_id, facts.room_name or "A room", messages, len(some), some[-1][0])


def _said(target: Target, facts: Facts) -> str:
    event = facts.event
    if event.type == "m.room.member" and event.state_key == target.user_id:
        return "invites you"
    body = event.content.get("body")
    if facts.is_encrypted or event.type != "m.room.message" or not isinstance(body, str) or not body.strip():
        return A_MESSAGE
    return body if len(body) <= MOST_CHARACTERS else body[:MOST_CHARACTERS] + "…"


def digest_letter(tenant: Tenant, target: Target, rooms: list[MissedRoom]) -> Letter:
    """The mail; it says how to get no more of them."""
    leave = unsubscribe_link(tenant, target.user_id, target.stored.pushkey)
    values: JsonObject = {
        "rooms": [
            {
                "name": room.name,
                "link": f"https://matrix.to/#/{quote(room.room_id, safe='')}",
                "messages": [{"sender": sender, "text": text} for sender, text in room.messages],
                "more": room.count - len(room.messages),
            }
            for room in rooms
        ],
        "count": sum(room.count for room in rooms),
        "unsubscribe": leave,
    }
    # RFC 8058: mail programs offer a button that posts there, without asking anybody to log in.
    headers = {"List-Unsubscribe": f"<{leave}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return write_letter(tenant, "missed", target.stored.pushkey, values, headers)
