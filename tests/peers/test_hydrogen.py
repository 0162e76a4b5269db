"""Hydrogen in Chromium: Alice in the browser; Carol, who is in none; and Dave, at a device with encryption."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession, ClientTimeout

from tests.fixtures.client import Client
from tests.fixtures.live import LiveServer, live_server
from tests.peers.chromium import LONG, PROGRAM, Tab, chromium
from tests.peers.hydrogen import PACKAGE, hydrogen
from tests.peers.onpage import (
    Checks,
    button,
    choose,
    downloaded,
    message,
    picture,
    press,
    red_picture,
    registered,
    related,
    says,
    uploaded,
)
from tests.peers.peer import PASSWORD
from tests.peers.secret import Secret, secret

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium (on Debian: apt install chromium)"),
    pytest.mark.skipif(not PACKAGE.is_dir(), reason="scripts/test installs Hydrogen, with npm"),
]
_ROOMS = ".RoomList a"
_SAID = ".Timeline_message"
_NUMBERS = 60


@dataclass
class Scene:
    """Who is there, and Alice's page."""

    server: LiveServer
    tab: Tab
    alice: Client
    carol: Client
    dave: Secret
    checks: Checks = field(default_factory=Checks)
    room_id: str = ""

    async def seen(self, what: str, expression: str) -> None:
        """Counts what is to be seen on Alice's page."""
        await self.checks.seen(what, self.tab, expression)

    async def types(self, text: str) -> None:
        """Alice writes in the room that she looks at."""
        await self.tab.type(".MessageComposer textarea", text)
        await self.tab.press("Enter")

    async def chooses(self, text: str, option: str) -> None:
        """Alice takes something from the menu of a message."""
        options = f"{says(_SAID, text)}?.querySelector('.Timeline_messageOptions')"
        await choose(self.tab, f"{option} in the menu of {text!r}", button(option), f"{options}?.click()")

    async def opens(self, name: str) -> None:
        """Alice looks at a room."""
        await press(self.tab, f"{name} is listed", says(_ROOMS, name))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with live_server(tmp_path / "server", "--open-registration") as running:
        yield running


async def test_people_in_browsers_talk(server: LiveServer, tmp_path: Path) -> None:
    async with (
        ClientSession(timeout=ClientTimeout(LONG)) as session,
        secret(server, "dave", tmp_path) as dave,
        hydrogen(tmp_path) as page,
        chromium(tmp_path) as browser,
        browser.tab(f"{page}?on={quote(server.url)}") as tab,
    ):
        alice, carol = [await registered(server, session, name) for name in ("alice", "carol")]
        scene = Scene(server, tab, alice, carol, dave)
        for part in (_log_in, _enters, _talks, _acts, _shows_pictures, _scrolls, _keeps_secrets, _comes_back):
            await part(scene)
        await _details(scene)
        await _speaks_http(scene)
        await _log_out(scene)
        assert len(scene.checks.done) >= 40, scene.checks.done


async def _log_in(scene: Scene) -> None:
    tab = scene.tab
    await scene.seen("the server was asked how to log in", says(".LoginView_forwardInfo", scene.server.url))
    await scene.seen("a form for the password", "document.querySelector('#password')")
    for password in ("wrong", PASSWORD):
        await tab.type("#username", "alice")
        await tab.type("#password", password)
        await tab.run("document.querySelector('.PasswordLoginView button[type=submit]').click()")
        if password == "wrong":
            await scene.seen("a wrong password is told", says("body", "Your username and/or password"))
    await scene.seen("the first sync is done", "document.querySelector('.SessionView .RoomList')")


async def _enters(scene: Scene) -> None:
    alice, carol = scene.alice, scene.carol
    scene.room_id = await carol.create_room(name="Tea", invite=[alice.user_id])
    await scene.seen("the invitation is listed", says(_ROOMS, "Tea"))
    await scene.opens("Tea")
    await scene.seen("who invites", says(".InviteView_inviter", carol.user_id))
    await press(scene.tab, "one can accept", button("Accept"))
    await scene.seen("the room is shown", "document.querySelector('.RoomView textarea')")
    await scene.seen("its history too", says(".AnnouncementView", 'named the room "Tea"'))
    membership = await carol.state(scene.room_id, "m.room.member", alice.user_id)
    scene.checks.so("carol knows that alice is there", membership["membership"] == "join")


