"""Large bodies, which a thread reads from the socket: whole, from slow clients, from such as leave, and nothing after them."""

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from protocol.matrix_error import TooLarge
from tests.fixtures.certificates import Authority
from tests.web.conftest import Running, Start
from web import large_body, receive
from web.call import Call
from web.endpoint import Auth, Body, Endpoint
from web.large_body import LARGE, PIECE, LargeBody
from web.reply import Json
from web.serve import CUT_OFF

DATA = os.urandom(PIECE) * 2 + b"the end"
HEAD = f"POST /up HTTP/1.1\r\nHost: one\r\nContent-Length: {len(DATA)}\r\n\r\n".encode()


class Taken:
    """What came, piece by piece; `refuse_after` so many bytes there is an error."""

    def __init__(self) -> None:
        self.digest, self.size = hashlib.sha256(), 0
        self.refuse_after = len(DATA)
        self.begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def take(self, piece: memoryview) -> None:
        self._loop.call_soon_threadsafe(self.begun.set)
        self.digest.update(piece)
        self.size += len(piece)
        if self.size > self.refuse_after:
            raise TooLarge


@pytest.fixture
async def taken() -> Taken:
    return Taken()


@pytest.fixture
async def site(start: Start, taken: Taken) -> Running:
    """A site that takes bodies in."""

    async def up(call: Call[str, None]) -> Json:
        body = call.chunks()
        if isinstance(body, LargeBody):
            await body.pour(taken.take)
            return {"poured": taken.size}
        async for chunk in body:
            taken.take(memoryview(chunk))
        return {"read": taken.size}

    async def hello(call: Call[str, None]) -> Json:
        return {"hello": True}

    endpoints = [
        Endpoint("POST", "/up", Auth.NONE, up, body=Body.STREAM, max_body=2 * len(DATA)),
        Endpoint("GET", "/hello", Auth.NONE, hello),
    ]
    running: Running = await start(endpoints)
    return running


async def told(site: Running, calls: int = 1) -> Any:
    """What the site told of its first call, once so many are over."""
    async with asyncio.timeout(60):
        while len(site.told) < calls:
            await asyncio.sleep(0.01)
    return site.told[0]


async def test_a_large_body_is_poured_and_ends_its_connection(site: Running, taken: Taken) -> None:
    async with site.session.post(site.url + "/up", data=DATA) as response:
        assert await response.json() == {"poured": len(DATA)}
        assert response.headers["Connection"] == "close"
    assert taken.digest.digest() == hashlib.sha256(DATA).digest()
    async with site.session.get(site.url + "/hello") as response:
        assert "Connection" not in response.headers


@pytest.mark.parametrize("size", [0, 1, LARGE - 1])
async def test_a_small_body_is_read(site: Running, size: int) -> None:
    async with site.session.post(site.url + "/up", data=DATA[:size]) as response:
        assert await response.json() == {"read": size}
        assert "Connection" not in response.headers


async def test_a_body_of_unknown_size_is_read(site: Running, taken: Taken) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(DATA), 100_000):
            yield DATA[at : at + 100_000]

    async with site.session.post(site.url + "/up", data=chunks()) as response:
        assert await response.json() == {"read": len(DATA)}
    assert taken.digest.digest() == hashlib.sha256(DATA).digest()


async def test_an_encrypted_connection_is_read(site: Running, authority: Authority, taken: Taken) -> None:
    loop, context = asyncio.get_running_loop(), authority.issue("localhost").server_context()
    server = await loop.create_server(site.server, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/up"
    try:
        async with site.session.post(url, data=DATA, ssl=False) as response:
            assert await response.json() == {"read": len(DATA)}
    finally:
        server.close()
    assert taken.digest.digest() == hashlib.sha256(DATA).digest()


async def test_a_slow_client(site: Running, taken: Taken) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    half = PIECE + 1000
    for part in (HEAD + DATA[:10], DATA[10:half], DATA[half:]):
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.15)  # longer than the thread waits, so that the event loop does; it need not be
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert taken.digest.digest() == hashlib.sha256(DATA).digest()


@pytest.mark.parametrize("most", [0, 16])
async def test_a_client_that_sends_nothing_more_is_given_up(
    site: Running, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(large_body, "MOST", most)
    monkeypatch.setattr(large_body, "STALL", 0.05)
    monkeypatch.setattr(receive, "STALL", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(HEAD + DATA[:PIECE])
    await writer.drain()
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 60)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408")


async def test_when_many_are_poured_the_others_are_read(
    site: Running, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_body, "MOST", 1)
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(HEAD + DATA[:PIECE])
    await asyncio.wait_for(taken.begun.wait(), 60)
    async with site.session.post(site.url + "/up", data=DATA[:LARGE]) as response:
        assert "read" in await response.json()
    writer.close()
    await told(site, calls=2)
    async with site.session.post(site.url + "/up", data=DATA[:LARGE]) as response:
        assert "poured" in await response.json()


async def test_a_client_that_waits_to_be_asked(site: Running, taken: Taken) -> None:
    async with site.session.post(site.url + "/up", data=DATA, expect100=True) as response:
        assert await response.json() == {"poured": len(DATA)}
    assert taken.digest.digest() == hashlib.sha256(DATA).digest()


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_client_that_leaves_midway(site: Running, taken: Taken, how: str) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(HEAD + DATA[: PIECE + PIECE // 2])
    await writer.drain()
    await asyncio.wait_for(taken.begun.wait(), 60)
    if how == "reset":
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()
    writer.close()
    served = await told(site)
    assert (served.status, served.failure) == (CUT_OFF, None)


async def test_what_is_refused_midway_is_told_while_the_client_sends(site: Running, taken: Taken) -> None:
    taken.refuse_after = 100
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(HEAD + DATA[: PIECE + 1000])
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    writer.close()
    assert head.startswith(b"HTTP/1.1 413")
    assert b"Connection: close" in head


async def test_nothing_that_follows_is_taken_for_a_request(site: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(HEAD + DATA + b"GET /hello HTTP/1.1\r\nHost: one\r\n\r\n")
    answer = b""
    try:
        while chunk := await asyncio.wait_for(reader.read(65536), 60):
            answer += chunk
    except ConnectionResetError:
        pass  # that something was not read may be told so
    writer.close()
    assert b"hello" not in answer
    assert [served.path for served in site.told] == ["/up"]


async def test_a_server_that_stops_does_not_wait_for_the_rest(site: Running, taken: Taken) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(HEAD + DATA[: PIECE + PIECE // 2])
    await asyncio.wait_for(taken.begun.wait(), 60)
    site.server.tell_all_gone()
    served = await told(site)
    writer.close()
    assert (served.status, served.failure) == (CUT_OFF, None)
