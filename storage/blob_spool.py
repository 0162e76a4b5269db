"""Where files lie while they come in: under a temporary name, hashed as they are written.

Each is locked by the process that writes it, and the lock ends with the process, however that ends: so whoever starts next can
tell what was left behind from what another process is still writing.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from protocol.matrix_error import TooLarge, Unknown

BATCH = 1024 * 1024
_INSUFFICIENT_STORAGE = 507
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file that has come in whole and is on disk."""

    path: Path
    digest: bytes
    size: int


@runtime_checkable
class Pours(Protocol):
    """What can push its bytes by itself, in a thread: a piece is good until `take` returns."""

    async def pour(self, take: Callable[[memoryview], None]) -> None:
        """All of them; raises what `take` raises."""


class Spool:
    """A folder for what is coming in."""

    def __init__(self, folder: Path) -> None:
        """What earlier processes left there goes."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.iterdir():
            _remove_if_left(leftover)

    @asynccontextmanager
    async def taken(self, chunks: AsyncIterable[bytes], limit: int) -> AsyncIterator[Spooled]:
        """The chunks as one file, which is gone at the end unless it was moved. Raises TooLarge past the limit, and Unknown (507)
        when the disk is full.
        """
        handle, path = await asyncio.to_thread(_new_file, self._folder)
        try:
            if isinstance(chunks, Pours):
                digest, size = await _poured(chunks, handle, limit)
            else:
                digest, size = await _copy(chunks, handle, limit)
            yield Spooled(path, digest, size)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise Unknown(
                "The server has no room left for this file", status=_INSUFFICIENT_STORAGE
            ) from error
        finally:
            await asyncio.to_thread(_close, handle, path)


def _new_file(folder: Path) -> tuple[int, Path]:
    while True:
        handle, name = tempfile.mkstemp(dir=folder)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:  # else a process that was starting took it for a leftover
            return handle, Path(name)
        os.close(handle)


def _close(handle: int, path: Path) -> None:
    path.unlink(missing_ok=True)
    os.close(handle)


def _remove_if_left(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return  # somebody is writing it
    finally:
        os.close(handle)


async def _poured(chunks: Pours, handle: int, limit: int) -> tuple[bytes, int]:
    """Hashed and written where they are read."""
    digest, size = hashlib.sha256(), 0

    def take(piece: memoryview) -> None:
        nonlocal size
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        digest.update(piece)
        while piece:
            piece = piece[os.writev(handle, [piece]) :]

    await chunks.pour(take)
    await asyncio.to_thread(os.fsync, handle)
    return digest.digest(), size


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"A file may have at most {limit} bytes")


async def _copy(chunks: AsyncIterable[bytes], handle: int, limit: int) -> tuple[bytes, int]:
    """Hashed and written in a thread, a batch at a time, while the next one comes in."""
    digest, size = hashlib.sha256(), 0
    batch: list[bytes] = []
    waiting, writing = 0, None
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            batch.append(chunk)
            waiting += len(chunk)
            if waiting >= BATCH:
                if writing is not None:
                    await writing
                writing = asyncio.ensure_future(asyncio.to_thread(_write, handle, digest, batch))
                batch, waiting = [], 0
    finally:
        if writing is not None:
            await writing
    await asyncio.to_thread(_finish, handle, digest, batch)
    return digest.digest(), size


def _write(handle: int, digest: hashlib._Hash, batch: list[bytes]) -> None:
    for chunk in batch:
        digest.update(chunk)
    for at in range(0, len(batch), os.sysconf("SC_IOV_MAX")):
        some = batch[at : at + os.sysconf("SC_IOV_MAX")]
        written = os.writev(handle, some)
        left = memoryview(b"".join(some))[written:] if written < sum(map(len, some)) else memoryview(b"")
        while left:
            left = left[os.write(handle, left) :]


def _finish(handle: int, digest: hashlib._Hash, batch: list[bytes]) -> None:
    _write(handle, digest, batch)
    os.fsync(handle)
