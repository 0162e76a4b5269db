"""Requests that schemathesis makes of the specification's schemas: never a failure, and replies as documented."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from tests.fixtures.homeserver import Homeserver
from tests.hostile.operations import Operation, operations
from tests.hostile.valid import valid_request
from tests.hostile.world import Request, World, make_place, make_world
from tests.spec.response_schemas import FILES, ResponseSchemas
from tests.spec_location import spec_path
from web.endpoint import Body

EXAMPLES = 12
"""For each operation and mode (requests that fit the schema, and such that do not)."""
PATIENCE = 10  # seconds

EXPLORE = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def openapi() -> Any:
    """The client-server API, as schemathesis reads it."""
    document = orjson.loads(spec_path("openapi", "client-server.json").read_bytes())
    return schemathesis.openapi.from_dict(document)


async def test_no_request_makes_the_server_fail(homeserver: Homeserver) -> None:
    place, schema = await make_place(homeserver), openapi()
    replies = ResponseSchemas([spec_path("openapi", name) for name in FILES])
    session, complaints, explored = requests.Session(), [], Counter[GenerationMode]()
    for operation in operations():
        if operation.endpoint.body is Body.STREAM:
            continue  # any bytes are a file
        world = await make_world(place)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            cases = schema[operation.path][operation.method].as_strategy(generation_mode=mode)
            explore = _explorer(cases, operation, world, valid_request(world, operation), replies, session)
            try:
                await asyncio.to_thread(explore)
                explored[mode] += 1
            except Unsatisfiable:
                continue  # an operation without parameters cannot be asked wrongly
            except AssertionError as error:
                complaints.append(str(error)[:1000])
    assert not complaints, "\n\n".join(complaints)
    assert explored[GenerationMode.POSITIVE] > 100
    assert explored[GenerationMode.NEGATIVE] > 80


def _explorer(
    cases: Any,
    operation: Operation,
    world: World,
    valid: Request,
    replies: ResponseSchemas,
    session: requests.Session,
) -> Any:
    real = {name: unquote(value) for name, value in valid.path.items()}

    @EXPLORE
    @given(case=cases, known=st.booleans())
    def explore(case: Any, known: bool) -> None:
        if known:  # what exists leads further than what does not
            case.path_parameters = dict(real)
        if operation.name in ("sync", "getEvents"):
            case.query = {**(case.query or {}), "timeout": 0}
        headers = {"Authorization": f"Bearer {world.me.access_token}"}
        response = case.call(base_url=world.me.url, headers=headers, session=session, timeout=PATIENCE)
        said = f"{operation}: {response.request.url} {str(response.request.body)[:300]}"
        assert response.status_code < 500, f"{said}: {response.status_code}"
        content_type = response.headers["content-type"][0].partition(";")[0]
        path = urlsplit(response.request.url).path
        errors = replies.errors(operation.method, path, response.status_code, content_type, response.content)
        assert not errors, f"{said}: {response.status_code} {errors}"

    return explore
