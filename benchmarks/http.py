"""A load generator's HTTP/1.1 client: one keep-alive connection, as little work a request as can be."""

from __future__ import annotations

import asyncio
import json
from typing import Any


class Connection:
    """One connection of one user; requests follow one another."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port = port
        self.token = token
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Status and body; reconnects when the server has closed the connection."""
        payload = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost:{self.port}\r\nContent-Length: {len(payload)}\r\n"
        )
        if self.token:
            head += f"Authorization: Bearer {self.token}\r\n"
        data = (head + "Content-Type: application/json\r\n\r\n").encode() + payload
        for attempt in (1, 2):
            try:
                return await self._exchange(data)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.close()
                if attempt == 2:
                    raise
        raise AssertionError

    async def ok(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of a reply that must be a 200."""
        status, reply = await self.request(method, path, body)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {reply[:300]!r}")
        return json.loads(reply)

    def close(self) -> None:
        """Drops the connection; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _exchange(self, data: bytes) -> tuple[int, bytes]:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26)
        self._writer.write(data)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        lowered = head.lower()
        if b"connection: close" in lowered:
            body = await self._body(lowered)
            self.close()
            return status, body
        return status, await self._body(lowered)

    async def _body(self, head: bytes) -> bytes:
        assert self._reader is not None
        at = head.find(b"content-length:")
        if at >= 0:
            return await self._reader.readexactly(int(head[at + 15 : head.index(b"\r\n", at)]))
        if b"transfer-encoding: chunked" not in head:
            return await self._reader.read()
        chunks = []
        while size := int(await self._reader.readline(), 16):
            chunks.append(await self._reader.readexactly(size))
            await self._reader.readline()
        await self._reader.readline()
        return b"".join(chunks)
