"""Rooms in memory, for tests that need events: `room = Room(V12)`, `room.join(BOB)`, `room.says(ALICE, "hello")`."""

import hashlib
import itertools
from collections.abc import Mapping
from typing import Any

from protocol.auth.needed import needed_for
from protocol.auth.rules import check_auth
from protocol.build import EventDraft, build_event
from protocol.errors import Rejected
from protocol.event_format import parse_pdu
from protocol.events import CREATE, Event, StateKey, StateMap
from protocol.hashes import content_hash, signed_bytes
from protocol.ids import EventID, RoomID, ServerName, UserID
from protocol.room_versions import EventFormat, RoomVersion
from protocol.signing import SigningKey
from protocol.unpadded_base64 import encode_base64

ALICE, BOB, CAROL = UserID("@alice:one"), UserID("@bob:two"), UserID("@carol:two")

Content = dict[str, Any]


def key_of(server: str) -> SigningKey:
    """The signing key of a server in these tests: made from its name."""
    return SigningKey.from_seed("ed25519:test", hashlib.sha256(server.encode()).digest())


class Room:
    """One branch of a room that Alice made. All branches share `events`; each has its own `state`."""

    def __init__(self, version: RoomVersion, **create_content: Any) -> None:
        self.version = version
        self.events: dict[EventID, Event] = {}
        self.state: dict[StateKey, Event] = {}
        self.latest: Event | None = None
        self.clock = itertools.count(1_700_000_000_000)
        self.room_id = None if version.room_id_is_create_hash else RoomID("!room:one")
        content = {"room_version": version.id, **create_content}
        if not version.implicit_creator:
            content.setdefault("creator", ALICE)
        self.create = self.put(ALICE, CREATE, content, "")
        self.room_id = self.create.room_id

    @classmethod
    def opened(
        cls, version: RoomVersion, *members: UserID, join_rule: str = "public", **create: Any
    ) -> "Room":
        """A room of Alice's with power levels and a join rule, that these others have joined."""
        room = cls(version, **create)
        room.member(ALICE, "join")
        creators_have_power_anyway = version.creator_power
        room.levels({} if creators_have_power_anyway else {ALICE: 100})
        room.put(ALICE, "m.room.join_rules", {"join_rule": join_rule}, "")
        for member in members:
            room.member(member, "join")
        return room

    def draft(
        self,
        sender: str,
        event_type: str,
        content: Content,
        state_key: str | None = None,
        redacts: str | None = None,
    ) -> Event:
        """The event that this would be on top of the branch; nothing is checked, and it is not put there."""
        needed = needed_for(self.version, event_type, sender, state_key, content)
        ts = next(self.clock)
        server = ServerName(sender.partition(":")[2])
        return build_event(
            self.version,
            EventDraft(event_type, content, state_key, EventID(redacts) if redacts else None),
            room_id=self.room_id,
            sender=UserID(sender),
            prev_events=[self.latest] if self.latest else [],
            auth_events=[self.state[key] for key in sorted(needed) if key in self.state],
            depth=self.latest.depth + 1 if self.latest else 1,
            origin_server_ts=ts,
            key=key_of(server),
            server_name=server,
            event_id=None if self.version.event_id_is_hash else EventID(f"${ts}:{server}"),
        )

    def put(self, sender: str, event_type: str, content: Content, state_key: str | None = None) -> Event:
        """Send an event that the auth rules allow (Rejected if they do not)."""
        return self.accept(self.draft(sender, event_type, content, state_key))

    def accept(self, event: Event) -> Event:
        """Put a drafted event on top of the branch, if the auth rules allow it."""
        check_auth(self.version, event, self.state)
        return self.append(event)

    def append(self, event: Event) -> Event:
        """Put a drafted event on top of the branch, allowed or not."""
        self.events[event.event_id] = event
        if event.is_state:
            self.state[event.key] = event
        self.latest = event
        return event

    def member(self, user: str, membership: str, by: str | None = None, **content: Any) -> Event:
        """Change a membership: by the user, unless somebody else is named."""
        return self.put(by or user, "m.room.member", {"membership": membership, **content}, user)

    def levels(self, users: Mapping[str, Any], by: str = ALICE, **content: Any) -> Event:
        """Set the power levels."""
        return self.put(by, "m.room.power_levels", {"users": dict(users), **content}, "")

    def says(self, sender: str, body: str) -> Event:
        """Send a message."""
        return self.put(sender, "m.room.message", {"msgtype": "m.text", "body": body})

    def fork(self) -> "Room":
        """Another branch from here."""
        branch = object.__new__(Room)
        branch.__dict__.update(self.__dict__, state=dict(self.state))
        return branch

    @property
    def state_ids(self) -> dict[StateKey, EventID]:
        """The branch's state, as state resolution takes it."""
        return {key: event.event_id for key, event in self.state.items()}


def is_allowed(event: Event, state: StateMap) -> bool:
    """Do the auth rules allow the event in this state?"""
    try:
        check_auth(event.version, event, state)
    except Rejected:
        return False
    return True


def foreign(
    room: Room, sender: str, event_type: str, content: Any, state_key: Any = None, **fields: Any
) -> Event:
    """The event that another server, which minds no rules, might send on top of the branch: read as from the wire."""
    version, server, ts = room.version, sender.partition(":")[2], next(room.clock)
    keys = sorted(needed_for(version, event_type, sender, state_key, content))
    json = {
        "type": event_type,
        "sender": sender,
        "content": content,
        "origin_server_ts": ts,
        "depth": room.latest.depth + 1 if room.latest else 1,
        "prev_events": _references([room.latest] if room.latest else [], version),
        "auth_events": _references([room.state[key] for key in keys if key in room.state], version),
        "room_id": room.room_id,
        **({"event_id": f"${ts}:{server}"} if not version.event_id_is_hash else {}),
        **({"state_key": state_key} if state_key is not None else {}),
        **fields,
    }
    return parse_pdu(signed_by(json, server, version), version)


def signed_by(json: Content, server: str, version: RoomVersion) -> Content:
    """The event in federation format with its hash and a server's signature."""
    json = {**json, "hashes": {"sha256": encode_base64(content_hash(json))}}
    signature = key_of(server).sign(signed_bytes(json, version))
    return {**json, "signatures": {server: {key_of(server).name: signature}}}


def _references(events: list[Event], version: RoomVersion) -> list[Any]:
    if version.event_format is EventFormat.IDS:
        return [event.event_id for event in events]
    return [[event.event_id, {"sha256": encode_base64(bytes(32))}] for event in events]
