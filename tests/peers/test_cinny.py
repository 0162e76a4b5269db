"""Cinny in Chromium: Alice in the browser; Carol, who is in none; and Dave, at a device with encryption."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout

from tests.fixtures.live import LiveServer, live_server
from tests.peers.chromium import LONG, PROGRAM, chromium
from tests.peers.cinny import account, places, talking
from tests.peers.cinny.scene import Scene
from tests.peers.cinny.served import BUILT, cinny
from tests.peers.onpage import Checks, registered
from tests.peers.secret import secret

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium (on Debian: apt install chromium)"),
    pytest.mark.skipif(not BUILT.is_dir(), reason="scripts/cinny builds Cinny, from a checkout of it"),
]
PARTS = (
    talking.enters,
    talking.talks,
    talking.reacts,
    talking.shows_pictures,
    places.searches,
    places.makes_rooms,
    places.explores,
    places.has_spaces,
    account.has_a_profile,
    talking.keeps_secrets,
    account.sees_devices,
    account.logs_out_and_in,
)


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LiveServer]:
    # This Cinny does not know that who made a room of version 12 may do all in it, and offers them nothing.
    monkeypatch.setenv("HEARTH_ROOMS__DEFAULT_VERSION", "11")
    async with live_server(tmp_path / "server", "--open-registration") as running:
        yield running


async def test_people_talk_in_cinny(server: LiveServer, tmp_path: Path) -> None:
    async with (
        ClientSession(timeout=ClientTimeout(LONG)) as session,
        secret(server, "dave", tmp_path) as dave,
        cinny(server.url) as page,
        chromium(tmp_path) as browser,
        browser.tab(page) as tab,
    ):
        carol = await registered(server, session, "carol")
        await carol.ok("PUT", f"profile/{carol.user_id}/displayname", json={"displayname": "Carol"})
        checks = Checks()
        alice = await account.registers(checks, tab, session, server)
        scene = Scene(server, tab, page, carol, dave, alice, checks)
        for part in PARTS:
            await part(scene)
        assert len(checks.done) >= 81, checks.done
