"""Whatever another server answers: our users get a clear error at worst, soon, and the process is none the worse for it.

By hand, at length: FUZZ_EXAMPLES=2000 FUZZ_SEED=7 pytest tests/federation/fuzz/test_answers.py
"""

from __future__ import annotations

import asyncio
import inspect
import time
import traceback
from typing import Any

import pytest
from aiohttp import web
from hypothesis import strategies as st

from federation.client import connections
from tests.federation.fuzz.junk import (
    BODIES,
    TEXTS,
    VALUES,
    at_place,
    drawn,
    places,
    replaced,
    without,
    written,
)
from tests.federation.fuzz.plays import BOUNDARY, PLAYS, Play, multipart
from tests.federation.fuzz.spoiling import Spoil, resigned
from tests.federation.fuzz.test_endpoints import EXAMPLES, GATEWAY, SEED, failed, still_works
from tests.federation.fuzz.watching import MAX_BLOCKED, MAX_GROWTH, memory, watched
from tests.federation.fuzz.world import World, make_world
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.lying_server import Asked, Script

PATIENCE = 60.0
"""Seconds for all that one play asks: others are waited for 2 seconds, and some of them are asked several times."""

_KINDS: dict[str, st.SearchStrategy[Any]] = {
    "member": VALUES,
    "member away": st.none(),
    "event": VALUES,
    "event away": st.none(),
    "event twice": st.none(),
    "body": st.one_of(BODIES, st.sampled_from([b"[" * 1000, b"0" * 2_000_000])),
    "status": st.sampled_from(
        [200, 201, 204, 301, 307, 400, 401, 403, 404, 405, 413, 429, 500, 502, 503, 599]
    ),
    "type": st.sampled_from(
        ["text/html", "multipart/mixed", "multipart/mixed; boundary=x", "application/json"]
    ),
    "location": st.one_of(
        TEXTS, st.sampled_from(["https://127.0.0.1:1/", "http://x/", "https://localhost:x/", "/"])
    ),
}
SPOILS = st.lists(
    st.sampled_from(["member", "member", "event", "event", "event", *_KINDS]).flatmap(
        lambda what: st.builds(Spoil, st.just(what), st.integers(0, 10_000), _KINDS[what])
    ),
    min_size=1,
    max_size=3,
)


