"""Figures for Prometheus: requests by endpoint, what was observed, and what the process holds.

A request is counted in plain dicts, which costs less than a microsecond; prometheus_client is loaded, and asked, only when
somebody asks for the figures.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from services.observations import Observation
from web.call import Call
from web.endpoint import Auth, Endpoint
from web.reply import Reply
from web.serve import Served

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TYPE = "text/plain; version=0.0.4; charset=utf-8"

Gauges = Callable[[], Iterable[tuple[str, str, str, float]]]
"""Figures that are read when they are asked for: (name, sentence, tenant, value)."""

Families = Callable[[], Iterable[Any]]
"""Families of figures as prometheus_client has them, likewise."""


class Metrics:
    """All figures of one process."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int, str]] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.buckets: dict[str, list[int]] = {}
        self.observations: Counter[tuple[str, str]] = Counter()
        self.gauges: list[Gauges] = []
        self.more: list[Families] = []

    def served(self, served: Served) -> None:
        """Counts a request."""
        name = served.endpoint.name if served.endpoint else "-"
        self.requests[name, served.status, served.errcode or ""] += 1
        self.seconds[name] += served.seconds
        buckets = self.buckets.get(name)
        if buckets is None:
            buckets = self.buckets[name] = [0] * (len(BUCKETS) + 1)
        buckets[bisect_left(BUCKETS, served.seconds)] += 1

    def observed(self, tenant: str, observation: Observation) -> None:
        """Counts an observation."""
        self.observations[type(observation).__name__, tenant] += 1

    def add_gauges(self, read: Gauges) -> None:
        """Figures to read at each request for metrics."""
        self.gauges.append(read)

    def add(self, read: Families) -> None:
        """Families of figures to read at each request for metrics."""
        self.more.append(read)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        from homeserver.exposition import exposed

        return exposed(self)

    def endpoint(self) -> Endpoint:
        """Where Prometheus asks; only on listeners whose `apis` name metrics."""

        async def get_metrics(call: Call[Any, Any]) -> Reply:
            return Reply(200, self.text(), content_type=TYPE)

        return Endpoint("GET", "/_hearth/metrics", Auth.NONE, get_metrics)
