"""All endpoints that the program has, found in the edges' modules, and the API that each belongs to."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from homeserver.config import Api
from web.endpoint import Endpoint, routes_of

EDGES = ("client_api", "federation.server", "media_repo", "push_gateway.notify")
"""Packages, or a single module where the others need libraries that not everybody has."""

_ADMIN = ("/_synapse/", "/_hearth/")
_FEDERATION = ("/_matrix/federation/", "/_matrix/key/", "/.well-known/matrix/server")


def all_endpoints() -> tuple[Endpoint, ...]:
    """Every declared endpoint, by path."""
    found = [endpoint for name in EDGES for endpoint in _of_package(name)]
    return tuple(sorted(found, key=lambda endpoint: (endpoint.path, endpoint.method)))


def api_of(endpoint: Endpoint) -> Api:
    """The API that a listener must serve for the endpoint to be there."""
    path = endpoint.path
    if path == "/_hearth/metrics":
        return Api.METRICS
    if path.startswith(_ADMIN):
        return Api.ADMIN
    if path.startswith("/_matrix/push/"):
        return Api.PUSH_GATEWAY
    if "/media/" in path:
        return Api.MEDIA
    return Api.FEDERATION if path.startswith(_FEDERATION) else Api.CLIENT


def table(endpoints: Iterable[Endpoint]) -> str:
    """Method, path, who may call, limit, and the function, a line each."""
    rows = [("METHOD", "PATH", "AUTH", "LIMIT", "FUNCTION")]
    for endpoint in endpoints:
        limit = endpoint.limit.name if endpoint.limit else "-"
        function = f"{endpoint.serve.__module__}.{endpoint.name}"
        rows += [(endpoint.method, path, endpoint.auth.value, limit, function) for path in endpoint.paths]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _of_package(name: str) -> Iterable[Endpoint]:
    package = importlib.import_module(name)
    yield from routes_of(package)
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{name}."):
        yield from routes_of(importlib.import_module(module.name))
