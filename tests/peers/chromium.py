"""Chromium without a window, driven over the DevTools protocol: pages, clicks, typing, files, pictures."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LONG = float(os.environ.get("PEERS_PATIENCE", "90"))
"""Seconds that anything on a page may take, on a busy machine."""
_KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Backspace": (8, ""), "ArrowDown": (40, ""), "Tab": (9, "")}
_ASK_AGAIN = ("context was destroyed", "Cannot find context", "navigated or closed", "Cannot find default")


class Tab:
    """One page of the browser, and what it wrote to its console and asked of servers."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.console: list[str] = []
        self.requests: dict[str, str] = {}
        """Method, address and outcome of what the page and its service worker asked."""
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._chosen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    async def open(self, url: str) -> None:
        """Shows the address, and listens to what happens there."""
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            await self.call(f"{domain}.enable")
        await self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        follow = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": True}
        await self.call("Target.setAutoAttach", **follow)
        await self.call("Page.navigate", url=url)

    async def close(self) -> None:
        """Reads no more."""
        self._reader.cancel()
        await self._socket.close()

    async def call(self, method: str, **params: Any) -> Any:
        """One command of the protocol; RuntimeError when the browser refuses."""
        # Not by wait_for: that of Python 3.11 swallows a cancellation which comes together with the answer, so that
        # whoever asks again and again within a limit of their own would do so for ever.
        async with asyncio.timeout(LONG):
            return await (await self._asked(method, params))

    async def _asked(
        self, method: str, params: dict[str, Any], session: str | None = None
    ) -> asyncio.Future[Any]:
        if self._reader.done():
            raise RuntimeError("the browser has hung up")
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        said = {"id": number, "method": method, "params": params}
        await self._socket.send_json(said | ({"sessionId": session} if session else {}))
        return self._waiting[number]

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
        plain = f"Promise.resolve({expression}).then((one) => (one instanceof Node ? true : one))"
        try:
            async with asyncio.timeout(LONG):
                while not (value := await self._asked_of_any_page(plain)):
                    await asyncio.sleep(0.05)
                return value
        except TimeoutError:
            raise AssertionError(f"never seen: {what}\n{await self.described()}") from None

    async def described(self) -> str:
        """The page's text, and the last of what it asked and wrote to its console."""
        try:
            text = await self.run("document.body.innerText")
        except (RuntimeError, TimeoutError) as error:
            text = f"(no page: {error!r})"
        return "\n".join([text, *list(self.requests.values())[-25:], *self.console[-15:]])

    async def _asked_of_any_page(self, expression: str) -> Any:
        """None while one page makes room for the next."""
        try:
            return await self.run(expression)
        except RuntimeError as error:
            if any(part in str(error) for part in _ASK_AGAIN):
                return None
            raise

    async def click(self, what: str, element: str, button: str = "left") -> None:
        """A click of the mouse in the middle of what the expression finds, once it is there, at rest and not covered."""
        x, y = await self.until(f"{what} (to be clicked)", _place(element))
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            pressed = {} if kind == "mouseMoved" else {"button": button, "clickCount": 1}
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **pressed)

    async def hover(self, what: str, element: str) -> None:
        """The mouse over what the expression finds."""
        x, y = await self.until(f"{what} (to be pointed at)", _place(element))
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    async def type(self, selector: str, text: str) -> None:
        """Types into a field in place of what is there, as its user would."""
        field = f"document.querySelector({json.dumps(selector)})"
        await self.until(f"a field to type {text!r} into", f"{field} && !{field}.disabled")
        await self.run(f"{field}.focus()")
        await self.run(f"{field}.select?.()")
        await self.call("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        """A key: Enter, Escape, a letter, ..."""
        code, text = _KEYS[key] if key in _KEYS else (ord(key.upper()), key)
        named = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **named, **({"text": text} if text else {}))
        await self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    @asynccontextmanager
    async def choosing(self, file: Path) -> AsyncIterator[None]:
        """What asks for files inside gets this one."""
        self._chosen = chosen = asyncio.get_running_loop().create_future()
        await self.call("Page.setInterceptFileChooserDialog", enabled=True)
        yield
        async with asyncio.timeout(LONG):
            params = await chosen
        await self.call("DOM.setFileInputFiles", files=[str(file)], backendNodeId=params["backendNodeId"])
        await self.call("Page.setInterceptFileChooserDialog", enabled=False)

    async def reload(self) -> None:
        """The page anew, as with F5; returns when the old one is gone."""
        await self.run("window.isOld = true")
        await self.call("Page.reload")
        await self.until("the page anew", "!window.isOld && document.readyState === 'complete'")

    async def go(self, url: str) -> None:
        """Another address; also the one that is shown, from the beginning."""
        await self.run("window.isOld = true")
        await self.call("Page.navigate", url=url)
        await self.until(f"a page at {url}", "!window.isOld && document.readyState === 'complete'")

    async def picture(self, path: Path) -> None:
        """A PNG of what is on the screen."""
        reply = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(reply["data"]))

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" not in said:
                await self._heard(said["method"], said["params"])
            elif (waiting := self._waiting.pop(said["id"])).cancelled():
                continue
            elif "error" in said:
                waiting.set_exception(RuntimeError(str(said["error"])))
            else:
                waiting.set_result(said["result"])

    async def _heard(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.consoleAPICalled":
            self.console.append(
                " ".join(str(one.get("value", one.get("description"))) for one in params["args"])
            )
        elif method in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.console.append(json.dumps(params)[:500])
        elif method == "Page.fileChooserOpened":
            if not self._chosen.done():
                self._chosen.set_result(params)
        elif method == "Target.attachedToTarget":
            for domain in ("Network", "Runtime"):
                (await self._asked(f"{domain}.enable", {}, params["sessionId"])).add_done_callback(_outcome)
        elif method.startswith("Network."):
            self._noted(method.removeprefix("Network."), params)

    def _noted(self, method: str, params: dict[str, Any]) -> None:
        number = params.get("requestId", "")
        if method == "requestWillBeSent" and not params["request"]["url"].startswith("data:"):
            request = params["request"]
            self.requests[number] = f"{request['method']} {request['url']}"
        elif number in self.requests and method == "responseReceived":
            self.requests[number] += f" {params['response']['status']}"
        elif number in self.requests and method == "loadingFailed":
            self.requests[number] += f" failed: {params['errorText']} {params.get('corsErrorStatus', '')}"


def _outcome(done: asyncio.Future[Any]) -> None:
    with suppress(RuntimeError, asyncio.CancelledError):  # the worker has gone meanwhile
        done.result()


def _place(element: str) -> str:
    """Where the middle of an element is, when a click there would meet it and nothing moves it; else null."""
    return f"""(async () => {{
        const one = {element};
        if (!one || one.disabled) return null;
        one.scrollIntoView({{ block: "nearest", behavior: "instant" }});
        const box = () => one.getBoundingClientRect();
        const before = box();
        await new Promise((drawn) => setTimeout(drawn, 30));
        const after = box();
        if (!after.width || before.x !== after.x || before.y !== after.y) return null;
        const [x, y] = [after.x + after.width / 2, after.y + after.height / 2];
        const met = document.elementFromPoint(x, y);
        return met && (one.contains(met) || met.contains(one)) ? [x, y] : null;
    }})()"""


class Chromium:
    """The running browser."""

    def __init__(self, session: ClientSession, port: int) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{port}"

    @asynccontextmanager
    async def tab(self, url: str) -> AsyncIterator[Tab]:
        """A new page at the address."""
        async with asyncio.timeout(LONG):
            async with self._session.put(f"{self._url}/json/new?about:blank") as reply:
                target = await reply.json(content_type=None)
            tab = Tab(await self._session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0))
        try:
            await tab.open(url)
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
            "--disable-background-networking",
            "--disable-background-timer-throttling",
            "--disable-renderer-backgrounding",
            "--remote-debugging-port=0",
            "--window-size=1300,850",
            "--lang=en",
            f"--user-data-dir={folder / 'profile'}",
            "about:blank",
            stdout=log,
            stderr=log,
        )
    try:
        async with ClientSession() as session:
            yield Chromium(session, await _port(folder / "profile" / "DevToolsActivePort"))
    finally:
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
    await process.wait()


async def _port(told: Path) -> int:
    async with asyncio.timeout(LONG):
        while not told.exists() or not told.read_text().strip():
            await asyncio.sleep(0.05)
    return int(told.read_text().split()[0])
