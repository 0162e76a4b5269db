"""WebSockets (RFC 6455): a connection that an endpoint keeps, and speaks over in both directions."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMsgType, web

CloseCode = WSCloseCode

HEARTBEAT = 30.0
"""Seconds between pings; a client that answers none is gone."""
GOODBYE = 5.0
"""Seconds that a client is given to say it."""


class Socket:
    """One conversation. Who reads and who writes may be two tasks."""

    def __init__(self, response: web.WebSocketResponse) -> None:
        self._response = response

    async def receive(self) -> bytes | None:
        """The next text that the client says; None when it has gone, or says what is no text or too long."""
        message = await self._response.receive()
        if message.type is WSMsgType.TEXT:
            text: bytes = message.data
            return text
        if message.type is WSMsgType.BINARY:
            await self.close(WSCloseCode.UNSUPPORTED_DATA, "Only text is spoken here")
        return None

    async def send(self, text: bytes) -> None:
        """Says something; returns when there is room for more. Raises ConnectionError when the client has gone."""
        await self._response.send_frame(text, WSMsgType.TEXT)

    async def close(self, code: int, reason: str) -> None:
        """Ends the conversation, with a code of RFC 6455 or one of our own from 4000."""
        await self._response.close(code=code, message=reason.encode())


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an endpoint returns that wants to go on as a WebSocket: `converse` runs until the conversation is over."""

    converse: Callable[[Socket], Awaitable[None]]
    max_frame: int
    protocols: tuple[str, ...] = ()
    """Subprotocols that may be spoken; the client's first choice among them is agreed to."""


async def converse(request: web.BaseRequest, upgrade: Upgrade) -> web.StreamResponse | None:
    """The response when the conversation is over; None for a request that asks for no WebSocket."""
    response = web.WebSocketResponse(
        timeout=GOODBYE,
        heartbeat=HEARTBEAT,
        max_msg_size=upgrade.max_frame,
        protocols=upgrade.protocols,
        compress=False,  # its buffers would take more memory than all the rest of a conversation
        decode_text=False,
    )
    if not response.can_prepare(request):
        return None
    await response.prepare(request)
    try:
        await upgrade.converse(Socket(response))
    finally:
        await response.close()
    return response
