"""Files of 50 MB up and down, and thumbnails, against Synapse; and aiohttp serving the same file from disk."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.http import Connection
from benchmarks.measure import HEADER, Cost, measure
from benchmarks.peers import SERVER_CORE, Server, free_port, hearth, pin, synapse
from benchmarks.process import rss_kib

SIZE = 50_000_000
MIB = 1024 * 1024
PIECE = 256 * 1024
_STATIC = """
import sys
from aiohttp import web
app = web.Application()
app.router.add_get("/file", lambda _: web.FileResponse(sys.argv[2]))
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


async def _up(connection: Connection, data: bytes, content_type: str) -> str:
    """`server/media ID` of an upload; the file goes out in pieces."""
    reader, writer = await asyncio.open_connection("127.0.0.1", connection.port)
    head = (
        f"POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: localhost:{connection.port}\r\nConnection: close\r\n"
        f"Authorization: Bearer {connection.token}\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    writer.write(head.encode())
    for at in range(0, len(data), PIECE):
        writer.write(data[at : at + PIECE])
        await writer.drain()
    answer = await reader.read()
    writer.close()
    assert b" 200 " in answer[:20], answer[:500]
    return answer.partition(b"mxc://")[2].partition(b'"')[0].decode()


async def _down(port: int, path: str, token: str | None = None) -> int:
    """How many bytes come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4 * MIB)
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{authorization}\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head[:20], head
    size = 0
    while chunk := await reader.read(MIB):
        size += len(chunk)
    writer.close()
    return size


def _photograph(number: int) -> bytes:
    """A photograph of 12 megapixels is too slow for many: one of 2, different each time."""
    noise = Image.effect_noise((160, 120), 60).resize((1600, 1200))
    image = Image.merge(
        "RGB", (noise, noise.rotate(number % 360), noise.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    )
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue() + number.to_bytes(4)


async def _costs(server: Server, scale: float) -> dict[str, Any]:
    me = await server.user()
    await _up(me, os.urandom(1000), "application/octet-stream")  # all is loaded
    times = max(2, int(8 * scale))
    files = [os.urandom(SIZE) for _ in range(times)]
    uploaded: list[str] = []
    before = rss_kib(server.process.pid)

    async def up(_: int, number: int) -> None:
        uploaded.append(await _up(me, files[number], "application/octet-stream"))

    async def down(_: int, number: int) -> None:
        path = f"/_matrix/client/v1/media/download/{uploaded[number]}"
        assert await _down(server.port, path, me.token) == SIZE

    costs = {"upload": await measure(server, times, 1, up), "download": await measure(server, times, 1, down)}
    grown = rss_kib(server.process.pid) - before
    pictures = [_photograph(number) for number in range(max(8, int(100 * scale)))]
    shown: list[str] = []

    async def add(_: int, number: int) -> None:
        shown.append(await _up(me, pictures[number], "image/jpeg"))

    async def smaller(_: int, number: int) -> None:
        path = f"/_matrix/client/v1/media/thumbnail/{shown[number % len(shown)]}?width=320&height=240&method=scale"
        assert await _down(server.port, path, me.token) > 1000

    async def add_and_show(me_: int, number: int) -> None:
        await add(me_, number)
        await smaller(me_, number)

    costs["a picture and its thumbnail"] = await measure(server, len(pictures), 4, add_and_show)
    costs["a thumbnail again"] = await measure(server, 5 * len(pictures), 4, smaller)
    return _told(server, costs, grown)


def _told(server: Server, costs: dict[str, Cost], grown: int) -> dict[str, Any]:
    for name, cost in costs.items():
        print(cost.row(f"{server.name}, {name}"))
    mib = SIZE / MIB
    up, down = costs["upload"].cpu.total / mib, costs["download"].cpu.total / mib
    print(f"{server.name}: {up:.2f} ms of CPU a MiB up, {down:.2f} down; grown by {grown} KiB\n")
    figures: dict[str, Any] = {name: cost.figures() for name, cost in costs.items()}
    return figures | {"up_ms_a_mib": up, "down_ms_a_mib": down, "grown_kib": grown}


async def _beside_static(server: Server, times: int) -> dict[str, float]:
    """How fast (files a second, the median) we and aiohttp alone give out such a file, in turns."""
    me = await server.user()
    data = os.urandom(SIZE)
    ours = f"/_matrix/client/v1/media/download/{await _up(me, data, 'application/octet-stream')}"
    with tempfile.TemporaryDirectory(prefix="static-bench-") as name:
        file, port = Path(name) / "file", free_port()
        file.write_bytes(data)
        command = [sys.executable, "-c", _STATIC, str(port), str(file)]
        process = subprocess.Popen(command, preexec_fn=lambda: pin(SERVER_CORE))
        try:
            await _answering(port)
            took: dict[str, list[float]] = {"hearth": [], "aiohttp": []}
            for _ in range(times):
                for who, where, path in (("hearth", server.port, ours), ("aiohttp", port, "/file")):
                    began = time.perf_counter()
                    assert await _down(where, path, me.token) == SIZE
                    took[who].append(time.perf_counter() - began)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
    return {who: round(1 / statistics.median(times), 1) for who, times in took.items()}


async def _answering(port: int) -> None:
    for _ in range(200):
        try:
            await _down(port, "/file")
            return
        except OSError:
            await asyncio.sleep(0.05)


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    print(HEADER)
    async with hearth() as server:
        figures: dict[str, Any] = {"hearth": await _costs(server, scale)}
        speed = await _beside_static(server, max(5, int(15 * scale)))
    if peer:
        async with synapse() as server:
            figures["synapse"] = await _costs(server, scale)
    share = speed["hearth"] / speed["aiohttp"]
    print(
        f"in turns: {speed['hearth']} files a second, aiohttp from disk {speed['aiohttp']}: {share:.0%} of that"
    )
    return figures | {"files_per_second": speed}
