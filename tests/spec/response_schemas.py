"""Holds real replies to the response schemas of the specification's OpenAPI files.

`response_class()` is what the tests' HTTP clients are made with: then each body that a test reads has been checked.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from protocol.matrix_error import InvalidParam, Unrecognized
from tests.spec_location import spec_path
from web.endpoint import Auth, Endpoint
from web.router import Router

JSON = "application/json"
FILES = ("client-server.json", "server-server.json", "push-gateway.json")

ERROR_SCHEMA = {
    "type": "object",
    "required": ["errcode", "error"],
    "properties": {"errcode": {"type": "string"}, "error": {"type": "string"}},
}
"""«Any errors which occur at the Matrix API level MUST return a standard error response» (§Standard error response)"""

UIA_SCHEMA = {
    "type": "object",
    "required": ["flows", "session"],
    "properties": {"flows": {"type": "array"}, "session": {"type": "string"}, "params": {"type": "object"}},
}

OTHERS_FAULTS = (502, 504)
"""Another server, which our client asked for something, failed or did not answer in time; seldom documented."""

KNOWN_FLAWS: dict[tuple[str, str, int], str] = {
    ("GET", "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}", 200): (
        "`oneOf` an event and any object at all: an event is both"
    ),
}
"""Method, path and status of documented schemas that contradict the specification's text, and how."""


class ResponseSchemas:
    """The documented responses of all operations of some OpenAPI files."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._documents = {f"urn:{file.name}": orjson.loads(file.read_bytes()) for file in files}
        self._registry: Registry[Any] = Registry().with_resources(
            (uri, DRAFT202012.create_resource(document)) for uri, document in self._documents.items()
        )
        self._operations: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
        self._validators: dict[tuple[str, str, int], Validator | None] = {}
        endpoints = []
        for uri, document in self._documents.items():
            for path, item in document["paths"].items():
                for method, operation in item.items():
                    self._operations[method.upper(), path] = (uri, operation)
                    endpoints.append(Endpoint(method.upper(), path, Auth.NONE, _unserved))
        self._router = Router(endpoints)

    def errors(self, method: str, path: str, status: int, content_type: str, body: bytes) -> list[str]:
        """What is wrong with a reply to the (real, raw) path; nothing for paths that the files do not have."""
        try:
            template = self._router.find(method, path.replace("/r0/", "/v3/", 1)).endpoint.path
        except (Unrecognized, InvalidParam):
            return []
        if (method, template, status) in KNOWN_FLAWS:
            return []
        documented = self._operations[method, template][1]["responses"]
        if status >= 500 and status not in OTHERS_FAULTS and str(status) not in documented:
            return [f"{status}: the server has failed"]
        validator = self._validator(method, template, status)
        if validator is None:
            return [] if status < 400 or content_type != JSON else _mistakes(_ERROR, orjson.loads(body))
        if content_type != JSON:
            return [f"the content type is {content_type}"]
        return _mistakes(validator, orjson.loads(body))

    def check(self, method: str, path: str, status: int, content_type: str, body: bytes) -> None:
        """Raises AssertionError with all that is wrong with a reply."""
        errors = self.errors(method, path, status, content_type, body)
        if errors:
            text = body[:2000].decode("utf-8", "replace")
            raise AssertionError(f"{method} {path} -> {status}\n  " + "\n  ".join(errors) + f"\n{text}")

    def _validator(self, method: str, template: str, status: int) -> Validator | None:
        """The validator of a documented JSON body; None where another one, or none, is documented."""
        key = (method, template, status)
        if key not in self._validators:
            self._validators[key] = self._make_validator(*key)
        return self._validators[key]

    def _make_validator(self, method: str, template: str, status: int) -> Validator | None:
        uri, operation = self._operations[method, template]
        response = operation["responses"].get(str(status))
        while response and "$ref" in response:
            response = self._referred(uri, response["$ref"])
        schema = ((response or {}).get("content") or {}).get(JSON, {}).get("schema")
        if schema is None:
            return None
        if status == 401:
            # Each stage may be refused by an error without flows, whatever the operation documents.
            schema = {"anyOf": [schema, ERROR_SCHEMA]}
        return Draft202012Validator(_absolute(schema, uri), registry=self._registry)

    def _referred(self, uri: str, reference: str) -> Any:
        node = self._documents[uri]
        for part in reference.removeprefix("#/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node


async def _unserved(call: Any) -> dict[str, Any]:
    raise NotImplementedError


_ERROR = Draft202012Validator({"anyOf": [ERROR_SCHEMA, UIA_SCHEMA]})


def _mistakes(validator: Validator, value: Any) -> list[str]:
    return [
        f"/{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in validator.iter_errors(value)
    ]


def _absolute(node: Any, uri: str) -> Any:
    """The schema with its references naming their file, since it is taken out of it."""
    if isinstance(node, dict):
        return {
            key: uri + value
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _absolute(value, uri)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_absolute(value, uri) for value in node]
    return node


@cache
def response_class() -> type[ClientResponse]:
    """For `aiohttp.ClientSession(response_class=...)`: responses that check the body which is read.

    Where the specification's files are not there (a bare clone) it is aiohttp's own class, with a warning.
    """
    try:
        schemas = ResponseSchemas([spec_path("openapi", name) for name in FILES])
    except pytest.skip.Exception:
        return ClientResponse

    class CheckedResponse(ClientResponse):
        async def read(self) -> bytes:
            body = await super().read()
            # A delayed event (MSC4140) has no event ID yet: that reply is not the specification's.
            if self.status != 200 or "org.matrix.msc4140.delay" not in self.url.query:
                schemas.check(self.method, self.url.raw_path, self.status, self.content_type, body)
            return body

    return CheckedResponse
