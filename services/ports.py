"""Ports: questions to the world outside, fulfilled elsewhere and handed in by the assembly."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from protocol.events import Event
from protocol.ids import EventID, RoomAlias, RoomID, ServerName, UserID
from protocol.json import JsonObject
from protocol.matrix_error import MatrixError, Translated, Unknown
from protocol.room_versions import RoomVersion
from protocol.signing import VerifyKey
from storage.blobs import Held

BAD_GATEWAY = 502
_PASSED_ON = (400, 403, 404)

VerifyKeys = Mapping[ServerName, Mapping[str, VerifyKey]]
WantedKeys = Mapping[ServerName, Mapping[str, int]]
"""Of each server its key IDs, and until when (ms) each should be valid."""


class RemoteFailed(Translated):
    """Another server could not be asked (`status` None), refused, or answered nonsense (its `status`, no `errcode`).

    To our own caller a refusal is passed on; that the other server is ill is said as such (502).
    """

    def __init__(
        self,
        server: ServerName,
        status: int | None,
        errcode: str | None,
        message: str,
        body: JsonObject | None = None,
    ) -> None:
        if status in _PASSED_ON and errcode is not None:
            told = MatrixError(message, status=status, errcode=errcode)
        else:
            told = Unknown(f"{server}: {message}", status=BAD_GATEWAY)
        super().__init__(f"{server}: {message}", told)
        self.server = server
        self.status = status
        self.errcode = errcode
        self.message = message
        self.body: JsonObject = body or {}
        """The whole error object: some codes say more."""


@dataclass(frozen=True, slots=True)
class Template:
    """What make_join, make_leave and make_knock answer: an event to complete; nothing in it is checked yet."""

    room_version: str
    event: JsonObject


@dataclass(frozen=True, slots=True)
class Joined:
    """What send_join answers; the events are not checked yet."""

    event: JsonObject | None
    state: list[JsonObject]
    auth_chain: list[JsonObject]
    members_omitted: bool
    servers_in_room: list[ServerName]


@dataclass(frozen=True, slots=True)
class StateIds:
    """The room state before an event, and its auth chain, by event IDs."""

    pdu_ids: list[EventID]
    auth_chain_ids: list[EventID]


@dataclass(frozen=True, slots=True)
class StatePdus:
    """The room state before an event, and its auth chain; the events are not checked yet."""

    pdus: list[JsonObject]
    auth_chain: list[JsonObject]


@dataclass(frozen=True, slots=True)
class ResolvedAlias:
    """The room that an alias points to, and servers that are in it."""

    room_id: RoomID
    servers: list[ServerName]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of another server, as it comes; reading `chunks` raises RemoteFailed past the limit."""

    content_type: str | None
    file_name: str | None
    chunks: AsyncIterator[bytes]


