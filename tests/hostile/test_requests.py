"""Paths, queries and tokens that are wrong, and what belongs to others, for every operation."""

from __future__ import annotations

import pytest

from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock
from tests.hostile.attacks import Attacks, attack_all, needs_token
from tests.hostile.on_requests import on_others, on_paths, on_queries, on_tokens
from tests.hostile.operations import operations
from tests.hostile.valid import valid_request
from tests.hostile.world import make_place, make_world


@pytest.mark.parametrize("attacks", [on_paths, on_queries, on_tokens, on_others])
async def test_what_is_wrong_is_refused(homeserver: Homeserver, attacks: Attacks) -> None:
    complaints = await attack_all(await make_place(homeserver), operations(), attacks)
    assert not complaints, "\n".join(complaints)


async def test_an_expired_token_is_good_for_nothing(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    place = await make_place(homeserver)
    world = await make_world(place)
    clock.advance(homeserver.plan.settings.accounts.refreshable_token_lifetime)
    complaints = []
    for operation in filter(needs_token, operations()):
        request = valid_request(world, operation)
        status, said = await world.me.request(
            operation.method, request.target(operation.path), json=request.body
        )
        if (status, said.get("errcode"), said.get("soft_logout")) != (401, "M_UNKNOWN_TOKEN", True):
            complaints.append(f"{operation}: {status} {said}")
    assert not complaints, "\n".join(complaints)
