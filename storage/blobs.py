"""Blobs in a folder, each under the SHA-256 of its bytes.

A blob is written under a temporary name, flushed to disk and renamed: so a name that is there is whole, whenever the
power went. Leftovers of interrupted uploads are in `incoming/` and go at the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from protocol.matrix_error import TooLarge

CHUNK = 256 * 1024


class FolderBlobs:
    """Content-addressed files; equal uploads share one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    async def write(self, chunks: AsyncIterator[bytes], limit: int) -> tuple[bytes, int]:
        """Keeps the bytes; their digest and number. Raises TooLarge past the limit, and then keeps nothing."""
        handle, name = tempfile.mkstemp(dir=self._incoming)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                digest, size = await _copy(chunks, file, limit)
            await asyncio.to_thread(self._keep, temporary, digest)
        finally:
            await asyncio.to_thread(temporary.unlink, missing_ok=True)
        return digest, size

    async def size(self, digest: bytes) -> int | None:
        """How many bytes the blob has; None when it is not there."""
        return await asyncio.to_thread(_size, self._path(digest))

    async def read(self, digest: bytes, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`, in chunks. Raises FileNotFoundError when it is not there."""
        with await asyncio.to_thread(self._path(digest).open, "rb") as file:
            file.seek(start)
            left = CHUNK if end is None else end - start
            while chunk := await asyncio.to_thread(file.read, min(CHUNK, left)):
                yield chunk
                left = CHUNK if end is None else left - len(chunk)

    async def delete(self, digest: bytes) -> None:
        """Forgets the blob, if it is there."""
        await asyncio.to_thread(self._path(digest).unlink, missing_ok=True)

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._folder / name[:2] / name[2:4] / name

    def _keep(self, temporary: Path, digest: bytes) -> None:
        path = self._path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.rename(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


async def _copy(chunks: AsyncIterator[bytes], file: IO[bytes], limit: int) -> tuple[bytes, int]:
    digest, size, waiting = hashlib.sha256(), 0, bytearray()

    def flush() -> None:
        digest.update(waiting)
        file.write(waiting)
        waiting.clear()

    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"A file may have at most {limit} bytes")
        waiting += chunk
        if len(waiting) >= CHUNK:
            await asyncio.to_thread(flush)
    flush()
    file.flush()
    await asyncio.to_thread(os.fsync, file.fileno())
    return digest.digest(), size
