"""What the follower tells the sender."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from protocol.ids import ServerName
from protocol.json import JsonObject
from services.servers.edus import Receipt
from services.servers.outgoing import Item


@dataclass(slots=True)
class News:
    """What a step of the follower has found; with it everything up to `position` is told."""

    position: int
    items: list[tuple[Item, list[ServerName]]] = field(default_factory=list)
    losable: list[tuple[Hashable, JsonObject | Receipt, list[ServerName]]] = field(default_factory=list)
    mail: list[ServerName] = field(default_factory=list)
    heard: list[ServerName] = field(default_factory=list)
