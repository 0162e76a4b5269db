"""One HTTP/2 connection: frames in and out, and which answer belongs to which request."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from push_gateway.outcome import Answer

MAX_ANSWER: Final = 64 * 1024
MAX_STREAMS: Final = 1_000
_LAST_STREAM: Final = 2**31 - 3
_HEADER, _GOAWAY, _MAX_FRAME = 9, 7, 2**14


class NotSent(Exception):
    """The server has not looked at the request: it may be sent again."""


@dataclass(slots=True)
class _Running:
    """A request whose answer is awaited."""

    answered: asyncio.Future[Answer]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


class Connection(asyncio.Protocol):
    """Opened by `loop.create_connection`; usable when `ready` is done."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ready: asyncio.Future[None] = loop.create_future()
        self.takes_requests = True
        self.is_alive = True
        self._loop = loop
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True, header_encoding="utf-8", validate_outbound_headers=False
            )
        )
        self._transport: asyncio.Transport | None = None
        self._running: dict[int, _Running] = {}
        self._received = bytearray()
        self._is_to_be_flushed = False
        self._window = asyncio.Event()

    @property
    def running(self) -> int:
        """How many requests are being answered."""
        return len(self._running)

    @property
    def limit(self) -> int:
        """How many the server takes at once."""
        return min(self._h2.remote_settings.max_concurrent_streams, MAX_STREAMS)

    async def request(self, fields: Sequence[tuple[str, str]], body: bytes) -> Answer:
        """The answer; raises NotSent, or OSError when the connection breaks after it was sent."""
        if not self.takes_requests:
            raise NotSent("the connection has ended")
        try:
            stream = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream, fields)
        except h2.exceptions.ProtocolError as error:
            self._end()
            raise NotSent(str(error)) from None
        running = self._running[stream] = _Running(self._loop.create_future())
        self.takes_requests = stream < _LAST_STREAM
        try:
            await self._send(stream, body)
            return await running.answered
        finally:
            self._running.pop(stream, None)
            if not running.answered.done() or running.answered.cancelled():
                self._reset(stream)
            if not self.takes_requests and not self._running:
                self.close()

    async def _send(self, stream: int, body: bytes) -> None:
        """Sends as fast as the server takes it."""
        rest = memoryview(body)
        while stream in self._running and not self._running[stream].answered.done():
            try:
                size = min(
                    self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size, len(rest)
                )
                last = size == len(rest)
                if size > 0 or last:
                    self._h2.send_data(stream, bytes(rest[:size]), end_stream=last)
                    self._flush_soon()
            except h2.exceptions.ProtocolError:
                return  # the server has ended the stream: its answer says why
            if last:
                return
            rest = rest[size:]
            self._window.clear()
            await self._window.wait()

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done; the server may also want another protocol."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self._end(OSError("it does not speak HTTP/2"))
            return
        self._h2.initiate_connection()
        self._h2.update_settings({h2.settings.SettingCodes.ENABLE_PUSH: 0})
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Frame by frame: h2 would take a GOAWAY for the end, while RFC 9113 §6.8 lets what runs be answered."""
        self._received += data
        try:
            while len(self._received) >= _HEADER:
                length = int.from_bytes(self._received[:3], "big")
                if length > _MAX_FRAME:
                    raise h2.exceptions.ProtocolError("a frame is too large")
                if len(self._received) < _HEADER + length:
                    break
                frame = bytes(self._received[: _HEADER + length])
                del self._received[: _HEADER + length]
                if frame[3] == _GOAWAY and length >= 8:
                    self._goes_away(int.from_bytes(frame[9:13], "big") & 0x7FFF_FFFF, frame[17:])
                else:
                    for event in self._h2.receive_data(frame):
                        self._happened(event)
        except h2.exceptions.ProtocolError as error:
            self._flush()
            self._end(OSError(f"it does not keep to HTTP/2: {error}"))
            return
        self._flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over; whoever waits is told."""
        self._end(exc if isinstance(exc, OSError) else OSError("it closed the connection"))

    # -- what came

    def _happened(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RemoteSettingsChanged():
                if not self.ready.done():
                    self.ready.set_result(None)
                self._window.set()
            case h2.events.WindowUpdated():
                self._window.set()
            case h2.events.ResponseReceived() if running := self._running.get(event.stream_id or 0):
                for name, value in event.headers or ():
                    if str(name) == ":status":
                        running.status = int(value) if str(value).isdecimal() else 0
                    else:
                        running.headers[str(name)] = str(value)
            case h2.events.DataReceived():
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
                if running := self._running.get(event.stream_id or 0):
                    running.body += (event.data or b"")[: MAX_ANSWER - len(running.body)]
            case h2.events.StreamEnded() if running := self._running.get(event.stream_id or 0):
                if not running.answered.done():
                    running.answered.set_result(Answer(running.status, running.headers, bytes(running.body)))
            case h2.events.StreamReset() if running := self._running.get(event.stream_id or 0):
                refused = event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
                self._tell(running, NotSent("refused") if refused else OSError("it broke off its answer"))

    def _goes_away(self, last: int, reason: bytes) -> None:
        self.takes_requests = False
        text = reason[:100].decode("utf-8", "replace")
        for stream, running in list(self._running.items()):
            if stream > last:
                self._tell(running, NotSent(f"the server ends the connection {text}".strip()))
        if not self._running:
            self.close()

    def _tell(self, running: _Running, error: Exception) -> None:
        if not running.answered.done():
            running.answered.set_exception(error)
            running.answered.exception()  # it may be that nobody looks any more
        self._window.set()

    # -- out and away

    def _flush_soon(self) -> None:
        """What is sent in one turn of the event loop goes out in one piece."""
        if not self._is_to_be_flushed:
            self._is_to_be_flushed = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_to_be_flushed = False
        data = self._h2.data_to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _reset(self, stream: int) -> None:
        """Nobody waits for this answer any more. A server that did not answer in time may be gone: no new requests."""
        self.takes_requests = False
        try:
            self._h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        except h2.exceptions.ProtocolError:
            return  # it has ended meanwhile
        self._flush_soon()

    def close(self) -> None:
        """Ends it; whoever waits is told."""
        self._end(OSError("the connection was closed"))

    def _end(self, error: OSError | None = None) -> None:
        self.is_alive = self.takes_requests = False
        error = error or OSError("the connection has ended")
        for running in list(self._running.values()):
            self._tell(running, error)
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()
        if self._transport is not None:
            self._transport.close()


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """The system's authorities and those of the file, for HTTP/2."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["h2"])
    return context
