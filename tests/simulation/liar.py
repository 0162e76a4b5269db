"""A server that lies: it knows the rules, and keeps them when it likes."""

from __future__ import annotations

from random import Random
from typing import Any

from protocol.errors import ProtocolError
from protocol.events import Event
from protocol.ids import EventID
from protocol.room_versions import RoomVersion
from tests.protocol.rooms import Content, signed_by
from tests.simulation.server import AskServer, Server, State
from tests.simulation.wire import checked, encoded


class Liar(Server):
    """Sends what is not allowed, on any old part of the graph, to some only; and keeps back what others ask for."""

    def __init__(self, name: str, version: RoomVersion, ask: AskServer, chance: Random) -> None:
        super().__init__(name, version, ask)
        self.chance = chance
        self.withheld: set[EventID] = set()

    def shows(self, event_id: EventID) -> bool:
        """Not all that others ask for."""
        return event_id not in self.withheld

    def lie(self, me: str, at: int) -> list[list[bytes]]:
        """Some PDUs; each list is for other receivers than the next."""
        lies = (
            self._on_old_ground,
            self._by_old_rights,
            self._two_faced,
            self._tampered,
            self._gap,
            self._hidden_rights,
            self._garbage,
        )
        try:
            return self.chance.choice(lies)(me, at)
        except ProtocolError:
            return []

    def _anything(self, me: str) -> tuple[str, Content, str | None]:
        chance = self.chance
        others = sorted(key for event_type, key in self.state if event_type == "m.room.member")
        other = chance.choice(others)
        word = chance.random().hex()
        mine: dict[str, int] = {me: chance.choice((0, 50, 100))}
        anything: list[tuple[str, Content, str | None]] = [
            ("m.room.message", {"body": word}, None),
            ("m.room.topic", {"topic": word}, ""),
            ("m.room.power_levels", {"users": {**self._levels(), **mine}}, ""),
            ("m.room.power_levels", {"users": {**self._levels(), other: 0}, "events_default": 0}, ""),
            ("m.room.join_rules", {"join_rule": chance.choice(("public", "invite"))}, ""),
            ("m.room.member", {"membership": chance.choice(("leave", "ban", "invite"))}, other),
            ("m.room.member", {"membership": "join", "displayname": word}, me),
            ("m.room.member", {"membership": "leave"}, me),
        ]
        return chance.choice(anything)

    def _levels(self) -> dict[str, Any]:
        event_id = self.state.get(("m.room.power_levels", ""))
        users = self.events[event_id].content.get("users", {}) if event_id is not None else {}
        return dict(users)

    def _some_state(self) -> State:
        return self.after[self.chance.choice(list(self.after))]

    def _take(self, *events: Event) -> list[bytes]:
        """Its own events it knows, whatever the rules say of them."""
        pdus = [encoded(event) for event in events]
        for pdu in pdus:
            self.receive(pdu, self.name)
        return pdus

    def _on_old_ground(self, me: str, at: int) -> list[list[bytes]]:
        """Follows on events long past, one or several."""
        known = list(self.after)
        prev = self.chance.sample(known, min(len(known), self.chance.choice((1, 1, 2, 3))))
        state = self._resolved([self.after[event_id] for event_id in prev])
        event = self.draft(
            me, *self._anything(me), at - self.chance.choice((0, 50)), state=state, prev_events=prev
        )
        return [self._take(event)]

    def _by_old_rights(self, me: str, at: int) -> list[list[bytes]]:
        """Names auth events that were right once."""
        return [self._take(self.draft(me, *self._anything(me), at, state=self._some_state()))]

    def _two_faced(self, me: str, at: int) -> list[list[bytes]]:
        """Tells one thing to some and another to others; each builds on what it was told."""
        head = list(self.extremities)
        sides = []
        for _ in range(2):
            first = self.draft(me, *self._anything(me), at, prev_events=head)
            pdus = self._take(first)
            after = self.after.get(first.event_id, self.state)
            second = self.draft(
                me, "m.room.message", {"body": "so"}, None, at, state=after, prev_events=[first.event_id]
            )
            sides.append(pdus + self._take(second))
        return sides

    def _tampered(self, me: str, at: int) -> list[list[bytes]]:
        """The same event, to some with other content than was hashed, or with another's signature on it."""
        event_type = self.chance.choice(("m.room.message", "m.room.topic"))
        event = self.draft(me, event_type, {"body": "a"}, "" if event_type == "m.room.topic" else None, at)
        (good,) = self._take(event)
        changed = encoded(
            Event.from_trusted(
                {**event.json, "content": {"body": "b"}}, event.event_id, self.version, event.room_id
            )
        )
        forged = encoded(
            Event.from_trusted(
                {**event.json, "sender": "@alice:one"}, event.event_id, self.version, event.room_id
            )
        )
        return [[good], [changed], [forged]]

    def _gap(self, me: str, at: int) -> list[list[bytes]]:
        """An event whose predecessor is kept back: for ever, or from some."""
        first = self.draft(me, *self._anything(me), at)
        (first_pdu,) = self._take(first)
        state = self.after.get(first.event_id, self.state)
        second = self.draft(me, *self._anything(me), at, state=state, prev_events=[first.event_id])
        pdus = self._take(second)
        if self.chance.random() < 0.5:
            self.withheld.add(first.event_id)
        return [pdus, [first_pdu, *pdus]] if self.chance.random() < 0.5 else [pdus]

    def _hidden_rights(self, me: str, at: int) -> list[list[bytes]]:
        """Rests on an event that the state before it does not allow, though what it names does; only some are told of that."""
        kind = self.chance.choice(("m.room.power_levels", "m.room.member"))
        content: Content = {"membership": "join", "displayname": self.chance.random().hex()}
        if kind == "m.room.power_levels":
            content = {"users": {**self._levels(), me: 100}}
        key = me if kind == "m.room.member" else ""
        rights = self.draft(me, kind, content, key, at, state=self._some_state())
        (pdu,) = self._take(rights)
        state = {**self.state, rights.key: rights.event_id}
        using = self.draft(me, *self._anything(me), at, state=state)
        pdus = self._take(using)
        return [pdus, [pdu, *pdus]]

    def _garbage(self, me: str, at: int) -> list[list[bytes]]:
        """What is of no form, or names what is not."""
        event = self.draft(me, "m.room.message", {"body": "c"}, None, at)
        unsigned = {key: value for key, value in event.json.items() if key not in ("hashes", "signatures")}
        changes: dict[str, Any] = self.chance.choice(
            [
                {"prev_events": ["$nowhere"]},
                {"prev_events": [*self.extremities, *(["$a"] * 30)]},
                {"auth_events": [*event.json["auth_events"], "$nowhere"]},
                {"auth_events": []},
                {"auth_events": event.json["auth_events"] * 2},
                {"depth": 2**53 - 1},
                {"depth": -1},
                {"prev_events": []},
                {"room_id": "!another:one"},
                {"state_key": me, "type": "m.room.member", "content": {}},
                {"type": "m.room.create", "state_key": ""},
                {"type": "m.room.create", "state_key": "", "prev_events": []},
            ]
        )
        pdu = encoded(
            Event.from_trusted(
                signed_by(unsigned | changes, self.name, self.version),
                event.event_id,
                self.version,
                event.room_id,
            )
        )
        if checked(pdu, self.version.id) is not None:
            self.receive(pdu, self.name)
        return [[pdu]]
