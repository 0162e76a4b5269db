"""A bot made with nio-bot, a framework for bots: it enters where it is invited, and answers commands in a room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

niobot = pytest.importorskip("niobot", reason="nio-bot needs libmagic, which is not here")

from aiohttp import ClientSession  # noqa: E402

from tests.fixtures.client import Client  # noqa: E402
from tests.fixtures.live import LiveServer, live_server  # noqa: E402
from tests.peers.peer import PASSWORD  # noqa: E402
from tests.peers.stage import member, until  # noqa: E402

pytestmark = pytest.mark.peers


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with live_server(tmp_path / "server", "--open-registration") as running:
        yield running


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


def _bot(server: LiveServer, user_id: str, store: Path) -> Any:
    store.mkdir()
    bot = niobot.NioBot(server.url, user_id, "BOT", str(store), command_prefix="!", ssl=False)

    @bot.command()
    async def add(ctx: Any, one: int, other: int) -> None:
        """The sum."""
        await ctx.respond(f"it is {one + other}")

    @bot.command()
    async def react(ctx: Any) -> None:
        """A reaction, an edit."""
        await bot.add_reaction(ctx.room, ctx.message, "✅")
        sent = await ctx.respond("wrong")
        await sent.edit("right")

    return bot


async def test_a_bot_answers(server: LiveServer, tmp_path: Path) -> None:
    async with ClientSession() as session:
        alice = await _registered(server, session, "alice")
        helper = await _registered(server, session, "helper")
        bot = _bot(server, helper.user_id, tmp_path / "store")
        running = asyncio.create_task(bot.start(password=PASSWORD))
        try:
            await _ask(alice, helper)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await bot.close()


async def _ask(alice: Client, helper: Client) -> None:
    room_id = await alice.create_room(preset="private_chat", invite=[helper.user_id])
    await member(alice, room_id, helper, "join")
    asked = await alice.send(room_id, "!add 19 23")
    answer = await _said(alice, room_id, helper, "it is 42")
    assert answer["content"]["msgtype"] == "m.notice"
    assert answer["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == asked
    marked = await alice.send(room_id, "!react")
    edited = await _said(alice, room_id, helper, "right")
    assert edited["content"]["m.relates_to"]["rel_type"] == "m.replace"
    path = f"rooms/{quote(room_id)}/relations/{quote(marked)}/m.annotation"
    reactions = (await alice.request("GET", f"/_matrix/client/v1/{path}"))[1]["chunk"]
    assert [event["content"]["m.relates_to"]["key"] for event in reactions] == ["✅"]
    await alice.send(room_id, "!help")
    await _said(alice, room_id, helper, "react")


async def _said(alice: Client, room_id: str, helper: Client, text: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        page = await alice.ok("GET", f"rooms/{quote(room_id)}/messages", params={"dir": "b", "limit": 20})
        events = (event for event in page["chunk"] if event["sender"] == helper.user_id)
        return next((event for event in events if text in event["content"].get("body", "")), None)

    return await until(alice, look)
