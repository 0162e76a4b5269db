"""The walk down the auth chains of what differs between several states, as far as they are known: pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from protocol.ids import EventID
from storage.auth_chains import AuthNode


@dataclass(frozen=True, slots=True)
class Walk:
    """What it led to: events that only some states' auth chains have, and unknown ones that it must know to be sure."""

    partial: frozenset[EventID]
    unknown: frozenset[EventID]


def walk_down(
    starts: Sequence[Collection[EventID]], everywhere: Collection[EventID], nodes: Mapping[EventID, AuthNode]
) -> Walk:
    """From what each state alone has (`starts`) and what is known to be in every state's chain (`everywhere`).

    The newest first: all that rests on an event has been passed when its turn comes. It ends when nothing is left
    that is in some chains only, or that something newer might yet turn out to rest under.
    """
    every = (1 << len(starts)) - 1
    chains: dict[EventID, int] = {}
    for branch, start in enumerate(starts):
        for event_id in start:
            chains[event_id] = chains.get(event_id, 0) | 1 << branch
    chains.update(dict.fromkeys(everywhere, every))
    unknown = {event_id for event_id in chains if event_id not in nodes}
    waiting = {event_id for event_id in chains if event_id not in unknown}
    queue = [(-nodes[event_id].arrived, event_id) for event_id in waiting]
    heapq.heapify(queue)
    undecided = {event_id for event_id in waiting if chains[event_id] != every}
    oldest_partial = math.inf
    while queue and (undecided or -queue[0][0] >= oldest_partial):
        arrived, event_id = heapq.heappop(queue)
        waiting.discard(event_id)
        undecided.discard(event_id)
        mask = chains[event_id]
        if mask != every:
            oldest_partial = min(oldest_partial, -arrived)
        for named in nodes[event_id].auth_events:
            before = chains.get(named, 0)
            if before | mask == before:
                continue
            chains[named] = before | mask
            if named not in nodes:
                unknown.add(named)
                continue
            (undecided.discard if before | mask == every else undecided.add)(named)
            if named not in waiting:
                waiting.add(named)
                heapq.heappush(queue, (-nodes[named].arrived, named))
    partial = frozenset(event_id for event_id, mask in chains.items() if mask != every)
    return Walk(partial, frozenset(unknown))
