"""Whatever another server asks, at whatever endpoint: a Matrix error at worst, within a second, and the room goes on.

By hand, at length: FUZZ_EXAMPLES=2000 FUZZ_SEED=7 pytest tests/federation/fuzz -k 12
"""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from typing import Any

import aiohttp
import orjson
import pytest
from yarl import URL

from homeserver.config import Api
from homeserver.routes import all_endpoints, api_of
from services.observations import Level
from tests.federation.fuzz.junk import drawn
from tests.federation.fuzz.spoiling import SPOILS, Sent, Spoil, spoilt
from tests.federation.fuzz.valid import VALID
from tests.federation.fuzz.watching import MAX_BLOCKED, MAX_GROWTH, Watch, memory, watched
from tests.federation.fuzz.world import World, make_world, now
from tests.fixtures.federation import MakeFederated, MakeLying
from web.endpoint import Auth

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
SLOW = 1.0  # seconds
TIMES = 5
GATEWAY = (502, 504)
"""What others have done wrong is said so."""

Answer = tuple[int, bytes, float]


def routes() -> set[tuple[str, str]]:
    """Method and path of all that servers may call."""
    return {
        (endpoint.method, path)
        for endpoint in all_endpoints()
        for path in endpoint.paths
        if endpoint.auth is Auth.SERVER or api_of(endpoint) is Api.FEDERATION
    }


def test_every_endpoint_is_fuzzed() -> None:
    assert routes() == VALID.keys()


async def asked(world: World, sent: Sent) -> Answer:
    """Status, body and time of the answer."""
    one, liar = world.scene.one, world.scene.liar
    header = sent.authorization(liar, one.name)
    headers: list[tuple[str, str]] = [("Content-Type", sent.content_type)] if sent.content_type else []
    headers += [("Authorization", header)] * sent.headers if header else []
    url = URL(one.url + sent.target, encoded=True)
    begun = time.monotonic()
    async with liar.session.request(sent.method, url, data=sent.body, headers=headers) as response:
        raw = await response.read()
        return response.status, raw, time.monotonic() - begun


def complaint(sent: Sent, answer: Answer) -> str | None:
    """What is wrong with the answer."""
    status, raw, _ = answer
    if status >= 500 and status not in GATEWAY:
        return f"status {status}: {raw[:200]!r}"
    if status < 400 or sent.method == "HEAD":
        return None
    said: Any = orjson.loads(raw)
    return (
        None
        if isinstance(said, dict) and isinstance(said.get("errcode"), str)
        else f"no errcode: {raw[:200]!r}"
    )


def failed(world: World) -> str | None:
    """What the server says of its own errors, each once."""
    errors = [seen for seen in world.scene.one.observed if seen.level >= Level.ERROR]
    world.scene.one.observed.clear()
    causes = [getattr(seen, "error", None) for seen in errors]
    traces = ["".join(traceback.format_exception(cause)[-8:]) for cause in causes if cause is not None]
    return "\n".join([*map(str, errors), *traces]) or None


async def spoilt_request(world: World, route: tuple[str, str], spoils: list[Spoil]) -> Sent:
    """A request to this endpoint with all of this done to it."""
    sent = Sent(*route, await VALID[route](world), version=world.lying.version)
    for spoil in spoils:
        sent = spoilt(sent, spoil, world.scene.liar)
    return sent


async def hit(world: World, route: tuple[str, str], spoils: list[Spoil], watch: Watch) -> str | None:
    """What came of it that must not; slow is only what is slow each time: the machine may be busy."""
    for _ in range(TIMES):
        sent = await spoilt_request(world, route, spoils)
        watch.begin()
        try:
            async with asyncio.timeout(60):
                answer = await asked(world, sent)
        except (TimeoutError, aiohttp.ClientError) as error:
            return f"{sent!r:.2000}: {error!r}"
        wrong = complaint(sent, answer) or failed(world)
        if wrong is not None:
            failures = [served.failure for served in world.scene.one.served if served.failure is not None]
            trace = "".join(traceback.format_exception(failures[-1])[-8:]) if failures else ""
            return f"{sent!r:.1000}: {wrong}\n{trace}"
        if answer[2] < SLOW and watch.blocked < MAX_BLOCKED:
            return None
    return f"{sent!r:.2000}: took {answer[2]:.2f} s, and the loop stood still for {watch.blocked:.2f} s"


async def still_works(world: World, number: object) -> None:
    """Messages go both ways."""
    scene = world.scene
    view = await now(scene)
    eve = next(iter(e for key, e in view.state.items() if key == ("m.room.member", scene.eve)))
    if eve.membership != "join":  # she has spoilt even that
        await scene.sends(scene.stranger.joins(view, scene.eve))
    said = scene.says(await now(scene))
    outcome = await scene.sends(said)
    await scene.alice.send(scene.room_id, f"still here {number}")
    await scene.alice.sync_until(lambda _: True)
    try:
        async with asyncio.timeout(60):  # what is not placed at once is placed beside what else is done
            while not await _shown(world, said.event_id):
                await asyncio.sleep(0.05)
    except TimeoutError:
        seen = list(map(str, scene.one.observed))[-3:]
        raise AssertionError((number, outcome, await scene.standing(said), seen)) from None


async def _shown(world: World, event_id: str) -> bool:
    page = await world.scene.alice.messages(world.scene.room_id, limit=30)
    return event_id in [event["event_id"] for event in page]


@pytest.mark.parametrize("version", ["1", "11", "12"])
async def test_spoilt_requests(make_federated: MakeFederated, make_lying: MakeLying, version: str) -> None:
    world = await make_world(make_federated, make_lying, version)
    one = world.scene.one
    complaints: list[str] = []
    begun = memory()
    async with watched() as watch:
        for number, route in enumerate(sorted(VALID)):
            status, raw, _ = await asked(world, await spoilt_request(world, route, []))
            assert status < 500, (route, status, raw)
            for spoils in drawn(SPOILS, EXAMPLES, SEED * 1000 + number):
                wrong = await hit(world, route, spoils, watch)
                complaints += [f"{route}: {wrong}"] if wrong else []
            one.served[:] = [served for served in one.served if served.failure is not None]
            world.scene.liar.asked.clear()
            await still_works(world, number)
    assert not complaints, f"{len(complaints)}: " + "\n".join(complaints[:10])
    assert memory() - begun < MAX_GROWTH
