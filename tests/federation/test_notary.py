"""This server as a notary: others' keys with our signature, and no more work for strangers than is fair."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from federation.server.keys import FETCHES_AT_ONCE
from protocol.signing import verify_json
from services.servers.key_objects import MAX_KEYS
from services.settings import DAY, HOUR, RateLimits
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.lying_server import LyingServer
from tests.fixtures.time import FakeClock

KEYS = "/_matrix/key/v2/server"
QUERY = "/_matrix/key/v2/query"


@pytest.fixture
def clock() -> FakeClock:
    """Everybody's clock."""
    return FakeClock()


@pytest.fixture
async def notary(make_federated: MakeFederated, clock: FakeClock) -> Homeserver:
    """Who is asked."""
    return await make_federated(clock=clock)


@pytest.fixture
async def other(make_lying: MakeLying, clock: FakeClock) -> LyingServer:
    """Whose keys are asked for."""
    return await make_lying(clock=clock)


async def asked(notary: Homeserver, wanted: dict[str, Any]) -> list[Any]:
    """What the notary says."""
    said = await notary.nobody().ok("POST", QUERY, json={"server_keys": wanted})
    return list(said["server_keys"])


async def test_the_object_comes_as_published_with_our_signature_added(
    notary: Homeserver, other: LyingServer
) -> None:
    published = other.key_object()
    signatures = {other.name: published["signatures"][other.name]}
    for wanted in ({}, {other.key.name: {}}, {other.key.name: {"minimum_valid_until_ts": 5}}):
        (said,) = await asked(notary, {other.name: wanted})
        ours = notary.tenant.signing_key
        verify_json(said, other.name, {other.key.name: other.key.verify_key})
        verify_json(said, notary.name, {ours.name: ours.verify_key})
        assert said["signatures"].pop(notary.name)
        assert said == published | {"signatures": signatures}
    assert other.times_asked(KEYS) == 1
    for path in (f"{QUERY}/{other.name}", f"{QUERY}/{other.name}/{other.key.name}"):
        alone = await notary.nobody().ok("GET", path)
        assert [one["server_name"] for one in alone["server_keys"]] == [other.name]


async def test_it_knows_its_own_keys(notary: Homeserver) -> None:
    (said,) = await asked(notary, {notary.name: {}})
    assert said == await notary.nobody().ok("GET", KEYS)


async def test_what_cannot_be_had_is_left_out(notary: Homeserver, other: LyingServer) -> None:
    other.on("GET", KEYS, lambda _: (500, {}))
    assert (
        await asked(notary, {other.name: {}, "nowhere.invalid:1": {}, "127.0.0.1:9": {"ed25519:x": {}}}) == []
    )


async def test_it_asks_again_when_what_it_has_will_not_do(
    notary: Homeserver, other: LyingServer, clock: FakeClock
) -> None:
    await asked(notary, {other.name: {}})
    clock.advance(HOUR)
    await asked(notary, {other.name: {}})
    assert other.times_asked(KEYS) == 1
    soon = clock.now() + DAY - HOUR // 2
    (said,) = await asked(notary, {other.name: {other.key.name: {"minimum_valid_until_ts": soon}}})
    assert said["valid_until_ts"] == clock.now() + DAY
    assert other.times_asked(KEYS) == 2
    clock.advance(13 * HOUR)  # past half of its life
    await asked(notary, {other.name: {}})
    assert other.times_asked(KEYS) == 3


async def test_what_it_has_is_better_than_nothing(
    notary: Homeserver, other: LyingServer, clock: FakeClock
) -> None:
    await asked(notary, {other.name: {}})
    other.on("GET", KEYS, lambda _: (500, {}))
    clock.advance(2 * DAY)
    (said,) = await asked(notary, {other.name: {other.key.name: {"minimum_valid_until_ts": clock.now()}}})
    assert said["valid_until_ts"] < clock.now()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"server_keys": []},
        {"server_keys": {"not a name": {}}},
        {"server_keys": {"a.example": []}},
        {"server_keys": {"a.example": {"ed25519:a": 5}}},
        {"server_keys": {"a.example": {"ed25519:a": {"minimum_valid_until_ts": "soon"}}}},
        {"server_keys": {"a.example": {f"ed25519:{n}": {} for n in range(MAX_KEYS + 1)}}},
        {"server_keys": {f"s{n}.example": {} for n in range(101)}},
    ],
)
async def test_nonsense_is_refused(notary: Homeserver, body: dict[str, Any]) -> None:
    status, said = await notary.nobody().post(QUERY, body)
    assert status == 400
    assert said["errcode"] in ("M_BAD_JSON", "M_MISSING_PARAM")


async def test_nobody_makes_us_ask_without_a_limit(
    make_federated: MakeFederated, make_lying: MakeLying, clock: FakeClock
) -> None:
    limited = await make_federated(clock=clock, rate_limits=RateLimits(enabled=True))
    known, unknown = await make_lying(clock=clock), await make_lying(clock=clock)
    await asked(limited, {known.name: {}})
    crowd = {f"127.0.0.1:{port}": {} for port in range(1, FETCHES_AT_ONCE)}  # nobody listens there
    await asyncio.gather(*(asked(limited, dict([one])) for one in crowd.items()))
    assert await asked(limited, {unknown.name: {}}) == []
    assert unknown.asked == []
    assert len(await asked(limited, {known.name: {}})) == 1
    clock.advance(HOUR)
    assert len(await asked(limited, {unknown.name: {}})) == 1


async def test_the_version_is_told(notary: Homeserver) -> None:
    said = await notary.nobody().ok("GET", "/_matrix/federation/v1/version")
    assert said["server"]["name"] == "Hearth"
    assert said["server"]["version"]


async def test_where_it_is_found_is_told_where_that_is_configured(
    notary: Homeserver, make_federated: MakeFederated
) -> None:
    status, _ = await notary.nobody().get("/.well-known/matrix/server")
    assert status == 404
    delegating = await make_federated(federation={"well_known": "matrix.one.example:443"})
    assert await delegating.nobody().ok("GET", "/.well-known/matrix/server") == {
        "m.server": "matrix.one.example:443"
    }
