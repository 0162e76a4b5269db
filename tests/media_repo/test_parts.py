"""Asking for a part of a file, and for a file only if it is another one than before (RFC 9110)."""

from __future__ import annotations

import hashlib

import pytest
from multidict import CIMultiDictProxy
from yarl import URL

from tests.fixtures.client import Client
from tests.media_repo.pictures import picture, upload

DATA = bytes(range(256)) * 4
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


async def ask(
    client: Client, media: str, method: str = "GET", **headers: str
) -> tuple[int, CIMultiDictProxy[str], bytes]:
    """A download with such headers (an underscore for a hyphen)."""
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    shown["Authorization"] = f"Bearer {client.access_token}"
    url = URL(f"{client.url}/_matrix/client/v1/media/{media}", encoded=True)
    async with client.session.request(method, url, headers=shown) as response:
        body = await response.read() if method == "GET" else b""
        return response.status, response.headers, body


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 1024),
        ("bytes=100-199", 100, 200),
        ("Bytes=100-199", 100, 200),
        ("bytes=1000-5000", 1000, 1024),
        ("bytes=1023-", 1023, 1024),
        ("bytes=-1", 1023, 1024),
        ("bytes=-5000", 0, 1024),
        ("bytes=0-999999999999999999", 0, 1024),
    ],
)
async def test_a_part(alice: Client, asked: str, start: int, end: int) -> None:
    media = f"download/{await upload(alice, DATA, 'video/mp4')}"
    status, headers, body = await ask(alice, media, Range=asked)
    assert (status, body) == (206, DATA[start:end])
    assert headers["Content-Range"] == f"bytes {start}-{end - 1}/1024"
    assert (headers["Content-Length"], headers["ETag"]) == (str(end - start), ETAG)
    assert headers["Content-Security-Policy"].startswith("sandbox;")
    status, headers, _ = await ask(alice, media, "HEAD", Range=asked)
    assert (status, headers["Content-Length"]) == (206, str(end - start))


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
async def test_no_such_part(alice: Client, asked: str) -> None:
    status, headers, body = await ask(alice, f"download/{await upload(alice, DATA)}", Range=asked)
    assert (status, headers["Content-Range"], body) == (416, "bytes */1024", b"")


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6",
        "bytes=5-2",
        "bytes=-",
        "bytes",
        "lines=1-2",
        "bytes=a-b",
        "bytes=1",
        "bytes=--1",
        "bytes=٣-٤",
    ],
)
async def test_several_parts_and_nonsense_are_the_whole(alice: Client, asked: str) -> None:
    status, headers, body = await ask(alice, f"download/{await upload(alice, DATA)}", Range=asked)
    assert (status, body, headers["Accept-Ranges"]) == (200, DATA, "bytes")


async def test_a_part_of_an_empty_file(alice: Client) -> None:
    media = f"download/{await upload(alice, b'')}"
    assert (await ask(alice, media, Range="bytes=0-"))[0] == 416
    assert (await ask(alice, media))[::2] == (200, b"")


@pytest.mark.parametrize(
    ("validator", "status"), [(ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200), ("Sat, 1 Jan", 200)]
)
async def test_a_part_only_of_the_same_file(alice: Client, validator: str, status: int) -> None:
    media = f"download/{await upload(alice, DATA)}"
    assert (await ask(alice, media, Range="bytes=0-9", If_Range=validator))[0] == status


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (ETAG, 304),
        (f"W/{ETAG}", 304),
        ("*", 304),
        (f'"a", {ETAG}', 304),
        ('"other"', 200),
        (ETAG.strip('"'), 200),
    ],
)
async def test_a_file_that_one_has_is_not_sent_again(alice: Client, condition: str, status: int) -> None:
    media = f"download/{await upload(alice, DATA)}"
    answered, headers, body = await ask(alice, media, If_None_Match=condition)
    assert (answered, headers["ETag"], body) == (status, ETAG, b"" if status == 304 else DATA)
    assert "immutable" in headers["Cache-Control"]
    # Who has the file wants no part of it.
    assert (await ask(alice, media, If_None_Match=condition, Range="bytes=0-9"))[0] == (
        304 if status == 304 else 206
    )


async def test_thumbnails_too(alice: Client) -> None:
    media = f"thumbnail/{await upload(alice, picture(400, 400))}?width=96&height=96&method=crop"
    _, headers, body = await ask(alice, media)
    status, _, nothing = await ask(alice, media, If_None_Match=headers["ETag"])
    assert (status, nothing) == (304, b"")
    status, _, part = await ask(alice, media, Range="bytes=5-9")
    assert (status, part) == (206, body[5:10])


async def test_a_connection_serves_files_one_after_the_other(alice: Client) -> None:
    large = bytes(3_000_000)
    media, small = f"download/{await upload(alice, large)}", f"download/{await upload(alice, DATA)}"
    for _ in range(3):
        assert (await ask(alice, media))[2] == large
        assert (await ask(alice, small, Range="bytes=5-"))[2] == DATA[5:]
