"""Where the bytes are: in a folder, or in a bucket of a real S3 server; both do the same."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from moto.server import ThreadedMotoServer

from protocol.matrix_error import TooLarge
from services.media.check import check_blobs
from services.ports import Blobs
from services.settings import DAY, Media
from storage.blobs import FolderBlobs
from storage.bucket import Bucket
from storage.s3_blobs import s3_blobs
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.media_repo.pictures import fetch, picture, upload

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
async def bucket(s3_server: str) -> Bucket:
    """An empty bucket."""
    name = f"hearth-{uuid4()}"
    async with aiohttp.ClientSession() as session, session.put(f"{s3_server}/{name}") as response:
        assert response.status == 200
    return Bucket(name, "one.example/", s3_server, "us-east-1", "key", "secret")


@pytest.fixture(params=["folder", "s3"])
async def blobs(request: pytest.FixtureRequest, bucket: Bucket, tmp_path: Path) -> AsyncIterator[Blobs]:
    """Either kind."""
    if request.param == "folder":
        yield FolderBlobs(tmp_path / "blobs")
        return
    async with s3_blobs(bucket, tmp_path / "blobs") as kept:
        yield kept


async def pieces(data: bytes, size: int = 60_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def read(blobs: Blobs, digest: bytes, *part: int) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(digest, *part)])


async def all_held(blobs: Blobs) -> set[bytes]:
    return {one.digest for first in range(256) for one in await blobs.held(first)}


@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 12 * MIB + 1])
async def test_what_is_written_is_read(blobs: Blobs, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    digest, written = await blobs.write(pieces(data), size)
    assert (digest, written) == (hashlib.sha256(data).digest(), size)
    assert await blobs.size(digest) == size
    assert await read(blobs, digest) == data
    for start, end in ((0, 1), (size // 2, size), (size, size), (0, size)):
        if end <= size:
            assert await read(blobs, digest, start, end) == data[start:end]
    assert await blobs.write(pieces(data), size) == (digest, size)
    assert await all_held(blobs) == {digest}
    assert not list((tmp_path / "blobs" / "incoming").iterdir())


async def test_blobs_come_and_go(blobs: Blobs) -> None:
    before = time.time() * 1000 - 2000
    digests = {(await blobs.write(pieces(bytes([n])), 1))[0] for n in range(10)}
    assert await all_held(blobs) == digests
    for first in range(256):
        assert all(before < one.came < before + 60_000 for one in await blobs.held(first))
    gone = digests.pop()
    await blobs.delete(gone)
    await blobs.delete(gone)
    assert await blobs.size(gone) is None
    with pytest.raises(FileNotFoundError):
        await read(blobs, gone)
    assert await all_held(blobs) == digests


async def test_what_does_not_come_in_whole_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    async def torn() -> AsyncIterator[bytes]:
        yield bytes(2 * MIB)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.write(torn(), 10 * MIB)
    with pytest.raises(TooLarge):
        await blobs.write(pieces(bytes(2 * MIB)), 2 * MIB - 1)
    assert not list((tmp_path / "blobs" / "incoming").iterdir())
    assert await all_held(blobs) == set()


async def test_an_upload_of_parts_that_never_ended_is_given_up(bucket: Bucket, tmp_path: Path) -> None:
    async with s3_blobs(bucket, tmp_path) as blobs:
        where = {"Bucket": bucket.name, "Key": f"{bucket.prefix}00"}
        await blobs._s3.create_multipart_upload(**where)

        async def unfinished() -> int:
            return len((await blobs._s3.list_multipart_uploads(Bucket=bucket.name)).get("Uploads", ()))

        await blobs.forget_unfinished(0)  # (this S3 server says of all that they began in 2010)
        assert await unfinished() == 1
        await blobs.forget_unfinished(int(time.time() * 1000) + DAY)
        assert await unfinished() == 0


def test_a_start_removes_what_was_left_and_not_what_others_write(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (incoming / "left").write_bytes(b"half")
    with (incoming / "written").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        FolderBlobs(tmp_path)
        assert [path.name for path in incoming.iterdir()] == ["written"]
    FolderBlobs(tmp_path)
    assert not list(incoming.iterdir())


@pytest.fixture
async def in_bucket(make_homeserver: MakeHomeserver, bucket: Bucket, tmp_path: Path) -> Homeserver:
    """A homeserver that keeps its files in a bucket."""
    return await make_homeserver(media=Media(tmp_path / "m", bucket=bucket))


async def test_a_homeserver_on_a_bucket(in_bucket: Homeserver) -> None:
    alice = await in_bucket.user("alice")
    data = os.urandom(7 * MIB)
    media = await upload(alice, data, "video/mp4")
    assert (await fetch(alice, f"download/{media}"))[2] == data
    headers = {"Authorization": f"Bearer {alice.access_token}", "Range": "bytes=1000-1999"}
    url = f"{alice.url}/_matrix/client/v1/media/download/{media}"
    async with alice.session.get(url, headers=headers) as response:
        assert (response.status, await response.read()) == (206, data[1000:2000])
    image = await upload(alice, picture(400, 400))
    assert (await fetch(alice, f"thumbnail/{image}?width=96&height=96&method=crop"))[0] == 200
    await in_bucket.tenant.blobs.delete(hashlib.sha256(data).digest())
    assert (await fetch(alice, f"download/{media}"))[0] == 404


async def count(homeserver: Homeserver, table: str) -> Any:
    async with homeserver.tenant.database.read() as tx:
        return await tx.fetchval(f"SELECT count(*) FROM {table}")


async def test_blobs_and_rows_belong_together(homeserver: Homeserver) -> None:
    alice = await homeserver.user("alice")
    blobs = homeserver.tenant.blobs
    kept, lost = await upload(alice, picture(400, 400)), await upload(alice, b"lost")
    await fetch(alice, f"thumbnail/{kept}?width=96&height=96&method=crop")
    async with homeserver.tenant.database.read() as tx:
        thumbnail = await tx.fetchval("SELECT digest FROM thumbnails")
    young, _ = await blobs.write(pieces(b"young"), 10)
    old, _ = await blobs.write(pieces(b"old"), 10)
    path = blobs.path(old)
    assert path is not None
    os.utime(path, (0, 0))
    await blobs.delete(thumbnail)
    await blobs.delete(hashlib.sha256(b"lost").digest())
    found = await check_blobs(homeserver.tenant)
    assert found is not None
    assert (found.blobs, found.orphans, found.forgotten, found.lost) == (3, 1, 1, 1)
    assert "1 orphans" in str(found)
    assert await blobs.size(old) is None
    assert await blobs.size(young) == 5
    assert (await count(homeserver, "thumbnails"), await count(homeserver, "media")) == (0, 2)
    assert (await fetch(alice, f"thumbnail/{kept}?width=96&height=96&method=crop"))[0] == 200
    assert (await fetch(alice, f"download/{lost}"))[0] == 404
    both = await asyncio.gather(check_blobs(homeserver.tenant), check_blobs(homeserver.tenant))
    assert None in both  # one at a time
    assert [(one.orphans, one.forgotten, one.lost) for one in both if one is not None] == [(0, 0, 1)]


async def test_a_full_disk(homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = await homeserver.user("alice")

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "writev", full)
        async with aiohttp.ClientSession() as session:  # the test's own takes a 507 for a mistake
            status, said = await replace(alice, session=session).post(
                "/_matrix/media/v3/upload", data=b"x" * 3 * MIB
            )
        assert (status, said["errcode"]) == (507, "M_UNKNOWN")
    folder = homeserver.plan.settings.media.folder
    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert await count(homeserver, "media") == 0
    await upload(alice, b"x" * 3 * MIB)
