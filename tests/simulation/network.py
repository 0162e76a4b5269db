"""A network that loses, doubles, delays, reorders and parts; and is well in the end."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

Deliver = Callable[[str, str, bytes], None]


@dataclass(slots=True)
class Network:
    """Takes PDUs from server to server. What it loses of an honest sender is sent again when it is well."""

    chance: Random
    deliver: Deliver
    loss: float
    now: int = 0
    well: bool = False
    _groups: dict[str, int] = field(default_factory=dict)
    _queue: list[tuple[int, int, str, str, bytes]] = field(default_factory=list)
    _lost: list[tuple[str, str, bytes]] = field(default_factory=list)
    _sent: int = 0

    def send(self, sender: str, receiver: str, pdu: bytes) -> None:
        """Perhaps it comes, perhaps later than what is sent after it, perhaps twice."""
        copies = 1
        if not self.well:
            if self.chance.random() < self.loss:
                self._lost.append((sender, receiver, pdu))
                return
            copies += self.chance.random() < 0.1
        for _ in range(copies):
            self._sent += 1
            delay = 0 if self.well else self.chance.choice((1, 1, 2, 3, 8, 20))
            heapq.heappush(self._queue, (self.now + delay, self._sent, sender, receiver, pdu))

    def reaches(self, one: str, other: str) -> bool:
        """Does a question get its answer now?"""
        return self.well or (
            self._groups.get(one, 0) == self._groups.get(other, 0) and self.chance.random() >= self.loss
        )

    def part(self, servers: Iterable[str]) -> None:
        """The servers fall into two groups, or are one again."""
        groups = self.chance.choice((1, 2, 2))
        self._groups = {server: self.chance.randrange(groups) for server in servers}

    def pass_time(self) -> None:
        """What is due arrives."""
        self.now += 1
        while self._queue and self._queue[0][0] <= self.now:
            _, _, sender, receiver, pdu = heapq.heappop(self._queue)
            if self._groups.get(sender, 0) == self._groups.get(receiver, 0) or self.well:
                self.deliver(sender, receiver, pdu)
            else:
                self._lost.append((sender, receiver, pdu))

    def heal(self) -> None:
        """From now on everything arrives, and what was lost is sent again."""
        self.well, self.now, lost, self._lost = True, self.now + 1000, self._lost, []
        self.chance.shuffle(lost)
        for sender, receiver, pdu in lost:
            self.send(sender, receiver, pdu)
        self.settle()

    def settle(self) -> None:
        """Returns when nothing is on its way."""
        while self._queue:
            self.pass_time()
