"""SIGKILL, to the server or to PostgreSQL, while twenty clients send: every event ID that was given out stays good.

The clients do what real ones do: when a send fails they try again with the same transaction ID until it is acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from tests.fixtures.live import LiveServer, live_server

CLIENTS, MESSAGES = 20, 30


class Sender:
    """A client that numbers its messages, and remembers the event ID of each."""

    def __init__(self, session: aiohttp.ClientSession, server: LiveServer, name: str) -> None:
        self.session, self.server, self.name = session, server, name
        self.acknowledged: list[str] = []
        self.progress = asyncio.Event()
        self.headers: dict[str, str] = {}

    async def register(self) -> None:
        body = {"username": self.name, "password": "correct horse battery", "auth": {"type": "m.login.dummy"}}
        reply = await self.call(
            "POST", "/register", {k: v for k, v in body.items() if k != "auth"}, expect=401
        )
        body["auth"] = {"type": "m.login.dummy", "session": reply["session"]}
        account = await self.call("POST", "/register", body)
        self.headers = {"Authorization": f"Bearer {account['access_token']}"}

    async def call(self, method: str, path: str, body: object = None, expect: int = 200) -> dict[str, object]:
        url = f"{self.server.url}/_matrix/client/v3{path}"
        async with self.session.request(method, url, json=body, headers=self.headers) as reply:
            answer: dict[str, object] = await reply.json()
            assert reply.status == expect, answer
            return answer

    async def send(self, room_id: str, number: int) -> str:
        """The event ID, whatever happens on the way."""
        path = f"/rooms/{quote(room_id)}/send/m.room.message/{self.name}-{number}"
        content = {"msgtype": "m.text", "body": f"{self.name} {number}"}
        while True:
            try:
                return str((await self.call("PUT", path, content))["event_id"])
            except (aiohttp.ClientError, AssertionError, TimeoutError):
                await asyncio.sleep(0.05)

    async def talk(self, room_id: str) -> None:
        for number in range(MESSAGES):
            self.acknowledged.append(await self.send(room_id, number))
            self.progress.set()


async def _everything_said(sender: Sender, room_id: str) -> list[tuple[str, str]]:
    """All (event ID, body) of the room, oldest first."""
    said: list[tuple[str, str]] = []
    token = ""
    while True:
        page = await sender.call("GET", f"/rooms/{quote(room_id)}/messages?dir=f&limit=100{token}")
        chunk = page["chunk"]
        assert isinstance(chunk, list)
        said += [
            (event["event_id"], event["content"]["body"])
            for event in chunk
            if event["type"] == "m.room.message"
        ]
        if "end" not in page:
            return said
        token = f"&from={page['end']}"


async def _kill_server(server: LiveServer) -> None:
    await server.kill()
    await server.start()


async def _kill_postgres(server: LiveServer) -> None:
    """Kills the postmaster; the server has to notice, to wait for the recovery and to go on."""
    pid_file = next((server.folder / "data").rglob("postmaster.pid"))
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)


@pytest.mark.parametrize("kill", [_kill_server, _kill_postgres], ids=["server", "postgres"])
async def test_what_was_acknowledged_is_there_once_and_in_order(
    tmp_path: Path, kill: Callable[[LiveServer], Awaitable[None]]
) -> None:
    chance = random.Random(7)
    timeout = aiohttp.ClientTimeout(total=20)
    async with (
        live_server(tmp_path, "--open-registration") as server,
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        senders = [Sender(session, server, f"sender{number}") for number in range(CLIENTS)]
        for sender in senders:
            await sender.register()
        created = await senders[0].call("POST", "/createRoom", {"preset": "public_chat"})
        room_id = str(created["room_id"])
        for sender in senders[1:]:
            await sender.call("POST", f"/rooms/{quote(room_id)}/join", {})

        talking = [asyncio.create_task(sender.talk(room_id)) for sender in senders]
        for _ in range(3):
            await _some_more(senders, chance.randrange(40, 120))
            await kill(server)
        await asyncio.wait_for(asyncio.gather(*talking), 120)

        said = await _everything_said(senders[0], room_id)
        _holds(senders, said)
        for sender in senders:
            assert await sender.send(room_id, MESSAGES - 1) == sender.acknowledged[-1]
        assert await _everything_said(senders[0], room_id) == said


async def _some_more(senders: list[Sender], count: int) -> None:
    """Returns when so many more messages have been acknowledged."""
    target = sum(len(sender.acknowledged) for sender in senders) + count
    while sum(len(sender.acknowledged) for sender in senders) < target:
        for sender in senders:
            sender.progress.clear()
        waits = [asyncio.create_task(sender.progress.wait()) for sender in senders]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


def _holds(senders: list[Sender], said: list[tuple[str, str]]) -> None:
    assert len(said) == len(set(said)) == CLIENTS * MESSAGES
    for sender in senders:
        mine = [(event_id, body) for event_id, body in said if body.startswith(f"{sender.name} ")]
        assert mine == [(event_id, f"{sender.name} {n}") for n, event_id in enumerate(sender.acknowledged)]
