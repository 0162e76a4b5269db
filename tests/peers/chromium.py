"""Chromium without a window, driven over the DevTools protocol: pages, clicks, typing, pictures."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LONG = 20.0


class Tab:
    """One page of the browser, and what it wrote to its console."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.console: list[str] = []
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Reads no more."""
        self._reader.cancel()
        await self._socket.close()

    async def call(self, method: str, **params: Any) -> Any:
        """One command of the protocol; RuntimeError when the browser refuses."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        return await asyncio.wait_for(self._waiting[number], LONG)

    async def run(self, expression: str) -> Any:
        """The value of a JavaScript expression (awaited, when it is a promise)."""
        reply = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in reply:
            raise RuntimeError(json.dumps(reply["exceptionDetails"])[:2000])
        return reply["result"].get("value")

    async def until(self, what: str, expression: str) -> Any:
        """The expression's value once it is truthy; AssertionError with the page's text when it never is."""
        try:
            async with asyncio.timeout(LONG):
                plain = f"Promise.resolve({expression}).then((one) => (one instanceof Node ? true : one))"
                while not (value := await self.run(plain)):
                    await asyncio.sleep(0.05)
                return value
        except TimeoutError:
            text = await self.run("document.body.innerText")
            raise AssertionError(f"never seen: {what}\n{text}\n" + "\n".join(self.console[-15:])) from None

    async def type(self, selector: str, text: str) -> None:
        """Types into a field, as its user would."""
        await self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        await self.run(f"document.querySelector({json.dumps(selector)}).select?.()")
        await self.call("Input.insertText", text=text)

    async def press_enter(self) -> None:
        """The Enter key."""
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **key)
        await self.call(
            "Input.dispatchKeyEvent", type="keyUp", key="Enter", code="Enter", windowsVirtualKeyCode=13
        )

    async def picture(self, path: Path) -> None:
        """A PNG of what is on the screen."""
        reply = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(reply["data"]))

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                waiting = self._waiting.pop(said["id"])
                if "error" in said:
                    waiting.set_exception(RuntimeError(str(said["error"])))
                else:
                    waiting.set_result(said["result"])
            elif said["method"] == "Runtime.consoleAPICalled":
                arguments = said["params"]["args"]
                self.console.append(
                    " ".join(str(one.get("value", one.get("description"))) for one in arguments)
                )
            elif said["method"] in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.console.append(json.dumps(said["params"])[:500])


class Chromium:
    """The running browser."""

    def __init__(self, session: ClientSession, port: int) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{port}"

    @asynccontextmanager
    async def tab(self, url: str) -> AsyncIterator[Tab]:
        """A new page at the address."""
        async with self._session.put(f"{self._url}/json/new?about:blank") as reply:
            target = await reply.json(content_type=None)
        tab = Tab(await self._session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0))
        for domain in ("Page", "Runtime", "Log"):
            await tab.call(f"{domain}.enable")
        await tab.call("Page.navigate", url=url)
        try:
            yield tab
        finally:
            await tab.close()


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Chromium]:
    """A browser with a profile of its own in the folder, ended afterwards."""
    assert PROGRAM is not None
    with (folder / "chromium.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-port=0",
            "--window-size=1100,800",
            f"--user-data-dir={folder / 'profile'}",
            "about:blank",
            stdout=log,
            stderr=log,
        )
    try:
        async with ClientSession() as session:
            yield Chromium(session, await _port(folder / "profile" / "DevToolsActivePort"))
    finally:
        process.terminate()
        await process.wait()


async def _port(told: Path) -> int:
    async with asyncio.timeout(LONG):
        while not told.exists() or not told.read_text().strip():
            await asyncio.sleep(0.05)
    return int(told.read_text().split()[0])
