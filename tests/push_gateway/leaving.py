"""An HTTP/2 server that ends its connections as RFC 9113 wants it: GOAWAY first, then the answers that are due, then the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events
from hyperframe.frame import GoAwayFrame

from tests.fixtures.certificates import Authority


@dataclass
class Leaving:
    """What it has done."""

    url: str = ""
    connections: int = 0
    answered: int = 0


@asynccontextmanager
async def leaving(authority: Authority, after: int) -> AsyncIterator[Leaving]:
    """It answers so many requests a connection, all after its GOAWAY."""
    told = Leaving()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.connections += 1
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        streams: list[int] = []
        while len(streams) < after:
            writer.write(connection.data_to_send())
            try:
                data = await asyncio.wait_for(reader.read(65536), 0.3)
            except TimeoutError:
                break
            if not data:
                break
            ended = [e for e in connection.receive_data(data) if isinstance(e, h2.events.StreamEnded)]
            streams += [event.stream_id or 0 for event in ended]
        streams = streams[:after]
        # h2 would take its own GOAWAY for the end.
        writer.write(
            connection.data_to_send() + GoAwayFrame(0, last_stream_id=max(streams, default=0)).serialize()
        )
        for stream in reversed(streams):
            connection.send_headers(stream, [(":status", "200")])
            connection.send_data(stream, b"{}", end_stream=True)
            writer.write(connection.data_to_send())
            told.answered += 1
        await writer.drain()
        writer.close()

    context = authority.issue("localhost").server_context()
    context.set_alpn_protocols(["h2"])
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    told.url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield told
