"""A file of 50 MiB goes up and down without being held: the server's memory does not grow with it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from benchmarks.process import rss_kib
from tests.durability.test_kill import Sender
from tests.fixtures.live import live_server

MIB = 1024 * 1024
SIZE = 50 * MIB


async def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    piece = os.urandom(MIB)

    async def pieces(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // MIB):
            yield piece

    async with live_server(tmp_path, "--open-registration") as server, aiohttp.ClientSession() as session:
        alice = Sender(session, server, "alice")
        await alice.register()
        assert server.process is not None

        async def there_and_back(size: int) -> None:
            url = f"{server.url}/_matrix/media/v3/upload"
            async with session.post(url, data=pieces(size), headers=alice.headers) as reply:
                media = (await reply.json())["content_uri"].removeprefix("mxc://")
            url = f"{server.url}/_matrix/client/v1/media/download/{media}"
            async with session.get(url, headers=alice.headers) as reply:
                came = 0
                async for chunk in reply.content.iter_any():
                    came += len(chunk)
            assert came == size

        await there_and_back(2 * MIB)  # what is needed for any file is there
        before = rss_kib(server.process.pid)
        await there_and_back(SIZE)
        assert rss_kib(server.process.pid) - before < 8 * 1024
