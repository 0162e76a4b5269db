"""Files of other servers: two parts of one answer, the second being the file or where it lies (§Content Repository)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.message import Message
from typing import Final

from aiohttp import BodyPartReader, ClientResponse, MultipartReader
from aiohttp.http_exceptions import HttpProcessingError

from federation.client.bounded import Endless, chunks_within
from federation.client.connections import Connections
from federation.client.request import Question, Requests, path_of
from federation.client.urls import destination_of
from protocol.ids import ServerName
from services.ports import RemoteFailed, RemoteFile
from services.settings import MINUTE

SECONDS: Final = 10 * MINUTE / 1000
CHUNK: Final = 64 * 1024
METADATA_LIMIT: Final = 64 * 1024
MAX_REDIRECTS: Final = 3
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_GARBLED: Final = (
    ValueError,
    AssertionError,
    HttpProcessingError,
)  # what aiohttp's reader of parts may raise
_DOWNLOAD: Final = "/_matrix/federation/v1/media/download"
_THUMBNAIL: Final = "/_matrix/federation/v1/media/thumbnail"
_OLD: Final = "/_matrix/media/v3"


def _knows_it_not(error: RemoteFailed) -> bool:
    """Has the server no such endpoint? Then it says so, or says what is no error of Matrix."""
    if error.errcode is None:
        return error.status is not None and 400 <= error.status < 500
    return error.status in (404, 405) and error.errcode != "M_NOT_FOUND"


class RemoteMedia:
    """Fetches files of other servers."""

    def __init__(self, requests: Requests, connections: Connections) -> None:
        self._requests = requests
        self._connections = connections

    @asynccontextmanager
    async def download(self, server: ServerName, media_id: str, limit: int) -> AsyncIterator[RemoteFile]:
        """The file; raises RemoteFailed, also while it is read."""
        new = path_of(_DOWNLOAD, media_id)
        old = path_of(f"{_OLD}/download", server, media_id, query=[("allow_remote", "false")])
        async with self._either(server, new, old, limit) as file:
            yield file

    @asynccontextmanager
    async def thumbnail(
        self, server: ServerName, media_id: str, limit: int, query: Mapping[str, str]
    ) -> AsyncIterator[RemoteFile]:
        """The thumbnail; raises RemoteFailed, also while it is read."""
        new = path_of(_THUMBNAIL, media_id, query=query.items())
        old = path_of(
            f"{_OLD}/thumbnail", server, media_id, query=[*query.items(), ("allow_remote", "false")]
        )
        async with self._either(server, new, old, limit) as file:
            yield file

    @asynccontextmanager
    async def _either(self, server: ServerName, new: str, old: str, limit: int) -> AsyncIterator[RemoteFile]:
        """By the authenticated way, and of servers from before v1.11, which do not know it, by the old one."""
        begun = False
        try:
            async with self._requests.opened(server, Question("GET", new, seconds=SECONDS)) as response:
                async with self._of_parts(server, response, limit) as file:
                    begun = True
                    yield file
                    return
        except RemoteFailed as error:
            if begun or not _knows_it_not(error):
                raise
        question = Question("GET", old, seconds=SECONDS)
        async with self._requests.opened(server, question, signed=False) as response:
            async with self._followed(server, response, limit) as file:
                yield file

    @asynccontextmanager
    async def _of_parts(
        self, server: ServerName, response: ClientResponse, limit: int
    ) -> AsyncIterator[RemoteFile]:
        if response.status != 200 or response.content_type != "multipart/mixed":
            raise RemoteFailed(server, response.status, None, "answered no file")
        try:
            parts = MultipartReader.from_response(response)
            metadata = await parts.next()
            if not isinstance(metadata, BodyPartReader):
                raise RemoteFailed(server, response.status, None, "answered no metadata")
            await _skip(metadata, METADATA_LIMIT)
            part = await parts.next()
        except _GARBLED as error:
            raise _nonsense(server, error) from None
        if not isinstance(part, BodyPartReader):
            raise RemoteFailed(server, response.status, None, "answered no file")
        where = part.headers.get("Location")
        if where is not None:
            async with self._elsewhere(server, where, limit, MAX_REDIRECTS) as file:
                yield file
        else:
            yield _file(part.headers, _of_part(server, part, limit))

    @asynccontextmanager
    async def _followed(
        self, server: ServerName, response: ClientResponse, limit: int, redirects: int = MAX_REDIRECTS
    ) -> AsyncIterator[RemoteFile]:
        if response.status in _REDIRECTS:
            where = response.headers.get("Location", "")
            async with self._elsewhere(server, where, limit, redirects) as file:
                yield file
        elif response.status == 200:
            yield _file(response.headers, chunks_within(response, limit))
        else:
            raise RemoteFailed(server, response.status, None, "answered no file")

    @asynccontextmanager
    async def _elsewhere(
        self, server: ServerName, url: str, limit: int, redirects: int
    ) -> AsyncIterator[RemoteFile]:
        """«The media should be downloaded from the URL, without authentication»: of addresses like any other."""
        if redirects == 0:
            raise RemoteFailed(server, None, None, "redirects without end")
        try:
            destination, path = destination_of(url)
            async with self._connections.request(
                "GET", destination, path, headers={}, seconds=SECONDS
            ) as response:
                async with self._followed(server, response, limit, redirects - 1) as file:
                    yield file
        except ValueError as error:
            raise RemoteFailed(server, None, None, f"redirects wrongly: {error}") from None


async def _of_part(server: ServerName, part: BodyPartReader, limit: int) -> AsyncIterator[bytes]:
    size = 0
    while chunk := await _chunk(server, part):
        size += len(chunk)
        if size > limit:
            raise Endless(f"more than {limit} bytes")
        yield chunk


async def _chunk(server: ServerName, part: BodyPartReader) -> bytes:
    try:
        return await part.read_chunk(CHUNK)
    except _GARBLED as error:
        raise _nonsense(server, error) from None


def _nonsense(server: ServerName, error: Exception) -> RemoteFailed:
    return RemoteFailed(server, 200, None, f"answered nonsense: {error}")


async def _skip(part: BodyPartReader, limit: int) -> None:
    size = 0
    while chunk := await part.read_chunk(CHUNK):
        size += len(chunk)
        if size > limit:
            raise Endless(f"more than {limit} bytes of metadata")


def _file(headers: Mapping[str, str], chunks: AsyncIterator[bytes]) -> RemoteFile:
    message = Message()
    disposition = headers.get("Content-Disposition")
    if disposition:
        message["Content-Disposition"] = disposition
    return RemoteFile(headers.get("Content-Type"), message.get_filename(), chunks)