class Spoiler:
    """Answers as the script does, but spoilt."""

    def __init__(self, world: World, script: Script, spoils: list[Spoil]) -> None:
        self.world, self.script, self.spoils = world, script, spoils

    async def __call__(self, asked: Asked) -> web.Response:
        said = self.script(asked)
        said = await said if inspect.isawaitable(said) else said
        if isinstance(said, web.StreamResponse):
            return self._file()
        status, body = said if isinstance(said, tuple) else (200, said)
        raw: bytes | None = None
        headers = {"Content-Type": "application/json"}
        for spoil in self.spoils:
            match spoil.what:
                case "body":
                    raw = spoil.value
                case "status":
                    status = spoil.value
                case "type":
                    headers["Content-Type"] = spoil.value
                case "location":
                    status, headers["Location"] = 307, _header(spoil.value)
                case _:
                    body = self._in_json(body, spoil)
        return web.Response(status=status, body=written(body) if raw is None else raw, headers=headers)

    def _in_json(self, body: Any, spoil: Spoil) -> Any:
        ways = places(body)
        if spoil.what.startswith("event"):
            pdus = [way for way in ways if _is_pdu(at_place(body, way))]
            if not pdus:
                return body
            way = pdus[spoil.at % len(pdus)]
            return replaced(body, way, self._other(at_place(body, way), spoil))
        way = ways[spoil.at % len(ways)]
        return without(body, way) if spoil.what == "member away" else replaced(body, way, spoil.value)

    def _other(self, pdu: dict[str, Any], spoil: Spoil) -> Any:
        if spoil.what == "event twice":
            return [pdu, pdu]
        ways = [way for way in places(pdu) if way and way[0] not in ("hashes", "signatures")]
        way = ways[(spoil.at // 7) % len(ways)]
        other = without(pdu, way) if spoil.what == "event away" else replaced(pdu, way, spoil.value)
        return resigned(other, self.world.lying.version, self.world.scene.liar)[0]

    def _file(self) -> web.Response:
        status, raw = 200, multipart()
        headers = {"Content-Type": f"multipart/mixed; boundary={BOUNDARY}"}
        for spoil in self.spoils:
            match spoil.what:
                case "status":
                    status = spoil.value
                case "type":
                    headers["Content-Type"] = spoil.value
                case "location":
                    headers["Location"] = _header(spoil.value)
                case "body":
                    raw = spoil.value
                case _:
                    at = spoil.at % len(raw)
                    raw = raw[:at] + written(spoil.value)[:50] + raw[at + spoil.at % 9 :]
        return web.Response(status=status, body=raw, headers=headers)


def _header(text: str) -> str:
    """What may stand in a header."""
    return "".join(c for c in text.encode("utf-8", "ignore").decode() if c.isprintable())[:5000]


def _is_pdu(value: Any) -> bool:
    return isinstance(value, dict) and "prev_events" in value


async def played(world: World, play: Play, spoils: list[Spoil]) -> str | None:
    """What came of it that must not."""
    liar, one = world.scene.liar, world.scene.one
    before = list(liar.scripts)
    honest = liar.on

    def on(method: str, start: str, script: Script) -> None:
        honest(
            method,
            start,
            Spoiler(world, script, spoils) if (method, start) == (play.method, play.start) else script,
        )

    liar.on = on  # type: ignore[method-assign]
    try:
        async with asyncio.timeout(PATIENCE):
            answers = await play.act(world)
    except TimeoutError:
        return "took too long"
    except AssertionError as error:  # what we answered is not what the specification says
        one.served[:] = []
        return str(error)
    finally:
        del liar.on  # type: ignore[attr-defined]
        liar.scripts[:] = before
    for status, body in answers:
        if status >= 500 and status not in GATEWAY:
            failures = [served.failure for served in one.served if served.failure is not None]
            trace = "".join(traceback.format_exception(failures[-1])[-8:]) if failures else ""
            return f"status {status}: {body!r:.200}\n{trace}"
        if status >= 400 and not (isinstance(body, dict) and isinstance(body.get("errcode"), str)):
            return f"no errcode: {status} {body!r:.200}"
    return failed(world)


@pytest.mark.parametrize("version", ["1", "11", "12"])
async def test_spoilt_answers(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(connections, "MAX_KEPT", 20)  # the buffers of both ends are in this process
    world = await make_world(make_federated, make_lying, version)
    one = world.scene.one
    complaints: list[str] = []
    begun = memory()
    async with watched() as watch:
        for number, (name, play) in enumerate(PLAYS.items()):
            asked_before = world.scene.liar.times_asked(play.start)
            wrong = await played(world, play, [])
            assert wrong is None, (name, wrong)
            assert world.scene.liar.times_asked(play.start) > asked_before, f"{name} is not asked"
            for spoils in drawn(SPOILS, max(1, EXAMPLES // 2), SEED * 1000 + number):
                at = time.monotonic()
                watch.begin()
                wrong = await played(world, play, spoils)
                if wrong is None and watch.blocked > MAX_BLOCKED:
                    wrong = f"the loop stood still for {watch.blocked:.2f} s of {time.monotonic() - at:.2f}"
                complaints += [f"{name} {spoils!r:.1000}: {wrong}"] if wrong else []
            one.served[:] = [served for served in one.served if served.failure is not None]
            world.scene.liar.asked.clear()
            await still_works(world, name)
    assert not complaints, f"{len(complaints)}: " + "\n".join(complaints[:10])
    assert memory() - begun < MAX_GROWTH
