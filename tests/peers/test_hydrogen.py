"""Hydrogen in Chromium: Alice in the browser, and Carol, who is in none."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession

from tests.fixtures.client import Client
from tests.fixtures.live import LiveServer, live_server
from tests.peers.chromium import PROGRAM, Chromium, Tab, chromium
from tests.peers.hydrogen import PACKAGE, hydrogen
from tests.peers.peer import PASSWORD
from tests.peers.stage import until

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium (on Debian: apt install chromium)"),
    pytest.mark.skipif(not PACKAGE.is_dir(), reason="scripts/test installs Hydrogen, with npm"),
]
PICTURES = os.environ.get("PEERS_PICTURES")
"""A folder for pictures of the pages, for whoever wants to look."""
_numbers = count()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with live_server(tmp_path / "server", "--open-registration") as running:
        yield running


async def test_people_in_browsers_talk(server: LiveServer, tmp_path: Path) -> None:
    async with ClientSession() as session, hydrogen(tmp_path) as page, chromium(tmp_path) as browser:
        await _converse(server, session, page, browser)


async def _converse(server: LiveServer, session: ClientSession, page: str, browser: Chromium) -> None:
    people = {name: await _registered(server, session, name) for name in ("alice", "carol")}
    carol = people["carol"]
    at = f"?on={quote(server.url)}"
    async with browser.tab(page + at) as alice:
        await _log_in(alice, "alice", server)
        room_id = await _enters(alice, people["alice"], carol)
        await _talks(alice, carol, room_id)
        await _picture(alice, "room")
        await _scrolls(alice, carol, room_id)
        await _speaks_http(alice, people["alice"], server, room_id)
        await _log_out(alice)


async def _registered(server: LiveServer, session: ClientSession, name: str) -> Client:
    client = Client(session, server.url)
    body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
    said = await client.ok("POST", "register", json=body)
    client.user_id, client.device_id, client.access_token = (
        said["user_id"],
        said["device_id"],
        said["access_token"],
    )
    return client


async def _click(tab: Tab, what: str, element: str) -> None:
    """Clicks what a JavaScript expression finds, once it is there."""
    await tab.until(what, element)
    await tab.run(f"({element}).click()")


def _button(text: str) -> str:
    return (
        f"[...document.querySelectorAll('button')].find((one) => one.innerText.trim() === {json.dumps(text)})"
    )


def _says(selector: str, text: str) -> str:
    found = f"[...document.querySelectorAll({json.dumps(selector)})]"
    return f"{found}.find((one) => one.innerText.includes({json.dumps(text)}))"


async def _log_in(tab: Tab, name: str, server: LiveServer) -> None:
    await tab.until("the server was asked how to log in", _says(".LoginView_forwardInfo", server.url))
    await tab.until("a form for the password", "document.querySelector('#password')")
    for password in ("wrong", PASSWORD):
        await tab.type("#username", name)
        await tab.type("#password", password)
        await tab.run("document.querySelector('.PasswordLoginView button[type=submit]').click()")
        if password == "wrong":
            await tab.until("a wrong password is told", _says("body", "Your username and/or password"))
    await tab.until("the first sync is done", "document.querySelector('.SessionView .RoomList')")


async def _enters(tab: Tab, alice: Client, carol: Client) -> str:
    room_id: str = await carol.create_room(name="Tea", invite=[alice.user_id])
    await _click(tab, "the invitation is listed", _says(".RoomList a", "Tea"))
    await tab.until("who invites", _says(".InviteView_inviter", carol.user_id))
    await _click(tab, "one can accept", _button("Accept"))
    await tab.until("the room is shown", "document.querySelector('.RoomView textarea')")
    await tab.until("its history too", _says(".AnnouncementView", 'named the room "Tea"'))
    return room_id


async def _sends(carol: Client, room_id: str, kind: str, content: dict[str, Any]) -> str:
    path = f"rooms/{quote(room_id)}/send/{kind}/t{next(_numbers)}"
    sent: str = (await carol.ok("PUT", path, json=content))["event_id"]
    return sent


async def _types(tab: Tab, text: str) -> None:
    await tab.type(".MessageComposer textarea", text)
    await tab.press_enter()


async def _talks(tab: Tab, carol: Client, room_id: str) -> None:
    first = await _sends(carol, room_id, "m.room.message", {"msgtype": "m.text", "body": "good morning"})
    await tab.until("carol's message", _says(".Timeline_message", "good morning"))
    await _types(tab, "good morning to you")
    await until(carol, lambda: _has(carol, room_id, "good morning to you"))
    annotation = {"rel_type": "m.annotation", "event_id": first, "key": "👋"}
    await _sends(carol, room_id, "m.reaction", {"m.relates_to": annotation})
    await tab.until("carol's reaction", _says(".Timeline_messageReactions button", "👋"))
    oops = await _sends(carol, room_id, "m.room.message", {"msgtype": "m.text", "body": "oops"})
    await tab.until("carol's mistake", _says(".Timeline_message", "oops"))
    await carol.ok("PUT", f"rooms/{quote(room_id)}/redact/{quote(oops)}/r1", json={})
    await tab.until("taken back", f"!({_says('.Timeline_message', 'oops')})")
    await carol.ok("PUT", f"rooms/{quote(room_id)}/state/m.room.name", json={"name": "Coffee"})
    await tab.until("the room's new name", _says(".RoomHeader h2", "Coffee"))


async def _has(carol: Client, room_id: str, body: str) -> bool | None:
    page = await carol.ok("GET", f"rooms/{quote(room_id)}/messages", params={"dir": "b", "limit": 20})
    return True if any(event["content"].get("body") == body for event in page["chunk"]) else None


async def _scrolls(tab: Tab, carol: Client, room_id: str) -> None:
    await _click(tab, "the room can be closed", "document.querySelector('.close-middle')")
    for number in range(60):
        await _sends(carol, room_id, "m.room.message", {"msgtype": "m.text", "body": f"number {number}"})
    await tab.until("the unread count", "document.querySelector('.RoomList .badge')?.innerText >= '1'")
    await _click(tab, "the room is opened", _says(".RoomList a", "Coffee"))
    await tab.until("the last message", _says(".Timeline_message", "number 59"))
    await tab.until("all is read", "!document.querySelector('.RoomList .badge:not(.hidden)')?.innerText")


async def _speaks_http(tab: Tab, alice: Client, server: LiveServer, room_id: str) -> None:
    """What a page of another origin may do: requests with a token, and /sync over a WebSocket."""
    token, base = json.dumps(alice.access_token), json.dumps(server.url)
    put = f"""fetch({base} + "/_matrix/client/v3/rooms/{quote(room_id)}/typing/{quote(alice.user_id)}", {{
        method: "PUT", body: '{{"typing": true, "timeout": 1000}}',
        headers: {{ "Authorization": "Bearer " + {token}, "Content-Type": "application/json" }},
    }}).then((reply) => reply.status)"""
    assert await tab.run(put) == 200
    refused = (
        f'fetch({base} + "/_matrix/client/v3/account/whoami").then((r) => r.json()).then((e) => e.errcode)'
    )
    assert await tab.run(refused) == "M_MISSING_TOKEN"
    socket = f"""new Promise((done, failed) => {{
        const path = "/_matrix/client/unstable/chat.hearth.sync_websocket";
        const named = ["chat.hearth.sync", "access_token." + {token}];
        const socket = new WebSocket({base}.replace("http", "ws") + path, named);
        socket.onmessage = (event) => (done(event.data), socket.close());
        socket.onerror = () => failed(new Error("no socket"));
    }})"""
    assert room_id in await tab.run(socket)


async def _log_out(tab: Tab) -> None:
    await _click(tab, "the settings", "document.querySelector('a.settings')")
    await _click(tab, "to log out", _button("Log out"))
    await _click(tab, "sure", _button("Log out"))
    await tab.until(
        "the login page",
        "document.querySelector('#username') || document.querySelector('.SessionPickerView')",
    )


async def _picture(tab: Tab, name: str) -> None:
    if PICTURES:
        await tab.picture(Path(PICTURES) / f"{name}.png")
