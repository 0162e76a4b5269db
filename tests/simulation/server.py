"""An honest server as pure state: one room, by the same rules of receipt as services/rooms/receive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from protocol.auth.needed import needed_for, state_needed_for
from protocol.auth.rules import check_auth, check_auth_events
from protocol.build import EventDraft, build_event
from protocol.errors import Rejected
from protocol.event_format import MAX_PREV_EVENTS
from protocol.events import CREATE, Event, StateKey
from protocol.ids import EventID, RoomID, ServerName, UserID
from protocol.room_versions import RoomVersion
from protocol.state_res import resolve
from tests.protocol.rooms import Content, key_of
from tests.simulation.wire import checked, encoded

State = dict[StateKey, EventID]
AskServer = Callable[[str, str], "Server | None"]  # who asks whom; None: no answer

ANSWER_LIMIT = 10
ASKS = 40


class Server:
    """What one server knows of the room."""

    def __init__(self, name: str, version: RoomVersion, ask: AskServer) -> None:
        self.name = name
        self.version = version
        self.room_id: RoomID | None = None
        self.create: Event | None = None
        self.events: dict[EventID, Event] = {}
        self.after: dict[EventID, State] = {}  # the state after each event that has its place
        self.rejected: set[EventID] = set()
        self.soft_failed: set[EventID] = set()
        self.extremities: list[EventID] = []
        self.waiting: dict[EventID, tuple[Event, str]] = {}
        self._ask = ask
        self._order = Random(name)
        self._state: State | None = {}

    # ── sending ──

    @property
    def state(self) -> State:
        """The room's state now."""
        if self._state is None:
            self._state = self._resolved([self.after[event_id] for event_id in self.extremities])
        return self._state

    def stand_on(self, extremities: list[EventID]) -> None:
        """Takes these for the newest events, soft-failed ones too; all of them have their place."""
        self.extremities, self._state = extremities, None

    def may_speak(self, user: str) -> bool:
        """Is the user in the room, and allowed to say something?"""
        event = self.draft(user, "m.room.message", {"body": "may I?"}, None, 0)
        return self._allowed(event, self.state)

    def draft(
        self,
        sender: str,
        event_type: str,
        content: Content,
        state_key: str | None,
        at: int,
        *,
        state: State | None = None,
        prev_events: Sequence[EventID] | None = None,
    ) -> Event:
        """The event on these prev events in this state, the head's if none are given; signed, not checked."""
        state = self.state if state is None else state
        prev = self.extremities if prev_events is None else prev_events
        needed = needed_for(self.version, event_type, sender, state_key, content)
        return build_event(
            self.version,
            EventDraft(event_type, content, state_key),
            room_id=self.room_id,
            sender=UserID(sender),
            prev_events=list(prev)[-MAX_PREV_EVENTS:],
            auth_events=[self.events[state[key]] for key in sorted(needed) if key in state],
            depth=max((self.events[event_id].depth for event_id in prev), default=0) + 1,
            origin_server_ts=at,
            key=key_of(self.name),
            server_name=ServerName(self.name),
        )

    def send(self, sender: str, event_type: str, content: Content, state_key: str | None, at: int) -> bytes:
        """Sends on the head; raises Rejected for what is not allowed."""
        event = self.draft(sender, event_type, content, state_key, at)
        check_auth(self.version, event, self._events_of(self.state, event))
        self._place(event)
        return encoded(event)

    # ── receiving ──

    def receive(self, pdu: bytes, origin: str) -> None:
        """Takes a PDU, asks for what it lacks, and places what can be placed."""
        event = checked(pdu, self.version.id)
        if event is None or event.event_id in self.after:
            return
        if self.room_id is not None and event.room_id != self.room_id:
            return
        self.waiting[event.event_id] = (event, origin)
        self.place_waiting()
        for _ in range(ASKS):
            if event.event_id not in self.waiting or not self._fetch(event, origin):
                return
            self.place_waiting()

    def place_waiting(self) -> None:
        """Places what has all that it needs, until nothing more has."""
        moved = True
        while moved:
            moved = False
            for event, _ in list(self.waiting.values()):
                if not self._missing(event):
                    del self.waiting[event.event_id]
                    self._place(event)
                    moved = True

    def retry(self) -> None:
        """Asks again, for what could not be had before."""
        for event, origin in list(self.waiting.values()):
            self.receive(encoded(event), origin)

    def _missing(self, event: Event) -> set[EventID]:
        # What is rested on gets its place first. If its own auth events were enough, a liar could rest an event on one that
        # the state before it does not allow: accepted by those who have not seen where that one stands, rejected by others.
        return {e for e in (*event.prev_events, *event.auth_events) if e not in self.after}

    def _fetch(self, event: Event, origin: str) -> bool:
        """Asks the origin for what is missing; was there anything new?"""
        server = self._ask(self.name, origin)
        if server is None:
            return False
        latest = [event.event_id, *self.waiting]
        if self._await(server.missing_events(latest, {*self.after, *self.waiting}), origin):
            return True
        wanted = [e for one, _ in self.waiting.values() for e in one.auth_events if e not in self.after]
        return self._await(server.auth_chain(wanted), origin)

    def _await(self, pdus: Iterable[bytes], origin: str) -> bool:
        """Keeps those that are new until they can be placed; were there any?"""
        before = len(self.waiting)
        for pdu in pdus:
            event = checked(pdu, self.version.id)
            if event is not None and event.room_id == self.room_id and event.event_id not in self.after:
                self.waiting.setdefault(event.event_id, (event, origin))
        return len(self.waiting) > before

    # ── answering ──

    def missing_events(self, latest: Iterable[EventID], known: Iterable[EventID]) -> list[bytes]:
        """Events before the latest ones, as far as they are not known, the nearest first; so many at most."""
        seen, todo, answer = set(known), list(latest), list[bytes]()
        while todo and len(answer) < ANSWER_LIMIT:
            event = self.events.get(todo.pop(0))
            for event_id in event.prev_events if event is not None else ():
                if event_id not in seen and event_id in self.after and self.shows(event_id):
                    seen.add(event_id)
                    todo.append(event_id)
                    answer.append(encoded(self.events[event_id]))
                elif event_id not in seen:
                    seen.add(event_id)
                    todo.append(event_id)
        return answer

    def auth_chain(self, event_ids: Iterable[EventID]) -> list[bytes]:
        """The events and what they rest on, the oldest first."""
        order: list[EventID] = []
        todo = [(event_id, False) for event_id in event_ids]
        while todo:
            event_id, below = todo.pop()
            if below:
                order.append(event_id)
            elif event_id in self.events and self.shows(event_id):
                todo.append((event_id, True))
                todo += [(named, False) for named in self.events[event_id].auth_events]
        return [encoded(self.events[event_id]) for event_id in dict.fromkeys(order)]

    def shows(self, event_id: EventID) -> bool:
        """Does it give the event to others? An honest server does."""
        return True

    # ── placing ──

    def _place(self, event: Event) -> None:
        follows = bool(event.prev_events) and set(event.prev_events) == set(self.extremities)
        before = self._resolved([self.after[event_id] for event_id in event.prev_events])
        self.events[event.event_id] = event
        if event.type == CREATE and self.create is None:
            self.create, self.room_id = event, event.room_id
        if event.event_id in self.rejected or self._rejection(event, before):
            self.rejected.add(event.event_id)
            self.after[event.event_id] = before
            return
        after = {**before, event.key: event.event_id} if event.is_state else before
        soft_failed = not follows and bool(event.prev_events) and self._soft_fails(event, before)
        self.after[event.event_id] = after
        if soft_failed:
            self.soft_failed.add(event.event_id)
            return
        passed = self._passed(event)
        self.extremities = [known for known in self.extremities if known not in passed] + [event.event_id]
        self._state = None

    def _soft_fails(self, event: Event, before: State) -> bool:
        """By the state now: that of the extremities, and of what the event follows on."""
        if self._allowed(event, self.state):
            return False
        return not self._allowed(event, self._resolved([self.state, before]))

    def _passed(self, event: Event) -> set[EventID]:
        """What lies behind the event, seen through what is no extremity itself."""
        passed, todo = set[EventID](), list(event.prev_events)
        while todo:
            event_id = todo.pop()
            if event_id not in passed:
                passed.add(event_id)
                if event_id in self.rejected or event_id in self.soft_failed:
                    todo += self.events[event_id].prev_events
        return passed

    def _rejection(self, event: Event, before: State) -> bool:
        return self._rejection_by_auth_events(event) or not self._allowed(event, before)

    def _rejection_by_auth_events(self, event: Event) -> bool:
        named = [self.events[event_id] for event_id in event.auth_events]
        state = {auth_event.key: auth_event for auth_event in named}
        if self.version.room_id_is_create_hash and self.create is not None:
            state[CREATE, ""] = self.create
        try:
            check_auth_events(self.version, event, named, self.rejected)
            check_auth(self.version, event, state)
        except Rejected:
            return True
        return False

    def _allowed(self, event: Event, state: State) -> bool:
        try:
            check_auth(self.version, event, self._events_of(state, event))
        except Rejected:
            return False
        return True

    def _events_of(self, state: State, event: Event) -> dict[StateKey, Event]:
        keys = state_needed_for(self.version, event.type, event.sender, event.state_key, event.content)
        return {key: self.events[state[key]] for key in keys if key in state}

    def _resolved(self, states: Sequence[State]) -> State:
        distinct = [state for place, state in enumerate(states) if state not in states[:place]]
        if len(distinct) < 2:
            return distinct[0] if distinct else {}
        self._order.shuffle(distinct)  # it must not matter
        return resolve(self.version, distinct, self.events, self.rejected)
