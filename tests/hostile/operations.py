"""The operations of the client-server API that are served, as the specification's OpenAPI file has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from tests.fixtures.homeserver import endpoints
from tests.spec_location import spec_path
from web.endpoint import Endpoint

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: what it may be asked with, and the endpoint that serves it."""

    method: str
    path: str
    name: str
    endpoint: Endpoint
    parameters: tuple[str, ...]
    """Of the path, from left to right."""
    query: dict[str, str]
    """The parameters of the query, and the type of each."""
    fields: frozenset[str]
    required: frozenset[str]
    """Of the body's object."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@cache
def operations() -> tuple[Operation, ...]:
    """All that are served, in the order of the file; skips (or in CI fails) the test where there is no file."""
    document = orjson.loads(spec_path("openapi", "client-server.json").read_bytes())
    served = {(e.method, _shape(path)): e for e in endpoints() for path in e.paths}
    return tuple(
        _operation(document, method.upper(), path, said, served[method.upper(), _shape(path)])
        for path, item in document["paths"].items()
        for method, said in item.items()
        if (method.upper(), _shape(path)) in served
    )


def _operation(document: Json, method: str, path: str, said: Json, endpoint: Endpoint) -> Operation:
    parameters = [_referred(document, parameter) for parameter in said.get("parameters", ())]
    body = _referred(document, said.get("requestBody", {})).get("content", {}).get("application/json", {})
    schemas = list(_parts(document, body.get("schema", {})))
    return Operation(
        method,
        path,
        said["operationId"],
        endpoint,
        tuple(re.findall(r"\{(\w+)\}", path)),
        {p["name"]: p.get("schema", {}).get("type", "string") for p in parameters if p["in"] == "query"},
        frozenset(name for schema in schemas for name in schema.get("properties", ())),
        frozenset(name for schema in schemas for name in schema.get("required", ())),
    )


def _shape(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


def _referred(document: Json, node: Json) -> Json:
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        node = found
    return node


def _parts(document: Json, schema: Json) -> Iterator[Json]:
    """The schema and all that it is made of (allOf)."""
    schema = _referred(document, schema)
    yield schema
    for part in schema.get("allOf", ()):
        yield from _parts(document, part)
