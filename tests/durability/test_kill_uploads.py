"""SIGKILL while twenty clients upload: every file that was acknowledged is there whole, and nothing else is left."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.durability.test_kill import Sender
from tests.fixtures.live import LiveServer, live_server

CLIENTS, ROUNDS, CHUNK = 20, 3, 64 * 1024


class Uploader(Sender):
    """A client that uploads files of its own, and remembers what it was told of each."""

    def __init__(self, session: aiohttp.ClientSession, server: LiveServer, name: str) -> None:
        super().__init__(session, server, name)
        self.chance = random.Random(name)
        self.files: dict[str, bytes] = {}

    async def upload(self) -> None:
        data = self.chance.randbytes(self.chance.choice((100, 50_000, 3_000_000)))

        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(data), CHUNK):
                yield data[at : at + CHUNK]
                await asyncio.sleep(0)

        url = f"{self.server.url}/_matrix/media/v3/upload"
        async with self.session.post(url, data=pieces(), headers=self.headers) as reply:
            assert reply.status == 200, await reply.text()
            uri = str((await reply.json())["content_uri"])
        self.files[uri.removeprefix("mxc://")] = hashlib.sha256(data).digest()
        self.progress.set()

    async def go_on(self) -> None:
        while True:
            try:
                await self.upload()
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.05)


async def test_acknowledged_files_are_there_and_nothing_is_left(tmp_path: Path) -> None:
    chance = random.Random(11)
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        live_server(tmp_path, "--open-registration") as server,
        aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        uploaders = [Uploader(session, server, f"uploader{number}") for number in range(CLIENTS)]
        for uploader in uploaders:
            await uploader.register()
        tasks = [asyncio.create_task(uploader.go_on()) for uploader in uploaders]
        for _ in range(ROUNDS):
            await _some_more(uploaders, chance.randrange(10, 40))
            await server.kill()
            assert not all(task.done() for task in tasks)
            await server.start()
        await _some_more(uploaders, 10)
        await server.kill()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

        media = next((tmp_path / "data" / "media").iterdir())
        await server.start()
        assert not list((media / "incoming").iterdir())
        held = {path.name: path for path in media.rglob("*") if path.is_file()}
        for name, path in held.items():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == name
        assert sum(len(uploader.files) for uploader in uploaders) >= 40
        for uploader in uploaders:
            for file, digest in uploader.files.items():
                url = f"{server.url}/_matrix/client/v1/media/download/{file}"
                async with session.get(url, headers=uploader.headers) as reply:
                    assert (reply.status, hashlib.sha256(await reply.read()).digest()) == (200, digest)


async def _some_more(uploaders: list[Uploader], count: int) -> None:
    """Returns when so many more files have been acknowledged."""
    target = sum(len(uploader.files) for uploader in uploaders) + count
    while sum(len(uploader.files) for uploader in uploaders) < target:
        for uploader in uploaders:
            uploader.progress.clear()
        waits = [asyncio.create_task(uploader.progress.wait()) for uploader in uploaders]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
