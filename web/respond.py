"""Replies turned into HTTP responses."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from protocol.json import encoded
from protocol.matrix_error import NotFound
from web.json_response import EVERY_RESPONSE, Sent, json_response
from web.reply import FileBody, Reply
from web.send_file import send_file
from web.socket import Upgrade, converse

OCTETS = "application/octet-stream"

_UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade"}
_NOT_UPGRADED = {"errcode": "M_UNRECOGNIZED", "error": "This endpoint is a WebSocket"}


class Torn(Exception):
    """A stream broke, for its cause, after its status had been sent: no other response can be given."""


def response_of(reply: Reply, body: bytes) -> web.Response:
    """The response of a reply whose body is at hand."""
    return Sent(body=body, status=reply.status, headers=_headers(reply))


def stream_of(reply: Reply) -> web.StreamResponse:
    """The response of a reply whose body is a stream, yet to be prepared and written."""
    response = web.StreamResponse(status=reply.status, headers=_headers(reply))
    if reply.length is not None:
        response.content_length = reply.length
    return response


def _headers(reply: Reply) -> CIMultiDict[str]:
    headers = EVERY_RESPONSE.copy()
    headers["Content-Type"] = reply.content_type or OCTETS
    headers.update(reply.headers)
    return headers


async def respond(request: web.BaseRequest, reply: Any) -> web.StreamResponse:
    """Answer the request with what its endpoint returned; a stream is written here, to its end."""
    if isinstance(reply, Upgrade):
        return await _converse(request, reply)
    if not isinstance(reply, Reply):
        return json_response(200, reply)
    body = reply.body
    if isinstance(body, bytes):
        return response_of(reply, body)
    if isinstance(body, FileBody):
        return await _write_file(request, reply, body)
    if isinstance(body, AsyncIterable):
        return await _write(request, stream_of(reply), body)
    if reply.content_type is None:
        return json_response(reply.status, body, reply.headers)
    return response_of(reply, encoded(body))


async def _converse(request: web.BaseRequest, upgrade: Upgrade) -> web.StreamResponse:
    try:
        over = await converse(request, upgrade)
    except Exception as error:
        raise Torn from error
    return over or json_response(426, _NOT_UPGRADED, _UPGRADE)


async def _write_file(request: web.BaseRequest, reply: Reply, body: FileBody) -> web.StreamResponse:
    if request.method == "HEAD":
        return await _write(request, stream_of(reply), _nothing())
    try:
        file = await asyncio.to_thread(body.path.open, "rb", 0)
    except FileNotFoundError:
        raise NotFound("There is no such file any more") from None
    with file:
        response = stream_of(reply)
        await response.prepare(request)
        try:
            if body.before:
                await response.write(body.before)
            await send_file(request, response, file, body.start, body.end)
            if body.after:
                await response.write(body.after)
            await response.write_eof()
        except Exception as error:
            raise Torn from error
    return response


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def _write(
    request: web.BaseRequest, response: web.StreamResponse, body: AsyncIterable[bytes]
) -> web.StreamResponse:
    await response.prepare(request)
    try:
        if request.method != "HEAD":
            async for chunk in body:
                await response.write(chunk)
        await response.write_eof()
    except Exception as error:
        raise Torn from error
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()
    return response
