"""The auth difference of several states, and v2.1's conflicted subgraph, from the index and not from whole chains.

What the states agree on is thousands of events, and all that these rest on is in every state's auth chain. It is never
listed. The walk goes down from the conflicted events, and of each event that it meets it is asked whether the states
agree on that; then all below is common. What is still in doubt after that is old, and was replaced since: for it the
search goes on from what took its place, and at last upwards, from the event to something that the states agree on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from protocol.errors import ProtocolError
from protocol.events import JOIN_RULES, POWER_LEVELS, StateKey
from protocol.ids import EventID
from protocol.state_res.conflicts import conflicted_subgraph
from services.rooms.auth_walk import walk_down
from storage.auth_chains import AuthNode, nodes_down, nodes_up
from storage.database import Tx

_FIRST_LEVELS, _MORE_LEVELS = 2, 8
_NEWEST = 64

AgreedState: TypeAlias = Callable[[Collection[StateKey]], Awaitable[Mapping[StateKey, EventID]]]
"""What all states have under these keys, where they all have the same."""


class StateUnknown(ProtocolError):
    """We lack one of the prev events, its state, or something of the auth chains: ask other servers first."""


@dataclass(slots=True)
class AuthDifference:
    """Finds out what is asked of it; `conflicted` is what each state has at the keys where they differ."""

    tx: Tx
    conflicted: Sequence[frozenset[EventID]]
    agreed: AgreedState
    nodes: dict[EventID, AuthNode]  # what is not stored yet, to begin with
    _common: set[EventID] = field(default_factory=set)
    _asked: set[EventID] = field(default_factory=set)

    async def difference(self) -> frozenset[EventID]:
        """What only some of the states' full auth chains have, the conflicted events left aside. Raises StateUnknown."""
        await self._learn(frozenset().union(*self.conflicted), _FIRST_LEVELS)
        doubtful = await self._walk()
        if doubtful:
            doubtful = await self._from_what_took_their_place(doubtful)
        if doubtful:
            doubtful = await self._from_above(doubtful)
        return doubtful

    async def subgraph(self) -> frozenset[EventID]:
        """Every event on a path of auth events between two conflicted events. Raises StateUnknown."""
        conflicted = set[EventID]().union(*self.conflicted)
        oldest = min(self.nodes[event_id].arrived for event_id in conflicted)
        chain, todo = set(conflicted), set(conflicted)
        while todo:
            named = {
                named
                for event_id in todo
                if self.nodes[event_id].arrived >= oldest
                for named in self.nodes[event_id].auth_events
            }
            await self._learn(named, _MORE_LEVELS, oldest)
            todo = named - chain
            chain |= named
        # Nothing that arrived before the oldest conflicted event can rest on one.
        inner = {event_id for event_id in chain if self.nodes[event_id].arrived >= oldest}
        graph = {
            event_id: AuthNode(
                node.arrived, node.key, tuple(named for named in node.auth_events if named in inner)
            )
            for event_id in inner
            for node in (self.nodes[event_id],)
        }
        return frozenset(conflicted_subgraph(conflicted, graph))

    async def _walk(self) -> frozenset[EventID]:
        """What is in some chains only, by all that is known to be common; unconflicted."""
        while True:
            await self._ask_whether_agreed()
            walk = walk_down(self.conflicted, self._common, self.nodes)
            if not walk.unknown:
                return walk.partial.difference(*self.conflicted)
            await self._learn(walk.unknown, _MORE_LEVELS)

    async def _from_what_took_their_place(self, doubtful: frozenset[EventID]) -> frozenset[EventID]:
        """An event rests, nearly always, on the one that it replaced."""
        keys = {self.nodes[event_id].key for event_id in doubtful} | {(POWER_LEVELS, ""), (JOIN_RULES, "")}
        successors = (await self.agreed(keys)).values()
        await self._learn(successors, _FIRST_LEVELS)
        self._common.update(successors)
        return await self._walk()

    async def _from_above(self, doubtful: frozenset[EventID]) -> frozenset[EventID]:
        """The way up from these, until something is met that the states agree on, or there is nothing more above."""
        seen = doubtful.union(*self.conflicted)
        frontier: Collection[EventID] = seen
        while frontier and doubtful:
            for newest in (_NEWEST, None):
                above = await nodes_up(self.tx, frontier, newest)
                self.nodes.update(above)
                await self._ask_whether_agreed()
                if not self._common.isdisjoint(above):
                    doubtful = await self._walk()
                if not doubtful or len(above) < _NEWEST:
                    break
            frontier = above.keys() - seen - self._common
            seen = seen.union(frontier)
        return doubtful

    async def _learn(self, event_ids: Collection[EventID], levels: int, oldest: float = 0) -> None:
        """Raises StateUnknown where one of these is not in the index."""
        missing = [event_id for event_id in event_ids if event_id not in self.nodes]
        if not missing:
            return
        self.nodes.update(await nodes_down(self.tx, missing, levels, oldest))
        lacking = [event_id for event_id in missing if event_id not in self.nodes]
        if lacking:
            raise StateUnknown(f"{len(lacking)} events of the auth chains are not here: {lacking[0]}")

    async def _ask_whether_agreed(self) -> None:
        """Of what was met since the last time: is it a thing that the states agree on?"""
        new = self.nodes.keys() - self._asked
        if new:
            state = await self.agreed({self.nodes[event_id].key for event_id in new})
            self._common.update(
                event_id for event_id in new if state.get(self.nodes[event_id].key) == event_id
            )
            self._asked |= new
