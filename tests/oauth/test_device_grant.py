"""The device authorisation grant: one device waits, a person says yes on another."""

from __future__ import annotations

from typing import Any

import pytest

from services.settings import MINUTE, SECOND
from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock
from tests.oauth.browser import Browser, Page
from tests.oauth.client import DEVICE_CODE, OAuthClient, registered, scope


class Scene:
    """A waiting device, and alice's browser."""

    def __init__(self, homeserver: Homeserver, clock: FakeClock, client: OAuthClient) -> None:
        self.homeserver, self.clock, self.client = homeserver, clock, client
        self.browser = Browser(homeserver)
        self.begun: dict[str, Any] = {}

    async def begins(self, device_id: str = "TELEVISION") -> None:
        status, said = await self.client.post(
            "device", client_id=self.client.client_id, scope=scope(device_id)
        )
        assert status == 200
        self.begun = said

    async def polls(self, after: int = 5 * SECOND) -> tuple[int, Any]:
        self.clock.advance(after)
        return await self.client.post(
            "token",
            grant_type=DEVICE_CODE,
            device_code=self.begun["device_code"],
            client_id=self.client.client_id,
        )

    async def error(self, after: int = 5 * SECOND) -> str:
        status, said = await self.polls(after)
        assert status == 400, said
        return str(said["error"])

    async def looks(self) -> Page:
        page = await self.browser.open(self.begun["verification_uri_complete"])
        return await self.browser.log_in("alice", PASSWORD) if page.name == "login" else page


@pytest.fixture
async def scene(make_homeserver: MakeHomeserver) -> Scene:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    await homeserver.user("alice")
    scene = Scene(homeserver, clock, await registered(homeserver))
    await scene.begins()
    return scene


async def test_a_device_waits_until_a_person_says_yes(scene: Scene) -> None:
    assert await scene.error() == "authorization_pending"
    page = await scene.looks()
    assert scene.begun["user_code"] in page.text
    assert "TELEVISION" in page.text
    page = await scene.browser.submit(answer="allow")
    assert (page.status, page.left_for) == (200, None)
    status, tokens = await scene.polls()
    assert (status, tokens["scope"]) == (200, scope("TELEVISION"))
    who = await scene.client.matrix(tokens).ok("GET", "account/whoami")
    assert (who["user_id"], who["device_id"]) == ("@alice:one.example", "TELEVISION")
    assert (await scene.client.refresh(tokens["refresh_token"]))[0] == 200
    assert await scene.error() == "expired_token"  # it is good for once


async def test_a_person_types_the_code_as_they_like(scene: Scene) -> None:
    await scene.browser.open(scene.begun["verification_uri"])
    page = await scene.browser.log_in("alice", PASSWORD)
    assert page.name == "link"
    page = await scene.browser.submit(user_code=scene.begun["user_code"].lower().replace("-", " "))
    assert scene.begun["user_code"] in page.text
    await scene.browser.visit("link")
    page = await scene.browser.submit(user_code="XXXX-XXXX")
    assert (page.status, page.name) == (404, "link")


async def test_a_person_says_no(scene: Scene) -> None:
    await scene.looks()
    await scene.browser.submit(answer="deny")
    assert await scene.error() == "access_denied"
    assert (await scene.looks()).status == 404


async def test_a_device_that_asks_too_often_is_slowed_down(scene: Scene) -> None:
    assert await scene.error(0) == "authorization_pending"
    assert await scene.error(4 * SECOND) == "slow_down"
    assert await scene.error(6 * SECOND) == "slow_down"
    assert await scene.error(15 * SECOND) == "authorization_pending"


async def test_nobody_waits_for_ever(scene: Scene) -> None:
    assert await scene.error(21 * MINUTE) == "expired_token"
    assert (await scene.looks()).status == 404


async def test_a_code_is_its_clients(scene: Scene) -> None:
    other = await registered(scene.homeserver, client_name="Other")
    scene.client = other
    assert await scene.error() == "unauthorized_client"
    scene.begun["device_code"] = "htd_guess"
    assert await scene.error() == "invalid_grant"


async def test_a_client_must_have_said_that_it_uses_this(scene: Scene) -> None:
    other = await registered(scene.homeserver, grant_types=["authorization_code"])
    status, said = await other.post("device", client_id=other.client_id, scope=scope())
    assert (status, said["error"]) == (400, "unauthorized_client")
    status, said = await other.post("device", client_id="nobody", scope=scope())
    assert (status, said["error"]) == (401, "invalid_client")
    status, said = await scene.client.post("device", client_id=scene.client.client_id)
    assert (status, said["error"]) == (400, "invalid_scope")


async def test_nobody_becomes_a_device_that_the_user_has(scene: Scene) -> None:
    client = await registered(scene.homeserver)
    tokens = await client.log_in(Browser(scene.homeserver))
    await scene.begins("TEACHATTER")
    await scene.looks()
    page = await scene.browser.submit(answer="allow")
    assert page.status == 403
    assert await scene.error() == "authorization_pending"
    alice: Client = client.matrix(tokens)
    assert (await alice.get("account/whoami"))[0] == 200
