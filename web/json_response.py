"""JSON as an HTTP response, with the headers that every response has."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from protocol.json import encoded
from web.cors import CORS_HEADERS
from web.reply import JSON_TYPE

SERVER = "Hearth"
EVERY_RESPONSE = CIMultiDict({**CORS_HEADERS, "Server": SERVER})

_JSON = CIMultiDict({**EVERY_RESPONSE, "Content-Type": JSON_TYPE})


class Sent(web.Response):
    """A response that lets go of its body once it is sent: a connection that is kept open keeps its last response."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Writes the end of the body, and forgets it."""
        await super().write_eof(data)
        self._body = None


def json_response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    """A response with the value's JSON; bytes are taken to be JSON already."""
    raw = body if type(body) is bytes else encoded(body)
    response = Sent(body=raw, status=status, headers=_JSON)
    if headers:
        response.headers.update(headers)
    return response
