"""What a process offers to all its tenants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from federation.client.names import Names
from services.observations import Observation
from services.tenant import Clock, Compute, Random


@dataclass(frozen=True, slots=True)
class Platform:
    """What the process offers to all its tenants."""

    database: Mapping[str, Any]
    """What asyncpg.connect takes: a `dsn`, or a `host`, `user` and `database`."""
    connections: int
    redis_url: str | None
    clock: Clock
    random: Random
    compute: Compute
    observe: Callable[[str, Observation], None]
    """Told of what happened, and to which tenant."""
    names: Names | None = None
    """The domain name system; None: the machine's."""
    push_gateway: Any = None
    """Our own push gateway, where a listener serves it."""