async def _talks(scene: Scene) -> None:
    carol, room_id = scene.carol, scene.room_id
    first = await carol.send(room_id, "good morning")
    await scene.seen("carol's message", says(_SAID, "good morning"))
    await scene.types("good morning to you")
    answer = await _written(scene, "alice's message, at carol's", "good morning to you")
    scene.checks.so("sent by alice", answer["sender"] == scene.alice.user_id)
    annotation = {"rel_type": "m.annotation", "event_id": first, "key": "👋"}
    await carol.send(room_id, {"m.relates_to": annotation}, "m.reaction")
    await scene.seen("carol's reaction", says(".Timeline_messageReactions button", "👋"))
    oops = await carol.send(room_id, "oops")
    await scene.seen("carol's mistake", says(_SAID, "oops"))
    await carol.redact(room_id, oops)
    await scene.seen("taken back", f"!({says(_SAID, 'oops')})")
    await carol.set_state(room_id, "m.room.name", {"name": "Coffee"})
    await scene.seen("the room's new name", says(".RoomHeader h2", "Coffee"))


async def _written(scene: Scene, what: str, body: str) -> dict[str, Any]:
    """Alice's message with this body, when it has come to Carol."""
    found = await scene.checks.told(
        what,
        scene.carol,
        lambda: message(scene.carol, scene.room_id, lambda event: event["content"].get("body") == body),
    )
    assert found is not None
    return found


async def _acts(scene: Scene) -> None:
    """What Alice does with messages."""
    carol, room_id, checks = scene.carol, scene.room_id, scene.checks
    question = await carol.send(room_id, "with milk?")
    await scene.chooses("with milk?", "👍")
    reactions = await checks.told(
        "alice's reaction", carol, lambda: related(carol, room_id, question, "m.annotation")
    )
    checks.so("its key", reactions[0]["content"]["m.relates_to"]["key"] == "👍")
    await scene.chooses("with milk?", "Reply")
    await scene.types("and sugar")
    reply = await checks.told(
        "alice's reply",
        carol,
        lambda: message(carol, room_id, lambda e: "and sugar" in e["content"].get("body", "")),
    )
    relation = reply["content"]["m.relates_to"] if reply else {}
    checks.so("to the question", relation["m.in_reply_to"]["event_id"] == question)
    await scene.types("sorry")
    sorry = await _written(scene, "alice's mistake", "sorry")
    await scene.chooses("sorry", "Delete")
    taken = f"rooms/{quote(room_id)}/event/{quote(sorry['event_id'])}"

    async def gone() -> bool:
        return not (await carol.ok("GET", taken))["content"]

    await checks.told("taken back by alice", carol, gone)


async def _shows_pictures(scene: Scene) -> None:
    carol, checks, data = scene.carol, scene.checks, red_picture()
    content = {"msgtype": "m.image", "body": "red.png", "url": await uploaded(carol, data)}
    content["info"] = {"w": 320, "h": 240, "mimetype": "image/png", "size": len(data)}  # type: ignore[assignment]
    await carol.send(scene.room_id, content)
    drawn = "[...document.querySelectorAll('.Timeline img')].find((one) => one.alt === 'red.png' && one.naturalWidth)"
    await scene.seen("carol's picture, through the service worker", f"({drawn})?.naturalWidth === 320")
    worked = "navigator.serviceWorker.controller.scriptURL.endsWith('/sw.js')"
    checks.so("which asked with alice's token", await scene.tab.run(worked))
    address = await scene.tab.run(f"({drawn}).src")
    status, _ = await Client(carol.session, carol.url).get(address.removeprefix(carol.url))
    checks.so("nobody else may", "/_matrix/client/v1/media/thumbnail/" in address and status == 401)
    file = scene.server.folder / "blue.png"
    file.write_bytes(red_picture(64, 48))
    async with scene.tab.choosing(file):
        await press(scene.tab, "an attachment", "document.querySelector('.sendFile')")
        await press(scene.tab, "a picture", button("Send picture"))
    sent = await _written(scene, "alice's picture", "blue.png")
    checks.so("its size is told", (sent["content"]["info"]["w"], sent["content"]["info"]["h"]) == (64, 48))
    status, _ = await downloaded(carol, sent["content"]["url"])
    checks.so("carol can fetch it", status == 200)
    await picture(scene.tab, "hydrogen-pictures")


async def _scrolls(scene: Scene) -> None:
    """Alice's page is closed while much is said: a gap in her timeline, which she closes by scrolling back."""
    tab, carol = scene.tab, scene.carol
    await press(tab, "the room can be closed", "document.querySelector('.close-middle')")
    address = await tab.run("location.href")
    await tab.go("about:blank")
    for number in range(_NUMBERS):
        await carol.send(scene.room_id, f"number {number}.")
    await tab.go(address)
    await scene.seen("the session is kept when the page is loaded anew", says(_ROOMS, "Coffee"))
    await scene.seen("the unread count", "document.querySelector('.RoomList .badge')?.innerText >= '1'")
    await scene.opens("Coffee")
    await scene.seen("the last message", says(_SAID, f"number {_NUMBERS - 1}."))
    await scene.seen("all is read", "!document.querySelector('.RoomList .badge:not(.hidden)')?.innerText")
    await tab.until("the history is scrolled back to its begin", _SCROLLED_BACK)
    shown = await tab.run(f"[...document.querySelectorAll('{_SAID}')].map((one) => one.innerText).join('|')")
    places = [shown.find(f"number {number}.") for number in range(_NUMBERS)]
    scene.checks.so(
        "sixty messages back, in order and none twice", places == sorted(places) and places[0] >= 0
    )
    scene.checks.so("and each is there once", all(shown.count(f"number {n}.") == 1 for n in range(_NUMBERS)))


