"""Following the journal, for the edges."""

from __future__ import annotations

from collections.abc import Callable

from services.tenant import Tenant
from storage.feed import Subscriber


def follow_feed(
    tenant: Tenant, told: Callable[[int, tuple[str, ...]], None], reset: Callable[[int], None]
) -> None:
    """From now on `told(position, topics)` is called for each commit; `reset(position)` when some may have been missed."""
    tenant.feed.subscribe(Subscriber(told, reset))
