"""Who is there in the play with Cinny, and what Alice does at her page, in words of the page."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.fixtures.client import Client
from tests.fixtures.live import LiveServer
from tests.peers.chromium import Tab
from tests.peers.onpage import Checks, T, button, choose, message, press, says
from tests.peers.secret import Secret

SAID = "[data-message-id]"
WRITING = "[data-editable-name=RoomInput]"


@dataclass
class Scene:
    """Alice is in the browser; Carol is in none; Dave has a device with encryption."""

    server: LiveServer
    tab: Tab
    page: str
    carol: Client
    dave: Secret
    alice: Client
    """Alice at another device, by which her account is looked at."""
    checks: Checks = field(default_factory=Checks)
    room_id: str = ""

    async def seen(self, what: str, expression: str) -> None:
        """Counts what is to be seen on Alice's page, where she follows what is new."""
        looked = f"(() => {{ {button('Jump to Latest')}?.click(); return {expression}; }})()"
        await self.checks.seen(what, self.tab, looked)

    async def told(self, what: str, look: Callable[[], Awaitable[T]]) -> T:
        """Counts, and gives, what Carol learns at last."""
        return await self.told_to(self.carol, what, look)

    async def told_to(self, client: Client, what: str, look: Callable[[], Awaitable[T]]) -> T:
        """Counts, and gives, what somebody learns at last; AssertionError with what Alice's page shows."""
        try:
            return await self.checks.told(what, client, look)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{await self.tab.described()}") from None

    async def written(self, what: str, text: str, room_id: str | None = None) -> dict[str, Any]:
        """Counts the event whose body has this text, when Carol can read it."""
        room = room_id or self.room_id
        found = await self.told(
            what, lambda: message(self.carol, room, lambda event: text in event["content"].get("body", ""))
        )
        assert found is not None
        return found

    async def goes(self, path: str) -> None:
        """Another page of the client, loaded anew."""
        await self.tab.go(self.page + path)

    async def opens(self, room_id: str, where: str = "home") -> None:
        """A room, by its address."""
        await self.goes(f"{where}/{quote(room_id, safe='')}/")
        await self.tab.until("a room to write in", f"document.querySelector('{WRITING}')")

    async def types(self, text: str) -> None:
        """Writes in the room that is shown."""
        await self.tab.type(WRITING, text)
        await self.tab.press("Enter")

    async def chooses(self, text: str, option: str) -> None:
        """Something from the menu of a message."""
        clicked = (
            'new MouseEvent("contextmenu", { bubbles: true, cancelable: true, clientX: 500, clientY: 300 })'
        )
        opening = f"{says(SAID, text)}?.querySelector('[class]')?.dispatchEvent({clicked})"
        await choose(self.tab, f"{option} in the menu of {text!r}", button(option), opening)

    async def room_menu(self, option: str) -> None:
        """Something from the menu of the room that is shown."""
        await choose(self.tab, f"{option} in the menu of the room", button(option), f"{ROOM_MENU}?.click()")

    async def presses(self, text: str) -> None:
        """A button with this text."""
        await press(self.tab, f"a button {text}", button(text))

    async def settings(self) -> None:
        """Her own settings."""
        await press(self.tab, "alice's own button", button("A"))
        await self.tab.until("the settings", button("Logout"))


def link(text: str) -> str:
    """A link that says this."""
    return says("a", text)


def member(text: str) -> str:
    """A name in the list of members, at the right of the page."""
    found = "[...document.querySelectorAll('button[data-user-id][data-index]')]"
    return f"{found}.find((one) => one.innerText.includes({json.dumps(text)}))"


ROOM_MENU = (
    "[...document.querySelectorAll('header button[aria-pressed]')].filter("
    "(one) => one.getBoundingClientRect().x > 323 && !one.innerText).pop()"
)
"""The button in the head of a room; others that say nothing (a face beside a message) may be scrolled up to its height."""
