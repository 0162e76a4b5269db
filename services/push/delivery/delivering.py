"""What those who deliver to one pusher, or write its mails, ask of the process' delivery (follow.py)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from protocol.push_rules.rule import Actions
from services.push.delivery.badges import Badge, Badges
from services.push.delivery.directory import Directory
from services.push.delivery.facts import Facts
from services.push.delivery.happened import Happened
from services.push.delivery.marks import Marks
from services.push.delivery.target import Target
from services.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be told of an event to one user."""

    facts: Facts
    actions: Actions
    badge: Badge


class Delivering(Protocol):
    """A port to the delivery."""

    tenant: Tenant
    badges: Badges
    directory: Directory
    marks: Marks
    slots: asyncio.Semaphore
    position: int
    is_held: bool

    def check_held(self) -> None:
        """Raises OutsideFailed when another process may have taken over."""

    async def look(self, target: Target, one: Happened) -> Told | None:
        """What is to be told of an event; None where it is nothing (any more) to this user."""

    async def rejected(self, target: Target) -> None:
        """The gateway says that there is no such device: its pushers are gone."""
