"""Blobs in a folder, each under the SHA-256 of its bytes.

A blob is written under a temporary name, flushed to disk and renamed: so a name that is there is whole, whenever the
power went. Leftovers of interrupted uploads are in `incoming/` and go at the next start.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.blob_spool import Spool

CHUNK = 512 * 1024


@dataclass(frozen=True, slots=True)
class Held:
    """A blob that is there, and when (ms) it came."""

    digest: bytes
    came: int


class FolderBlobs:
    """Content-addressed files; equal uploads share one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = Spool(folder / "incoming")

    async def write(self, chunks: AsyncIterable[bytes], limit: int) -> tuple[bytes, int]:
        """Keeps the bytes; their digest and number. Raises TooLarge past the limit, Unknown (507) when the disk is full, and then
        keeps nothing.
        """
        async with self._incoming.taken(chunks, limit) as file:
            await asyncio.to_thread(self._keep, file.path, file.digest)
            return file.digest, file.size

    async def size(self, digest: bytes) -> int | None:
        """How many bytes the blob has; None when it is not there."""
        return await asyncio.to_thread(_size, self._path(digest))

    def path(self, digest: bytes) -> Path | None:
        """The file of the blob, whether it is there or not."""
        return self._path(digest)

    async def read(self, digest: bytes, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`, in chunks. Raises FileNotFoundError when it is not there."""
        with await asyncio.to_thread(self._path(digest).open, "rb", 0) as file:
            file.seek(start)
            left = CHUNK if end is None else end - start
            while chunk := await asyncio.to_thread(file.read, min(CHUNK, left)):
                yield chunk
                left = CHUNK if end is None else left - len(chunk)

    async def delete(self, digest: bytes) -> None:
        """Forgets the blob, if it is there."""
        await asyncio.to_thread(self._path(digest).unlink, missing_ok=True)

    async def held(self, first: int) -> Sequence[Held]:
        """The blobs whose digest begins with this byte."""
        return await asyncio.to_thread(_held, self._folder / f"{first:02x}")

    async def forget_unfinished(self, before: int) -> None:
        """What never came in whole is gone with its process, here."""

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


def _held(folder: Path) -> list[Held]:
    found = []
    for below, _, names in os.walk(folder):
        for name in names:
            try:
                came = os.stat(os.path.join(below, name)).st_mtime_ns // 1_000_000
                found.append(Held(bytes.fromhex(name), came))
            except (FileNotFoundError, ValueError):  # it has just gone, or is none of ours
                continue
    return found