class Remotes(Protocol):
    """Other servers, as far as rooms, profiles and keys need to ask them; fulfilled by `federation/client`.

    Each method raises RemoteFailed. Replies have been checked for their shape and are bounded in size; nothing is
    said of the signatures, hashes and contents of events in them.
    """

    @property
    def reachable(self) -> bool:
        """False when federation is off: then whoever needs another server tells the client so."""

    # -- handshakes

    async def make_join(
        self, server: ServerName, room_id: RoomID, user_id: UserID, versions: Sequence[str]
    ) -> Template:
        """A join to complete; `versions` are the room versions that we know."""

    async def make_leave(self, server: ServerName, room_id: RoomID, user_id: UserID) -> Template:
        """A leave to complete."""

    async def make_knock(
        self, server: ServerName, room_id: RoomID, user_id: UserID, versions: Sequence[str]
    ) -> Template:
        """A knock to complete."""

    async def send_join(
        self, server: ServerName, room_id: RoomID, event: Event, *, omit_members: bool
    ) -> Joined:
        """Hands in a join; the room's state (perhaps without its members)."""

    async def send_leave(self, server: ServerName, room_id: RoomID, event: Event) -> None:
        """Hands in a leave."""

    async def send_knock(self, server: ServerName, room_id: RoomID, event: Event) -> list[JsonObject]:
        """Hands in a knock; what the room shows to those who knock (knock_room_state)."""

    async def invite(
        self, server: ServerName, version: RoomVersion, event: Event, stripped: Sequence[JsonObject]
    ) -> JsonObject:
        """Hands in an invite; the event with the other server's signature."""

    async def exchange_third_party_invite(
        self, server: ServerName, room_id: RoomID, event: JsonObject
    ) -> None:
        """Asks a server of the room to make an invite out of a third-party invite."""

    # -- events and state

    async def missing_events(
        self,
        server: ServerName,
        room_id: RoomID,
        earliest: Sequence[EventID],
        latest: Sequence[EventID],
        limit: int,
        min_depth: int,
    ) -> list[JsonObject]:
        """Events between `earliest` and `latest`, both left out."""

    async def state_ids(self, server: ServerName, room_id: RoomID, event_id: EventID) -> StateIds:
        """The state before the event, by IDs."""

    async def state(self, server: ServerName, room_id: RoomID, event_id: EventID) -> StatePdus:
        """The state before the event."""

    async def event(self, server: ServerName, event_id: EventID) -> JsonObject:
        """One event."""

    async def event_auth(self, server: ServerName, room_id: RoomID, event_id: EventID) -> list[JsonObject]:
        """The event's auth chain."""

    async def backfill(
        self, server: ServerName, room_id: RoomID, event_ids: Sequence[EventID], limit: int
    ) -> list[JsonObject]:
        """Events up to and including these."""

    async def timestamp_to_event(
        self, server: ServerName, room_id: RoomID, timestamp: int, direction: str
    ) -> tuple[EventID, int]:
        """The closest event to a time in the direction `f` or `b`, and its own time."""

    async def send_transaction(
        self, server: ServerName, txn_id: str, pdus: Sequence[bytes], edus: Sequence[JsonObject]
    ) -> dict[EventID, str | None]:
        """What became of each PDU: None, or why the other server did not take it."""

    # -- queries

    async def profile(self, user_id: UserID, field: str | None = None) -> JsonObject:
        """The profile, or a field of it, of a user of another server."""

    async def resolve_alias(self, alias: RoomAlias) -> ResolvedAlias:
        """The room of an alias of another server."""

    async def public_rooms(self, server: ServerName, query: JsonObject) -> JsonObject:
        """A page of another server's room directory; `query` is the body of its queryPublicRooms."""

    async def hierarchy(self, server: ServerName, room_id: RoomID, suggested_only: bool) -> JsonObject:
        """A space and its children, as the other server knows them: `room`, `children`, `inaccessible_children`."""

    async def user_devices(self, user_id: UserID) -> JsonObject:
        """The devices of a user of another server: `devices`, `stream_id`, cross-signing keys."""

    async def query_keys(self, server: ServerName, wanted: Mapping[str, Sequence[str]]) -> JsonObject:
        """`device_keys`, `master_keys`, `self_signing_keys` of users; of each the named devices, or all."""

    async def claim_keys(self, server: ServerName, wanted: Mapping[str, Mapping[str, str]]) -> JsonObject:
        """`one_time_keys` of users' devices: {user: {device: algorithm}}."""

    async def policy_sign(self, server: ServerName, event: JsonObject) -> JsonObject:
        """What a policy server signs of an event: {server: {key ID: signature}}; it refuses with an error."""

    # -- media

    def media(self, server: ServerName, media_id: str, limit: int) -> AbstractAsyncContextManager[RemoteFile]:
        """A file; no more than `limit` bytes of it."""

    def thumbnail(
        self, server: ServerName, media_id: str, limit: int, query: Mapping[str, str]
    ) -> AbstractAsyncContextManager[RemoteFile]:
        """A thumbnail; `query` has width, height, method, animated."""

    # -- the keys that servers sign with

    async def verify_keys(self, wanted: WantedKeys, *, may_fetch: bool = True) -> VerifyKeys:
        """Those of the keys that could be found, with what validity they have; asks where ours do not last as
        long as wanted, and never raises."""

    async def published_keys(self, wanted: WantedKeys, may_fetch: bool) -> list[JsonObject]:
        """The signed key objects of servers, as they were published: a notary's answer. No key IDs: all."""


class Blobs(Protocol):
    """Bytes kept under their SHA-256 digest: a folder, or an S3 bucket."""

    async def write(self, chunks: AsyncIterable[bytes], limit: int) -> tuple[bytes, int]:
        """Keeps the bytes; their digest and number. Raises TooLarge past the limit, and then keeps nothing."""

    async def size(self, digest: bytes) -> int | None:
        """How many bytes the blob has; None when it is not there."""

    def read(self, digest: bytes, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`, in chunks."""

    def path(self, digest: bytes) -> Path | None:
        """The blob's file, if it is one of this machine's (whether it is there or not)."""

    async def delete(self, digest: bytes) -> None:
        """Forgets the blob, if it is there."""

    async def held(self, first: int) -> Sequence[Held]:
        """The blobs whose digest begins with this byte."""

    async def forget_unfinished(self, before: int) -> None:
        """Gives up what was begun before that time (ms since 1970) and has not come in whole."""


class NoRemotes:
    """Federation switched off: nobody is asked."""

    reachable = False

    async def _refused(self, *_: Any, **__: Any) -> Any:
        """Nobody is asked."""
        raise RemoteFailed(
            ServerName("others"), 404, "M_NOT_FOUND", "this server does not talk to other servers"
        )

    def _refused_at_once(self, *_: Any, **__: Any) -> Any:
        """Nobody is asked."""
        raise RemoteFailed(
            ServerName("others"), 404, "M_NOT_FOUND", "this server does not talk to other servers"
        )

    make_join = make_leave = make_knock = send_join = send_leave = send_knock = _refused
    invite = exchange_third_party_invite = send_transaction = _refused
    missing_events = state_ids = state = event = event_auth = backfill = timestamp_to_event = _refused
    profile = resolve_alias = public_rooms = hierarchy = user_devices = query_keys = claim_keys = _refused
    policy_sign = _refused
    media = thumbnail = _refused_at_once

    async def verify_keys(self, wanted: WantedKeys, *, may_fetch: bool = True) -> VerifyKeys:
        """No keys are known."""
        return {}

    async def published_keys(self, wanted: WantedKeys, may_fetch: bool) -> list[JsonObject]:
        """No keys are known."""
        return []