_SCROLLED_BACK = f"""(() => {{
    const view = document.querySelector('.Timeline_scroller');
    view.scrollTop = view.scrollTop > 1 ? 0 : 400;
    return !document.querySelector('.GapView') && {says(_SAID, "number 0.")} && document.querySelector("img[alt='blue.png']");
}})()"""
"""Up, and up again: what is fetched for a gap is put above, and only a movement shows it."""


async def _keeps_secrets(scene: Scene) -> None:
    dave, checks = scene.dave, scene.checks
    room_id = await dave.creates("Vault", scene.alice.user_id)
    await scene.opens("Vault")
    await press(scene.tab, "one can accept dave's", button("Accept"))
    await scene.seen("that it is encrypted", says(".AnnouncementView", "has enabled end-to-end encryption"))
    await dave.knows(room_id, scene.alice.user_id)
    await dave.says(room_id, "a secret")
    await scene.seen("dave's secret", says(_SAID, "a secret"))
    await scene.types("well kept")
    await dave.reads("well kept")
    checks.so("alice's secret, at dave's", not dave.failed)
    stored = await scene.alice.messages(room_id)
    checks.so("the server knows none", not any("secret" in json.dumps(event["content"]) for event in stored))


async def _comes_back(scene: Scene) -> None:
    await scene.tab.reload()
    await scene.seen("the rooms after a reload", f"{says(_ROOMS, 'Coffee')} && {says(_ROOMS, 'Vault')}")
    await scene.seen("the room that was open", says(".RoomHeader h2", "Vault"))
    await scene.seen("secrets can still be read", f"{says(_SAID, 'a secret')} && {says(_SAID, 'well kept')}")
    await scene.types("still here")
    await scene.dave.reads("still here")
    scene.checks.so("and written", not scene.dave.failed)
    await picture(scene.tab, "hydrogen-secret")


async def _details(scene: Scene) -> None:
    tab = scene.tab
    await press(tab, "options of the room", "document.querySelector('.room-options')")
    await press(tab, "its details", button("Room details"))
    await scene.seen("who is there is counted", says(".RoomDetailsView_row", "2"))
    await press(tab, "they are listed", says("button.RoomDetailsView_row", "People"))
    await scene.seen("dave is listed", says(".MemberListView, .RightPanelView", "dave"))


async def _speaks_http(scene: Scene) -> None:
    """What a page of another origin may do: requests with a token, and /sync over a WebSocket."""
    tab, alice, room_id = scene.tab, scene.alice, scene.room_id
    token, base = json.dumps(alice.access_token), json.dumps(scene.server.url)
    put = f"""fetch({base} + "/_matrix/client/v3/rooms/{quote(room_id)}/typing/{quote(alice.user_id)}", {{
        method: "PUT", body: '{{"typing": true, "timeout": 1000}}',
        headers: {{ "Authorization": "Bearer " + {token}, "Content-Type": "application/json" }},
    }}).then((reply) => reply.status)"""
    scene.checks.so("a page of another origin may ask", await tab.run(put) == 200)
    refused = (
        f'fetch({base} + "/_matrix/client/v3/account/whoami").then((r) => r.json()).then((e) => e.errcode)'
    )
    scene.checks.so("and reads what is refused", await tab.run(refused) == "M_MISSING_TOKEN")
    socket = f"""new Promise((done, failed) => {{
        const path = "/_matrix/client/unstable/chat.hearth.sync_websocket";
        const named = ["chat.hearth.sync", "access_token." + {token}];
        const socket = new WebSocket({base}.replace("http", "ws") + path, named);
        socket.onmessage = (event) => (done(event.data), socket.close());
        socket.onerror = () => failed(new Error("no socket"));
    }})"""
    scene.checks.so("/sync over a WebSocket", room_id in await tab.run(socket))


async def _log_out(scene: Scene) -> None:
    tab, alice = scene.tab, scene.alice
    before = len((await alice.ok("GET", "devices"))["devices"])
    await press(tab, "the settings", "document.querySelector('a.settings')")
    await press(tab, "to log out", button("Log out"))
    await press(tab, "sure", button("Log out"))
    await scene.seen(
        "the login page",
        "document.querySelector('#username') || document.querySelector('.SessionPickerView')",
    )

    async def gone() -> bool:
        return len((await alice.ok("GET", "devices"))["devices"]) == before - 1

    await scene.checks.told("her device is gone", alice, gone)
