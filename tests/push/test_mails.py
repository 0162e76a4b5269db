"""Mails about missed messages: one after a while, of what is unread then, until nobody wants them any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.settings import HOUR, MINUTE
from tests.client_api.email import shows
from tests.client_api.test_unread import read
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.mail import MailServer, mail_server
from tests.fixtures.time import FakeClock

ADDRESS = "bob@example.org"
PUSHER = {
    "app_id": "m.email",
    "pushkey": ADDRESS,
    "kind": "email",
    "app_display_name": "Mail",
    "device_display_name": ADDRESS,
    "lang": "en",
    "data": {},
}


@dataclass
class Scene:
    """Alice and Bob in a room, a mail server, and a clock."""

    alice: Client
    bob: Client
    room: str
    server: MailServer
    clock: FakeClock

    async def waits(self, milliseconds: int) -> None:
        """So much time passes."""
        self.clock.advance(milliseconds)
        await asyncio.sleep(0.2)

    async def hears_nothing(self) -> None:
        """No mail has come."""
        await asyncio.sleep(0.3)
        assert self.server.mails.empty()


@pytest.fixture
async def scene(make_homeserver: MakeHomeserver) -> AsyncIterator[Scene]:
    """Bob's address is known, and he wants mails."""
    async with mail_server() as server:
        clock = FakeClock()
        homeserver: Homeserver = await make_homeserver(clock=clock, mail=server.settings(service="The Hut"))
        alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
        room = await alice.create_room(preset="public_chat", name="The <hall>")
        await bob.join(room)
        status, body = await bob.post("pushers/set", PUSHER)
        assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")
        session = await shows(bob, server, "account/3pid", ADDRESS)
        auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": bob.user_id}}
        add = session | {"auth": auth | {"password": bob.password}}
        status, said = await bob.post("account/3pid/add", add)
        if status == 401:
            add["auth"]["session"] = said["session"]
            await bob.ok("POST", "account/3pid/add", json=add)
        await bob.ok("POST", "pushers/set", json=PUSHER)
        yield Scene(alice, bob, room, server, clock)


async def test_what_is_unread_for_an_hour_comes_in_one_mail(scene: Scene) -> None:
    seen = await scene.alice.send(scene.room, "good morning")
    await read(scene.bob, scene.room, seen)
    for text in ("are you there?", "<b>really?</b>"):
        await scene.alice.send(scene.room, text)
    encrypted = await scene.alice.create_room(preset="public_chat", name="Cellar")
    await scene.bob.join(encrypted)
    await scene.alice.set_state(encrypted, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    await scene.alice.send(encrypted, {"ciphertext": "secret"}, "m.room.encrypted")
    await asyncio.sleep(0.3)
    await scene.waits(30 * MINUTE)
    await scene.hears_nothing()
    await scene.waits(31 * MINUTE)
    mail = await scene.server.next()
    assert mail.recipients == [ADDRESS]
    assert mail.message["Subject"] == "3 unread messages at The Hut"
    plain, html = mail.part("plain"), mail.part("html")
    for part in ("The <hall>", ": are you there?", ": <b>really?</b>", "Cellar", ": sent a message"):
        assert part in plain, plain
    assert "good morning" not in plain
    assert "&lt;b&gt;really?&lt;/b&gt;" in html
    assert "secret" not in plain + html


async def test_what_was_read_meanwhile_is_not_mailed(scene: Scene) -> None:
    sent = await scene.alice.send(scene.room, "hello")
    await asyncio.sleep(0.3)
    await read(scene.bob, scene.room, sent)
    await scene.waits(61 * MINUTE)
    await scene.hears_nothing()
    await scene.alice.send(scene.room, "hello again")
    await asyncio.sleep(0.3)
    await scene.waits(61 * MINUTE)
    assert "hello again" in (await scene.server.next()).part("plain")


async def test_a_room_is_mailed_of_ever_more_rarely(scene: Scene) -> None:
    waited: list[int] = []
    for number in range(4):
        await scene.alice.send(scene.room, f"number {number}")
        await asyncio.sleep(0.3)
        minutes = 0
        while scene.server.mails.empty():
            minutes += 15
            await scene.waits(15 * MINUTE)
            assert minutes < 24 * 60
        assert f"number {number}" in (await scene.server.next()).part("plain")
        waited.append(minutes)
    assert waited[0] <= waited[1] <= 75 < waited[3]


async def test_the_link_ends_it_without_a_login(scene: Scene) -> None:
    await scene.alice.send(scene.room, "hello")
    await asyncio.sleep(0.3)
    await scene.waits(HOUR + MINUTE)
    mail = await scene.server.next()
    assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = urlsplit(mail.message["List-Unsubscribe"].strip("<>"))
    path = f"{link.path}?{link.query}"
    nobody = Client(scene.bob.session, scene.bob.url)
    status, page = await nobody.get(path)
    assert (status, b"<form" in page) == (200, True)

    async def pushers() -> list[Any]:
        return list((await scene.bob.ok("GET", "pushers"))["pushers"])

    assert len(await pushers()) == 1
    status, _ = await nobody.request("POST", path.replace("bob%40", "eve%40"), data={})
    assert status == 403
    status, _ = await nobody.request("POST", path, data={"List-Unsubscribe": "One-Click"})
    assert status == 200
    assert await pushers() == []
    await scene.alice.send(scene.room, "hello again")
    await asyncio.sleep(0.3)
    await scene.waits(48 * HOUR)
    await scene.hears_nothing()
