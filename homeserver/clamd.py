"""ClamAV's clamd: its INSTREAM command over TCP or a Unix socket.

«The format of the chunk is: <length><data>, where <length> is the size of the following data in bytes expressed as a 4 byte
unsigned integer in network byte order [...]. Streaming is terminated by sending a zero-length chunk.» (clamd's manual)
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlsplit

from services.media.scanner import ScannerFailed
from services.media.settings import Checks

PIECE: Final = 128 * 1024
PORT: Final = 3310
AT_ONCE: Final = 4
MAX_ANSWER: Final = 4096
_FOUND: Final = re.compile(r"stream: (.+) FOUND")


def scanner_of(checks: Checks) -> Clamd | None:
    """The scanner of the configuration."""
    return None if checks.scanner is None else Clamd(checks.scanner, checks.scanner_timeout / 1000)


class Clamd:
    """Scans some files at the same time, each over a connection of its own."""

    def __init__(self, address: str, seconds: float) -> None:
        """`address` is tcp://host:port or unix:/path."""
        self._address = urlsplit(address)
        self._seconds = seconds
        self._places = asyncio.Semaphore(AT_ONCE)

    async def scan(self, chunks: AsyncIterator[bytes]) -> str | None:
        """The name of what was found, None when nothing was; raises ScannerFailed."""
        try:
            async with self._places, asyncio.timeout(self._seconds):
                return _meant(await self._asked(chunks))
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            raise ScannerFailed(
                f"the virus scanner does not answer: {error or type(error).__name__}"
            ) from None

    async def _asked(self, chunks: AsyncIterator[bytes]) -> str:
        reader, writer = await self._connected()
        try:
            writer.write(b"zINSTREAM\0")
            try:
                async for chunk in chunks:
                    for start in range(0, len(chunk), PIECE):
                        piece = chunk[start : start + PIECE]
                        writer.write(struct.pack("!I", len(piece)) + piece)
                        await writer.drain()
                writer.write(struct.pack("!I", 0))
                await writer.drain()
            except ConnectionError:
                pass  # it has said why, and hung up
            return (await reader.readuntil(b"\0"))[:MAX_ANSWER].rstrip(b"\0\n").decode(errors="replace")
        finally:
            writer.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._address.scheme == "unix":
            return await asyncio.open_unix_connection(self._address.path)
        return await asyncio.open_connection(self._address.hostname, self._address.port or PORT)


def _meant(answer: str) -> str | None:
    if answer == "stream: OK":
        return None
    found = _FOUND.fullmatch(answer)
    if found is None:
        raise ScannerFailed(f"the virus scanner does not scan this: {answer[:200]}")
    return found[1]
