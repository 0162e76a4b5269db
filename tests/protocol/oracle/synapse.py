"""The pure functions of the matrix-synapse package, called as an oracle: our events in, its verdicts out."""

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

from protocol.events import Event, StateKey
from protocol.ids import EventID
from protocol.room_versions import RoomVersion
from tests.spec_location import missing

try:
    from synapse import event_auth  # before synapse.state: the two import each other
    from synapse.api.errors import AuthError, SynapseError
    from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
    from synapse.crypto.event_signing import check_event_content_hash
    from synapse.events import make_event_from_dict
    from synapse.events.utils import prune_event
    from synapse.state import v1, v2
    from synapse.storage.databases.main.event_federation import StateDifference
except ImportError:
    missing("the package matrix-synapse, the oracle of these tests")

Verdict = str | None  # why an event is refused; None: allowed

# Over nonsense in a level or a content Synapse stumbles, and so does not take the event either.
_REFUSALS = (AuthError, SynapseError, ValueError, TypeError, AttributeError, LookupError, RuntimeError)


def synapse_event(event: Event) -> Any:
    """Our event as one of Synapse's."""
    return make_event_from_dict(dict(event.json), KNOWN_ROOM_VERSIONS[event.version.id])


def event_id(event: Event) -> str:
    """The event ID that Synapse computes."""
    return str(synapse_event(event).event_id)


def redacted(event: Event) -> dict[str, Any]:
    """The event as Synapse redacts it, federation format, without `unsigned`."""
    json = prune_event(synapse_event(event)).get_pdu_json()
    return {key: value for key, value in json.items() if key != "unsigned"}


def has_good_content_hash(event: Event) -> bool:
    """Is the event as its sender hashed it?"""
    return bool(check_event_content_hash(synapse_event(event)))


def check_state_rules(event: Event, state: Iterable[Event]) -> Verdict:
    """The rules that look at the room state, and at whether the servers that must sign did."""
    try:
        event_auth.validate_event_for_room_version(synapse_event(event))
        event_auth.check_state_dependent_auth_rules(synapse_event(event), list(map(synapse_event, state)))
    except _REFUSALS as e:
        return str(e)
    return None


def check_stateless_rules(event: Event, events: Mapping[EventID, Event]) -> Verdict:
    """The rules for create events and for what an event may name in its auth_events."""
    try:
        run(event_auth.check_state_independent_auth_rules(_Store(events), synapse_event(event)))
    except _REFUSALS as e:
        return str(e)
    return None


def resolve(
    version: RoomVersion, sets: Sequence[Mapping[StateKey, EventID]], events: Mapping[EventID, Event]
) -> dict[StateKey, EventID]:
    """The state that Synapse resolves these states to."""
    room_id = next(iter(events.values())).room_id
    known = KNOWN_ROOM_VERSIONS[version.id]
    store = _Store(events)
    if version.id == "1":
        resolved = v1.resolve_events_with_store(room_id, known, list(sets), None, store.get_events)
    else:
        resolved = v2.resolve_events_with_store(_NoClock(), room_id, known, list(sets), None, store)
    return dict(run(resolved))


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never really waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the coroutine waits for something")


class _NoClock:
    async def sleep(self, duration: object) -> None:
        return None


class _Store:
    """Our events, behind the interface that Synapse's functions ask."""

    def __init__(self, events: Mapping[EventID, Event]) -> None:
        self.events = events

    async def get_events(self, event_ids: Iterable[EventID], *_: object, **__: object) -> dict[EventID, Any]:
        return {e: synapse_event(self.events[e]) for e in event_ids if e in self.events}

    async def get_auth_chain_difference(
        self, room_id: str, sets: list[set[EventID]], conflicted: set[EventID] | None, _: object
    ) -> Any:
        """Straight from the definition, and not by what is to be tested."""
        chains = [set().union(*(self._chain(event_id) for event_id in state)) for state in sets]
        difference = set.union(*chains) - set.intersection(*chains)
        subgraph = None
        if conflicted is not None:
            subgraph = {
                between
                for end in conflicted
                for between in self._chain(end)
                if self._chain(between) & conflicted
            }
        return StateDifference(auth_difference=difference, conflicted_subgraph=subgraph)

    def _chain(self, event_id: EventID) -> set[EventID]:
        chain = {event_id}
        for auth_event in self.events[event_id].auth_events:
            chain |= self._chain(auth_event) if auth_event not in chain else set()
        return chain
