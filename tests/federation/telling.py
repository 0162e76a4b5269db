"""What the lying server tells of a room when it is asked honestly: events, states and auth chains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, unquote

from protocol.events import Event
from services.rooms.receive.between import MAX_BETWEEN
from tests.federation.scene import Scene
from tests.federation.stranger import View
from tests.fixtures.lying_server import Asked, LyingServer

FEDERATION = "/_matrix/federation/v1"


class Teller:
    """Knows events of Eve's making that the homeserver lacks, and the state before each."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.events: dict[str, Event] = {event.event_id: event for event in scene.view.state.values()}
        self.before: dict[str, View] = {}
        scene.liar.on("GET", f"{FEDERATION}/event/", self._event)
        scene.liar.on("GET", f"{FEDERATION}/state_ids/", self._state_ids)
        scene.liar.on("GET", f"{FEDERATION}/state/", self._state)
        scene.liar.on("GET", f"{FEDERATION}/event_auth/", self._event_auth)

    def knows(self, view: View, event: Event) -> View:
        """The event, and that it follows on this point; the point behind it."""
        self.events[event.event_id] = event
        self.before[event.event_id] = view
        return view.with_event(event)

    def between(self, *events: Event) -> None:
        """What there is between what is known and what is sent."""
        said = {"events": [event.json for event in events]}
        self.scene.liar.on("POST", f"{FEDERATION}/get_missing_events/", lambda _: said)

    def tells_what_is_before(self, *known: Event, by: LyingServer | None = None) -> None:
        """As an honest server that knows these too: events before those that are asked for, the nearest first."""
        mine = self.events | {event.event_id: event for event in known}

        def answer(asked: Asked) -> Any:
            todo, found = list(asked.json["latest_events"]), dict[str, Event]()
            here = {*todo, *asked.json["earliest_events"]}
            while todo and len(found) < MAX_BETWEEN:
                event = mine.get(todo.pop(0))
                for prev in event.prev_events if event else ():
                    if prev in mine and prev not in here:
                        here.add(prev)
                        todo.append(prev)
                        found[prev] = mine[prev]
            return {"events": [event.json for event in found.values()]}

        (by or self.scene.liar).on("POST", f"{FEDERATION}/get_missing_events/", answer)

    def history(self, *events: Event) -> None:
        """What /backfill answers."""
        said = self._transaction(events)
        self.scene.liar.on("GET", f"{FEDERATION}/backfill/", lambda _: said)

    def tells_history(self, most: int = 100) -> None:
        """Answers /backfill as an honest server: what it knows back from the events that are asked for, the nearest first."""

        def answer(asked: Asked) -> Any:
            query = parse_qs(asked.query)
            todo, found = list(query["v"]), dict[str, Event]()
            while todo and len(found) < min(most, int(query["limit"][0])):
                event_id = max(todo, key=lambda one: self.events[one].depth if one in self.events else 0)
                todo.remove(event_id)
                if event_id in self.events and event_id not in found:
                    found[event_id] = self.events[event_id]
                    todo.extend(found[event_id].prev_events)
            return self._transaction(found.values())

        self.scene.liar.on("GET", f"{FEDERATION}/backfill/", answer)

    def chain(self, events: Iterable[Event]) -> dict[str, Event]:
        """What the events rest on."""
        found: dict[str, Event] = {}
        todo = [named for event in events for named in event.auth_events]
        while todo:
            event_id = todo.pop()
            if event_id not in found and event_id in self.events:
                found[event_id] = self.events[event_id]
                todo.extend(self.events[event_id].auth_events)
        return found

    def _transaction(self, events: Iterable[Event]) -> dict[str, Any]:
        return {
            "origin": self.scene.liar.name,
            "origin_server_ts": 1,
            "pdus": [event.json for event in events],
        }

    def _event(self, asked: Asked) -> Any:
        event = self.events.get(unquote(asked.path.rsplit("/", 1)[1]))
        return self._transaction([event]) if event else (404, {"errcode": "M_NOT_FOUND"})

    def _state_ids(self, asked: Asked) -> Any:
        view = self.before.get(unquote(asked.query.partition("event_id=")[2]))
        if view is None:
            return 404, {"errcode": "M_NOT_FOUND"}
        state = list(view.state.values())
        return {"pdu_ids": [e.event_id for e in state], "auth_chain_ids": list(self.chain(state))}

    def _state(self, asked: Asked) -> Any:
        view = self.before.get(unquote(asked.query.partition("event_id=")[2]))
        if view is None:
            return 404, {"errcode": "M_NOT_FOUND"}
        state = list(view.state.values())
        return {
            "pdus": [event.json for event in state],
            "auth_chain": [event.json for event in self.chain(state).values()],
        }

    def _event_auth(self, asked: Asked) -> Any:
        event = self.events.get(unquote(asked.path.rsplit("/", 1)[1]))
        if event is None:
            return 404, {"errcode": "M_NOT_FOUND"}
        return {"auth_chain": [one.json for one in self.chain([event]).values()]}
