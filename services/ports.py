"""Ports: questions to the world outside, fulfilled elsewhere and handed in by the assembly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from protocol.ids import RoomAlias, RoomID, ServerName, UserID
from protocol.json import JsonObject
from protocol.matrix_error import NotFound


class Remotes(Protocol):
    """Other servers, as far as rooms, profiles and keys need to ask them; fulfilled by `federation/client`."""

    @property
    def reachable(self) -> bool:
        """False when federation is off: then whoever needs another server tells the client so."""

    async def profile(self, user_id: UserID) -> JsonObject:
        """The profile of a user of another server; raises NotFound or Forbidden."""

    async def resolve_alias(self, alias: RoomAlias) -> tuple[RoomID, list[ServerName]]:
        """The room of an alias of another server, and servers that are in it; raises NotFound."""

    async def public_rooms(self, server: ServerName, query: JsonObject) -> JsonObject:
        """A page of another server's room directory; `query` is the body of its queryPublicRooms. Raises NotFound."""


class Blobs(Protocol):
    """Bytes kept under their SHA-256 digest: a folder, or an S3 bucket."""

    async def write(self, chunks: AsyncIterator[bytes], limit: int) -> tuple[bytes, int]:
        """Keeps the bytes; their digest and number. Raises TooLarge past the limit, and then keeps nothing."""

    async def size(self, digest: bytes) -> int | None:
        """How many bytes the blob has; None when it is not there."""

    def read(self, digest: bytes, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`, in chunks."""

    async def delete(self, digest: bytes) -> None:
        """Forgets the blob, if it is there."""


class NoRemotes:
    """Federation switched off."""

    reachable = False

    async def profile(self, user_id: UserID) -> JsonObject:
        """Nobody is asked."""
        raise NotFound("This server does not ask other servers for profiles")

    async def resolve_alias(self, alias: RoomAlias) -> tuple[RoomID, list[ServerName]]:
        """Nobody is asked."""
        raise NotFound("This server does not ask other servers for aliases")

    async def public_rooms(self, server: ServerName, query: JsonObject) -> JsonObject:
        """Nobody is asked."""
        raise NotFound("This server does not ask other servers for their rooms")
