"""Our pages in a real browser that is as narrow as a phone: making an account, letting a device in, addresses, a new password."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.oauth.urls import ROOT
from tests.fixtures.live import LiveServer, free_port
from tests.fixtures.mail import MailServer, mail_server
from tests.peers.chromium import PROGRAM, Tab, chromium

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="there is no Chromium (on Debian: apt install chromium)"
)

WIDTH, SMALLEST_TARGET = 360, 20
ADDRESS = "alice.with.a.rather.long.name@a.subdomain.of.example.org"
PASSWORD, NEW = "correct horse battery staple", "another battery staple"
CLIENT = {
    "client_name": "Tea Chat, whose name is rather long",
    "client_uri": "https://chat.example/",
    "redirect_uris": ["https://chat.example/back"],
    "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}
CONFIG = """
server_name: localhost:{port}
data_folder: {folder}/data
listeners: [{{port: {port}}}]
registration: {{mode: open, terms: [{{name: Rules, url: "https://example.org/rules"}}]}}
mail: {{host: 127.0.0.1, port: {mail}, tls: none, sender: noreply@example.org}}
"""


@dataclass
class Phone:
    """The browser's page; each look at one checks that it fits."""

    tab: Tab
    base: str

    async def sees(self, title: str) -> None:
        """A page of this title, which is as wide as the phone, and on which all can be hit with a finger."""
        await self.tab.until(title, f"document.querySelector('h1')?.innerText === {title!r}")
        assert await self.tab.run("document.documentElement.scrollWidth") <= WIDTH, title
        targets = "[...document.querySelectorAll('button, a.button, input:not([type=hidden])')]"
        heights = await self.tab.run(f"{targets}.map((one) => one.getBoundingClientRect().height)")
        assert all(height >= SMALLEST_TARGET for height in heights), title

    async def press(self, label: str) -> None:
        """The button or the link that says so."""
        words = (
            f"[...document.querySelectorAll('button, a')].find((one) => one.innerText.trim() === {label!r})"
        )
        await self.tab.click(label, words)

    async def fill(self, **fields: str) -> None:
        """Types into the fields of these names."""
        for name, value in fields.items():
            await self.tab.type(f"input[name={name}]:not([type=hidden])", value)

    async def tick(self, name: str) -> None:
        """A box."""
        await self.tab.click(name, f"document.querySelector('input[name={name}]')")


@pytest.fixture
async def mails() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
async def server(tmp_path: Path, mails: MailServer) -> AsyncIterator[LiveServer]:
    port = free_port()
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(port=port, folder=tmp_path, mail=mails.port))
    server = LiveServer(tmp_path, port=port, config=config)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def test_everything_fits_on_a_phone(server: LiveServer, mails: MailServer, tmp_path: Path) -> None:
    async with aiohttp.ClientSession(server.url) as session, chromium(tmp_path) as browser:
        client = await said(session.post(f"{ROOT}/clients", json=CLIENT), 201)
        scope = "urn:matrix:client:api:* urn:matrix:client:device:TEAPHONE12"
        asked = {"client_id": client["client_id"], "scope": scope}
        grant = await said(session.post(f"{ROOT}/device", data=asked))
        async with browser.tab("about:blank") as tab:
            size: dict[str, Any] = {"width": WIDTH, "height": 740, "deviceScaleFactor": 2, "mobile": True}
            await tab.call("Emulation.setDeviceMetricsOverride", **size)
            phone = Phone(tab, server.url)
            await lets_in(phone, grant["verification_uri_complete"], grant["user_code"])
            asked = {"client_id": client["client_id"], "device_code": grant["device_code"]}
            asked["grant_type"] = CLIENT["grant_types"][0]
            tokens = await said(session.post(f"{ROOT}/token", data=asked))
            headers = {"Authorization": f"Bearer {tokens['access_token']}"}
            whoami = await said(session.get("/_matrix/client/v3/account/whoami", headers=headers))
            assert whoami["device_id"] == "TEAPHONE12"
            await looks_around(phone)
            await adds_address(phone, mails)
            known = await said(session.get("/_matrix/client/v3/account/3pid", headers=headers))
            assert [one["address"] for one in known["threepids"]] == [ADDRESS]
            await forgets_password(phone, mails)
            assert (await session.get("/_matrix/client/v3/account/whoami", headers=headers)).status == 401


async def said(request: Any, status: int = 200) -> dict[str, Any]:
    """The JSON of the answer."""
    async with request as response:
        assert response.status == status, await response.text()
        found: dict[str, Any] = await response.json()
        return found


async def lets_in(phone: Phone, url: str, user_code: str) -> None:
    """Somebody new follows the link that a device shows."""
    await phone.tab.go(url)
    await phone.sees("Sign in")
    await phone.press("Create an account")
    await phone.sees("Create an account")
    await phone.fill(name="alice", password=PASSWORD, again=PASSWORD)
    await phone.tick("agreed")
    await phone.press("Create the account")
    await phone.sees(f"Let {CLIENT['client_name']} use your account?")
    assert user_code in await phone.tab.run("document.body.innerText")
    await phone.press("Allow")
    await phone.sees("Done")


async def looks_around(phone: Phone) -> None:
    """The account page and what it leads to."""
    await phone.tab.go(f"{phone.base}{ROOT}/account")
    await phone.sees("Your account")
    for link, title in (
        ("Devices", "Your devices"),
        ("Change the password", "Change the password"),
        ("Reset the cryptographic identity", "Reset the cryptographic identity?"),
        ("Deactivate the account", f"Deactivate @alice:{phone.base.removeprefix('http://')}?"),
    ):
        await phone.press(link)
        await phone.sees(title)
        await phone.tab.go(f"{phone.base}{ROOT}/account")
        await phone.sees("Your account")


async def adds_address(phone: Phone, mails: MailServer) -> None:
    """With the link in the mail, opened in the same browser."""
    await phone.press("E-mail addresses")
    await phone.sees("Your e-mail addresses")
    await phone.fill(email=ADDRESS)
    await phone.press("Send a link there")
    await phone.sees("Look into your mail")
    waiting = await phone.tab.run("location.href")
    await phone.tab.go(phone.base + (await mails.next()).link)
    await phone.sees("Confirm your address")
    await phone.press("This is my address")
    await phone.sees("Thank you")
    await phone.tab.go(waiting)
    await phone.sees("Look into your mail")
    await phone.press("Go on")
    await phone.sees("Your e-mail addresses")
    assert ADDRESS in await phone.tab.run("document.body.innerText")


async def forgets_password(phone: Phone, mails: MailServer) -> None:
    """And sets another one; the link is opened elsewhere."""
    await phone.press("Your account")
    await phone.sees("Your account")
    await phone.press("Sign out on this page")
    await phone.sees("Sign in")
    await phone.press("Forgotten the password?")
    await phone.sees("A new password")
    await phone.fill(email=ADDRESS)
    await phone.press("Send the link")
    await phone.tab.until("the second page", "document.querySelector('input[name=new]')")
    async with aiohttp.ClientSession(phone.base) as elsewhere:
        async with elsewhere.post((await mails.next()).link) as response:
            assert response.status == 200
    await phone.sees("A new password")
    await phone.fill(new=NEW, again=NEW)
    await phone.press("Set the password")
    await phone.sees("Your account")
