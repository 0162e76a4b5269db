"""Pictures, made here so that none has to be kept."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image
from yarl import URL

from tests.fixtures.client import Client


def picture(width: int, height: int, format: str = "PNG", mode: str = "RGB", **more: Any) -> bytes:
    """A picture whose left half is red and whose right half is blue."""
    image = Image.new(mode, (width, height), (0, 0, 255, 255)[: len(mode)])
    image.paste((255, 0, 0, 255)[: len(mode)], (0, 0, width // 2, height))
    buffer = io.BytesIO()
    image.save(buffer, format, **more)
    return buffer.getvalue()


def bomb(side: int) -> bytes:
    """A small file that claims to be a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def upload(client: Client, data: Any, content_type: str = "image/png", query: str = "") -> str:
    """`<server>/<media ID>` of the upload."""
    headers = {"Content-Type": content_type}
    said = await client.ok("POST", f"/_matrix/media/v3/upload{query}", data=data, headers=headers)
    uri = str(said["content_uri"])
    assert uri.startswith("mxc://")
    return uri.removeprefix("mxc://")


async def fetch(client: Client, path: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a GET below /_matrix/client/v1/media."""
    headers = {"Authorization": f"Bearer {client.access_token}"}
    url = URL(f"{client.url}/_matrix/client/v1/media/{path}", encoded=True)
    async with client.session.get(url, headers=headers) as response:
        return response.status, dict(response.headers), await response.read()
