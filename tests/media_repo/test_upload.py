"""Uploading files: what is kept, under which name, how large; and what an upload that breaks off leaves."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.settings import Media
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.media_repo.pictures import fetch, upload

UPLOAD = "/_matrix/media/v3/upload"


def blobs(homeserver: Homeserver) -> list[Path]:
    """The files that are kept, those that are coming in included."""
    return [path for path in homeserver.plan.settings.media.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("data", [b"", b"x", b"hello" * 100_000], ids=["nothing", "a byte", "500 kB"])
async def test_what_is_uploaded_is_downloaded(alice: Client, bob: Client, data: bytes) -> None:
    media = await upload(alice, data, "application/x-thing")
    status, headers, body = await fetch(bob, f"download/{media}")
    assert (status, body, headers["Content-Type"]) == (200, data, "application/x-thing")
    assert headers["Content-Length"] == str(len(data))


async def test_a_file_without_a_type_is_octets(alice: Client) -> None:
    async with alice.session.post(
        alice.url + UPLOAD,
        data=b"x",
        headers={"Authorization": f"Bearer {alice.access_token}"},
        skip_auto_headers=["Content-Type"],
    ) as response:
        media = (await response.json())["content_uri"].removeprefix("mxc://")
    assert (await fetch(alice, f"download/{media}"))[1]["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("path", ["/_matrix/media/r0/upload", "/_matrix/media/v1/upload"])
async def test_the_older_paths(alice: Client, path: str) -> None:
    assert "content_uri" in await alice.ok("POST", path, data=b"x")


@pytest.mark.parametrize(
    "content_type", ["text", "text/", "a b/c", "text/plain; x", "text/html;\tx", "x" * 300]
)
async def test_what_is_not_a_content_type_is_refused(alice: Client, content_type: str) -> None:
    status, said = await alice.post(UPLOAD, data=b"x", headers={"Content-Type": content_type})
    assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")


@pytest.fixture
async def small(make_homeserver: MakeHomeserver, tmp_path: Path) -> Homeserver:
    """A homeserver that takes files of 1000 bytes."""
    return await make_homeserver(media=Media(tmp_path / "small", max_upload=1000))


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_file_that_is_too_large_is_refused_and_not_kept(small: Homeserver, chunked: bool) -> None:
    alice = await small.user("alice")

    async def chunks(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 100):
            yield b"x" * 100
        yield b"x" * (size % 100)

    def data(size: int) -> bytes | AsyncIterator[bytes]:
        return chunks(size) if chunked else b"x" * size

    assert (await alice.post(UPLOAD, data=data(1000)))[0] == 200
    kept = blobs(small)
    for size in (1001, 100_000):
        status, said = await alice.post(UPLOAD, data=data(size))
        assert (status, said["errcode"]) == (413, "M_TOO_LARGE")
    assert blobs(small) == kept
    assert (await alice.ok("GET", "/_matrix/client/v1/media/config"))["m.upload.size"] == 1000
    assert (await alice.ok("GET", "/_matrix/media/v3/config"))["m.upload.size"] == 1000


async def test_equal_files_share_their_bytes(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    first, second = (
        await upload(alice, b"same", "application/x-one"),
        await upload(bob, b"same", "text/plain"),
    )
    assert first != second
    assert len(blobs(homeserver)) == 1
    assert (await fetch(alice, f"download/{first}"))[1]["Content-Type"] == "application/x-one"
    assert (await fetch(alice, f"download/{second}"))[1]["Content-Type"] == "text/plain; charset=utf-8"


async def test_an_upload_that_breaks_off_leaves_nothing(homeserver: Homeserver, alice: Client) -> None:
    host, port = homeserver.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {UPLOAD} HTTP/1.1\r\nHost: one.example\r\nAuthorization: Bearer {alice.access_token}\r\n"
    writer.write((head + "Content-Length: 1000000\r\nContent-Type: text/plain\r\n\r\n").encode())
    writer.write(b"x" * 400_000)
    await writer.drain()
    async with asyncio.timeout(10):
        while not blobs(homeserver):
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while blobs(homeserver):
            await asyncio.sleep(0.01)
    async with homeserver.tenant.database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM media") == 0


async def test_large_files_pass_through_without_being_held(alice: Client) -> None:
    size, piece = 50 * 1024 * 1024, b"0123456789abcdef" * 4096

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size // len(piece)):
            yield piece

    seen = 0
    tracemalloc.start()
    try:
        media = await upload(alice, chunks())
        async with alice.session.get(
            f"{alice.url}/_matrix/client/v1/media/download/{media}",
            headers={"Authorization": f"Bearer {alice.access_token}"},
        ) as response:
            async for chunk in response.content.iter_any():
                seen += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == size
    assert peak < 16 * 1024 * 1024


async def test_files_without_a_byte_are_taken_one_after_the_other(alice: Client) -> None:
    for _ in range(3):
        async with asyncio.timeout(10):
            status, said = await alice.post("/_matrix/media/v3/upload", data=b"")
        assert status == 200
        assert said["content_uri"].startswith("mxc://one.example/")
