"""The figures in Prometheus' text format: loaded, with the library, when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from homeserver.metrics import BUCKETS, Metrics


def exposed(metrics: Metrics) -> bytes:
    """All figures, and the process' own."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Families(metrics))
    return generate_latest(registry)


class _Families:
    """What prometheus_client asks."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """What prometheus_client asks for."""
        requests = CounterMetricFamily(
            "hearth_requests", "Requests by endpoint and outcome.", labels=("endpoint", "status", "errcode")
        )
        for (name, status, errcode), count in self._metrics.requests.items():
            requests.add_metric([name, str(status), errcode], count)
        observed = CounterMetricFamily("hearth_observations", "What happened.", labels=("kind", "tenant"))
        for (kind, tenant), count in self._metrics.observations.items():
            observed.add_metric([kind, tenant], count)
        more = [family for read in self._metrics.more for family in read()]
        return [requests, self._histogram(), observed, *self._read_gauges(), *more]

    def _histogram(self) -> Metric:
        seconds = HistogramMetricFamily(
            "hearth_request_seconds",
            "How long requests took, waiting in /sync included.",
            labels=("endpoint",),
        )
        bounds = [*map(str, BUCKETS), "+Inf"]
        for name, counts in self._metrics.buckets.items():
            seconds.add_metric(
                [name], list(zip(bounds, accumulate(counts), strict=True)), self._metrics.seconds[name]
            )
        return seconds

    def _read_gauges(self) -> Iterable[Metric]:
        families: dict[str, GaugeMetricFamily] = {}
        for read in self._metrics.gauges:
            for name, sentence, tenant, value in read():
                if name not in families:
                    families[name] = GaugeMetricFamily(name, sentence, labels=["tenant"])
                families[name].add_metric([tenant], value)
        return families.values()
