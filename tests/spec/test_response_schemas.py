"""The check of replies itself: it passes what the specification shows, and notices what is wrong."""

import json
from typing import Any

import pytest

from tests.spec.response_schemas import FILES, JSON, ResponseSchemas
from tests.spec_location import spec_path

WHOAMI = "/_matrix/client/v3/account/whoami"
NOT_FOUND = b'{"errcode": "M_NOT_FOUND", "error": "x"}'


@pytest.fixture(scope="module")
def schemas() -> ResponseSchemas:
    return ResponseSchemas([spec_path("openapi", name) for name in FILES])


@pytest.mark.parametrize(
    ("method", "path", "status", "content_type", "body", "right"),
    [
        ("GET", WHOAMI, 200, JSON, b'{"user_id": "@a:one"}', True),
        ("GET", WHOAMI.replace("v3", "r0"), 200, JSON, b'{"user_id": "@a:one"}', True),
        ("GET", WHOAMI, 200, JSON, b'{"device_id": "x"}', False),
        ("GET", WHOAMI.replace("v3", "r0"), 200, JSON, b"{}", False),
        ("GET", WHOAMI, 200, "text/plain", b'{"user_id": "@a:one"}', False),
        ("GET", WHOAMI, 404, JSON, NOT_FOUND, True),
        ("GET", WHOAMI, 404, JSON, b'{"errcode": "M_NOT_FOUND"}', False),
        ("GET", WHOAMI, 500, JSON, b'{"errcode": "M_UNKNOWN", "error": "x"}', False),
        ("PUT", "/_matrix/client/v3/rooms/!r:one/typing/@a%3Aone", 200, JSON, b"{}", True),
        ("PUT", "/_matrix/client/v3/rooms/!r:one/typing/@a%3Aone", 200, JSON, b"[]", False),
        (
            "POST",
            "/_matrix/client/v3/register",
            401,
            JSON,
            b'{"flows": [{"stages": []}], "session": "s"}',
            True,
        ),
        ("POST", "/_matrix/client/v3/register", 401, JSON, b'{"flows": 7, "session": "s"}', False),
        ("GET", "/_synapse/admin/v1/register", 200, JSON, b"[]", True),
    ],
)
def test_a_reply_is_held_to_its_schema(
    schemas: ResponseSchemas, method: str, path: str, status: int, content_type: str, body: bytes, right: bool
) -> None:
    assert (schemas.errors(method, path, status, content_type, body) == []) is right


def _examples(node: Any) -> list[Any]:
    values = [example["value"] for example in (node.get("examples") or {}).values() if "value" in example]
    return [*values, node["example"]] if "example" in node else values


def test_the_specifications_own_examples_pass(schemas: ResponseSchemas) -> None:
    document = json.loads(spec_path("openapi", "client-server.json").read_text(encoding="utf-8"))
    seen, wrong = 0, []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            media = (operation["responses"].get("200", {}).get("content") or {}).get(JSON, {})
            for value in _examples(media):
                seen += 1
                errors = schemas.errors(method.upper(), path, 200, JSON, json.dumps(value).encode())
                wrong += [f"{method} {path}: {error}" for error in errors]
    assert seen > 80
    assert wrong == []
