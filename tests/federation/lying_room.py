"""A room that a lying server has made: events that it can sign, and the handshakes by which it lets others in."""

from __future__ import annotations

from itertools import count
from typing import Any
from urllib.parse import quote, unquote

from protocol.auth.needed import needed_for
from protocol.build import EventDraft, build_event
from protocol.event_format import parse_pdu
from protocol.events import CREATE, MEMBER, Event, StateKey
from protocol.ids import EventID, RoomID, ServerName, UserID
from protocol.room_versions import RoomVersion, version_named
from tests.fixtures.lying_server import Asked, LyingServer

FEDERATION = "/_matrix/federation"

_time = count(1_700_000_000_000)


class LyingRoom:
    """The room of @liar, with the events as `put` makes them; nothing is checked."""

    def __init__(self, server: LyingServer, version: str = "11", join_rule: str = "public") -> None:
        self.server = server
        self.version: RoomVersion = version_named(version)
        self.liar = UserID(f"@liar:{server.name}")
        self.events: dict[EventID, Event] = {}
        self.state: dict[StateKey, Event] = {}
        self.latest: Event | None = None
        self.before: dict[EventID, list[Event]] = {}  # the state before each event
        self.room_id: RoomID | None = (
            None if self.version.room_id_is_create_hash else RoomID(f"!{next(_time)}:{server.name}")
        )
        content: dict[str, Any] = {"room_version": version}
        if not self.version.implicit_creator:
            content["creator"] = self.liar
        create = self.put(CREATE, content, "")
        self.room_id = create.room_id
        self.put(MEMBER, {"membership": "join"}, self.liar)
        users = {} if self.version.creator_power else {self.liar: 100}
        self.put("m.room.power_levels", {"users": users}, "")
        self.put("m.room.join_rules", {"join_rule": join_rule}, "")

    @property
    def id(self) -> RoomID:
        """The room's ID."""
        assert self.room_id is not None
        return self.room_id

    def put(
        self, type: str, content: dict[str, Any], state_key: str | None = None, sender: str | None = None
    ) -> Event:
        """The event on top of the room, signed by the liar whoever the sender is."""
        return self.take(self.draft(type, content, state_key, sender))

    def take(self, event: Event) -> Event:
        """The event, of whoever's, on top of the room."""
        self.events[event.event_id] = event
        self.before[event.event_id] = list(self.state.values())
        if event.is_state:
            self.state[event.key] = event
        self.latest = event
        return event

    def draft(
        self, type: str, content: dict[str, Any], state_key: str | None = None, sender: str | None = None
    ) -> Event:
        """The same, without putting it there."""
        who = UserID(sender or self.liar)
        needed = needed_for(self.version, type, who, state_key, content)
        at = next(_time)
        return build_event(
            self.version,
            EventDraft(type, content, state_key),
            room_id=self.room_id,
            sender=who,
            prev_events=[self.latest] if self.latest else [],
            auth_events=[self.state[key] for key in sorted(needed) if key in self.state],
            depth=self.latest.depth + 1 if self.latest else 1,
            origin_server_ts=at,
            key=self.server.key,
            server_name=ServerName(self.server.name),
            event_id=None if self.version.event_id_is_hash else EventID(f"${at}:{self.server.name}"),
        )

    def template(self, user_id: str, membership: str = "join") -> dict[str, Any]:
        """What an honest server would give somebody who wants this membership."""
        json = self.draft(MEMBER, {"membership": membership}, user_id, user_id).json
        event = {
            name: value for name, value in json.items() if name not in ("hashes", "signatures", "event_id")
        }
        return {"room_version": self.version.id, "event": event}

    def shown(self) -> dict[str, Any]:
        """What an honest server would answer to send_join."""
        return {
            "state": [event.json for event in self.state.values()],
            "auth_chain": [event.json for event in self.events.values() if event.is_state],
        }

    def opens(self, template: dict[str, Any] | None = None, shown: dict[str, Any] | None = None) -> None:
        """Lets everybody in: honestly, but for the members of these two that are replaced."""

        def make(asked: Asked) -> Any:
            user_id = unquote(asked.path.rsplit("/", 1)[1])
            made = self.template(user_id)
            return {**made, "event": {**made["event"], **(template or {})}}

        def send(asked: Asked) -> Any:
            return {**self.shown(), "event": asked.json, **(shown or {})}

        self.server.on("GET", f"{FEDERATION}/v1/make_join/", make)
        self.server.on("PUT", f"{FEDERATION}/v2/send_join/", send)

    def joins_handed_in(self) -> list[Event]:
        """The events that came by send_join."""
        return [
            parse_pdu(asked.json, self.version)
            for asked in self.server.asked
            if asked.path.startswith(f"{FEDERATION}/v2/send_join/")
        ]

    def path(self, what: str, *rest: str) -> str:
        """A federation path for this room."""
        return "/".join((FEDERATION, what, quote(self.id, safe=""), *(quote(r, safe="") for r in rest)))
