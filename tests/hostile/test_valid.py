"""The valid requests are valid: else nothing could be learnt from spoiling them."""

from __future__ import annotations

from tests.fixtures.homeserver import Homeserver
from tests.hostile.operations import operations
from tests.hostile.valid import NOT_FOUND, OMITTED, REFUSED, valid_request
from tests.hostile.world import make_place, make_world


async def test_valid_requests_are_served_and_show_every_field(homeserver: Homeserver) -> None:
    place = await make_place(homeserver)
    wrong = []
    for operation in operations():
        world = await make_world(place)
        request = valid_request(world, operation)
        shown = set(request.body) if isinstance(request.body, dict) else set()
        missing = operation.fields - shown - OMITTED.get(operation.name, set())
        if missing:
            wrong.append(f"{operation.name}: the valid request lacks {sorted(missing)}")
        status, said = await world.send(operation, request)
        is_refused = isinstance(said, dict) and said.get("errcode") == REFUSED.get(operation.name, "none")
        if status >= 400 and not is_refused and not (status == 404 and operation.name in NOT_FOUND):
            wrong.append(f"{operation.name}: {status} {said}")
    assert not wrong, "\n".join(wrong)
