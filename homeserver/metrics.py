"""Figures for Prometheus: requests by endpoint, what was observed, and what the process holds.

A request is counted in plain dicts, which costs less than a microsecond; prometheus_client is asked only when somebody
asks for the figures.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from services.observations import Observation
from web.call import Call
from web.endpoint import Auth, Endpoint
from web.reply import Reply
from web.serve import Served

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TYPE = "text/plain; version=0.0.4; charset=utf-8"

Gauges = Callable[[], Iterable[tuple[str, str, str, float]]]
"""Figures that are read when they are asked for: (name, sentence, tenant, value)."""


class Metrics:
    """All figures of one process."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int, str]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._buckets: dict[str, list[int]] = {}
        self._observed: Counter[tuple[str, str]] = Counter()
        self._gauges: list[Gauges] = []
        self._more: list[Callable[[], Iterable[Metric]]] = []

    def served(self, served: Served) -> None:
        """Counts a request."""
        name = served.endpoint.name if served.endpoint else "-"
        self._requests[name, served.status, served.errcode or ""] += 1
        self._seconds[name] += served.seconds
        buckets = self._buckets.get(name)
        if buckets is None:
            buckets = self._buckets[name] = [0] * (len(BUCKETS) + 1)
        buckets[bisect_left(BUCKETS, served.seconds)] += 1

    def observed(self, tenant: str, observation: Observation) -> None:
        """Counts an observation."""
        self._observed[type(observation).__name__, tenant] += 1

    def add_gauges(self, read: Gauges) -> None:
        """Figures to read at each request for metrics."""
        self._gauges.append(read)

    def add(self, read: Callable[[], Iterable[Metric]]) -> None:
        """Families of figures to read at each request for metrics."""
        self._more.append(read)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(self)
        return generate_latest(registry)

    def endpoint(self) -> Endpoint:
        """Where Prometheus asks; only on listeners whose `apis` name metrics."""

        async def get_metrics(call: Call[Any, Any]) -> Reply:
            return Reply(200, self.text(), content_type=TYPE)

        return Endpoint("GET", "/_hearth/metrics", Auth.NONE, get_metrics)

    def collect(self) -> Iterable[Metric]:
        """What prometheus_client asks for."""
        requests = CounterMetricFamily(
            "hearth_requests", "Requests by endpoint and outcome.", labels=("endpoint", "status", "errcode")
        )
        for (name, status, errcode), count in self._requests.items():
            requests.add_metric([name, str(status), errcode], count)
        observed = CounterMetricFamily("hearth_observations", "What happened.", labels=("kind", "tenant"))
        for (kind, tenant), count in self._observed.items():
            observed.add_metric([kind, tenant], count)
        more = [family for read in self._more for family in read()]
        return [requests, self._histogram(), observed, *self._read_gauges(), *more]

    def _histogram(self) -> Metric:
        seconds = HistogramMetricFamily(
            "hearth_request_seconds",
            "How long requests took, waiting in /sync included.",
            labels=("endpoint",),
        )
        bounds = [*map(str, BUCKETS), "+Inf"]
        for name, counts in self._buckets.items():
            seconds.add_metric(
                [name], list(zip(bounds, accumulate(counts), strict=True)), self._seconds[name]
            )
        return seconds

    def _read_gauges(self) -> Iterable[Metric]:
        families: dict[str, GaugeMetricFamily] = {}
        for read in self._gauges:
            for name, sentence, tenant, value in read():
                if name not in families:
                    families[name] = GaugeMetricFamily(name, sentence, labels=["tenant"])
                families[name].add_metric([tenant], value)
        return families.values()
