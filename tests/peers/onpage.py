"""How the plays in browsers find things on a page, count what was checked, and what the person in no browser does."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from aiohttp import ClientSession
from PIL import Image

from tests.fixtures.client import Client
from tests.fixtures.live import LiveServer
from tests.peers.chromium import LONG, Tab
from tests.peers.peer import PASSWORD

T = TypeVar("T")
PICTURES = os.environ.get("PEERS_PICTURES")
"""A folder for pictures of the pages, for whoever wants to look."""


class Checks:
    """What was checked so far, by name."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def so(self, what: str, true: object) -> None:
        """Counts what is true; AssertionError with its name."""
        assert true, what
        assert what not in self.done, f"two checks have one name: {what}"
        self.done.append(what)
        print(f"ok {len(self.done)} {what}", flush=True)

    async def seen(self, what: str, tab: Tab, expression: str) -> None:
        """Counts what is to be seen on the page, once it is."""
        self.so(what, await tab.until(what, expression))

    async def told(self, what: str, client: Client, look: Callable[[], Awaitable[T]]) -> T:
        """Counts, and gives, what `look` says at last, which is asked again whenever the client has news."""
        try:
            async with asyncio.timeout(LONG):
                while not (found := await look()):
                    await client.sync(timeout=1000)
        except TimeoutError:
            raise AssertionError(f"never told: {what}") from None
        self.so(what, found)
        return found


def says(selector: str, text: str) -> str:
    """An element of the page that says this, among other things."""
    found = f"[...document.querySelectorAll({json.dumps(selector)})]"
    return f"{found}.find((one) => (one.innerText ?? '').includes({json.dumps(text)}))"


def button(text: str, kind: str = "button") -> str:
    """The button with exactly this text."""
    found = f"[...document.querySelectorAll({json.dumps(kind)})]"
    return f"{found}.find((one) => (one.innerText ?? '').trim() === {json.dumps(text)})"


async def press(tab: Tab, what: str, element: str) -> None:
    """The click that a script does on an element, once it is there; for what moves or hides under a mouse."""
    pressed = f"""(() => {{
        const one = {element};
        if (!one || one.disabled) return null;
        one.click();
        return true;
    }})()"""
    await tab.until(what, pressed)


async def choose(tab: Tab, what: str, option: str, opening: str) -> None:
    """Presses something in a menu, which `opening` (a statement) opens; that is tried again when nothing came of it."""
    chosen = f"""(() => {{
        const option = {option};
        if (option) {{
            window.openedAt = 0;
            option.click();
        }} else if (Date.now() - (window.openedAt ?? 0) > 3000) {{
            window.openedAt = Date.now();
            {opening};
        }}
        return option;
    }})()"""
    await tab.until(what, chosen)


async def registered(server: LiveServer, session: ClientSession, name: str) -> Client:
    """A new user, in no browser."""
    client = Client(session, server.url, password=PASSWORD)
    body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
    said = await client.ok("POST", "register", json=body)
    client.user_id, client.device_id = said["user_id"], said["device_id"]
    client.access_token = said["access_token"]
    return client


def red_picture(width: int = 320, height: int = 240) -> bytes:
    """A PNG."""
    made = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(made, "PNG")
    return made.getvalue()


async def uploaded(client: Client, data: bytes, kind: str = "image/png") -> str:
    """The mxc: address of what was uploaded."""
    said = await client.ok("POST", "/_matrix/media/v3/upload", data=data, headers={"Content-Type": kind})
    return str(said["content_uri"])


async def downloaded(client: Client, mxc: str) -> tuple[int, Any]:
    """Status and content of what an mxc: address names."""
    return await client.get(f"/_matrix/client/v1/media/download/{mxc.removeprefix('mxc://')}")


async def message(
    client: Client, room_id: str, said: Callable[[dict[str, Any]], object]
) -> dict[str, Any] | None:
    """The newest event of the last page of which something is so; None when there is none."""
    return next((event for event in await client.messages(room_id) if said(event)), None)


async def related(client: Client, room_id: str, event_id: str, kind: str) -> list[dict[str, Any]]:
    """The events that relate so to the event."""
    path = f"/_matrix/client/v1/rooms/{quote(room_id)}/relations/{quote(event_id)}/{kind}"
    found: list[dict[str, Any]] = (await client.ok("GET", path))["chunk"]
    return found


async def picture(tab: Tab, name: str) -> None:
    """A picture of the page, where pictures are wanted."""
    if PICTURES:
        await tab.picture(Path(PICTURES) / f"{name}.png")
