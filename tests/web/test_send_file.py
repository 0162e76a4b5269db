"""Files that the kernel copies to the socket: whole, and to clients that go away."""

import asyncio
import errno
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Running, Start
from web.call import Call
from web.endpoint import Auth, Endpoint
from web.reply import FileBody, Reply
from web.serve import CUT_OFF

SIZE = 32 * 1024 * 1024
"""More than the kernel keeps for a socket."""
_RESET = struct.pack("ii", 1, 0)


@pytest.fixture
async def site(start: Start, tmp_path: Path) -> Running:
    """A site that gives out a large file, and one of another size than it says."""
    (tmp_path / "file").write_bytes(os.urandom(1024) * (SIZE // 1024))

    async def serve(call: Call[str, None]) -> Reply:
        size = SIZE if call.path["kind"] == "file" else SIZE + 1
        return Reply(200, FileBody(tmp_path / "file", 0, size), length=size)

    running: Running = await start([Endpoint("GET", "/{kind}", Auth.NONE, serve)])
    return running


async def told(site: Running) -> Any:
    """What the site told of its first call, once it is over."""
    async with asyncio.timeout(60):
        while not site.told:
            await asyncio.sleep(0.01)
    return site.told[0]


async def test_a_file_is_sent_whole(site: Running) -> None:
    async with site.session.get(site.url + "/file") as response:
        assert len(await response.read()) == SIZE
    assert (await told(site)).failure is None


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_client_that_goes_away_is_no_failure(site: Running, how: str) -> None:
    loop, client = asyncio.get_running_loop(), socket.socket()
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", site.port))
    await loop.sock_sendall(client, b"GET /file HTTP/1.1\r\nHost: one\r\n\r\n")
    assert (await loop.sock_recv(client, 12)) == b"HTTP/1.1 200"
    if how == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()
    served = await told(site)
    assert (served.status, served.failure) == (CUT_OFF, None)


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH])
async def test_the_kernel_may_know_before_the_event_loop(
    site: Running, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def broken(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "sendfile", broken)
    answer = await site.raw(b"GET /file HTTP/1.1\r\nHost: one\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    served = await told(site)
    assert (served.status, served.failure) == (CUT_OFF, None)


async def test_a_disk_that_fails_is_a_failure(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "disk gone")

    monkeypatch.setattr(os, "sendfile", broken)
    await site.raw(b"GET /file HTTP/1.1\r\nHost: one\r\n\r\n")
    served = await told(site)
    assert (served.status, type(served.failure)) == (CUT_OFF, OSError)


async def test_a_file_that_is_shorter_is_a_failure(site: Running) -> None:
    answer = await site.raw(b"GET /more HTTP/1.1\r\nHost: one\r\n\r\n")
    assert len(answer.partition(b"\r\n\r\n")[2]) == SIZE
    assert type((await told(site)).failure) is EOFError
