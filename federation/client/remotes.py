"""Other servers, asked: one method a question, one endpoint of theirs each (`services.ports.Remotes`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Final

import orjson

from federation.client.answer import Answer
from federation.client.connections import Connections
from federation.client.keyring import Keyring
from federation.client.media import RemoteMedia
from federation.client.old_servers import ask_either
from federation.client.request import EVENTS, STATE, Question, Requests, body_of, path_of
from protocol.events import Event
from protocol.ids import EventID, RoomAlias, RoomID, ServerName, UserID, server_of
from protocol.json import JsonObject, canonical_lenient
from protocol.room_versions import RoomVersion
from services.ports import (
    Joined,
    RemoteFile,
    ResolvedAlias,
    StateIds,
    StatePdus,
    Template,
    VerifyKeys,
    WantedKeys,
)
from services.tenant import Clock

V1: Final = "/_matrix/federation/v1"
V2: Final = "/_matrix/federation/v2"
MAX_STATE: Final = 500_000
MAX_EVENTS: Final = 1_000
MAX_SERVERS: Final = 20_000
MAX_ALIAS_SERVERS: Final = 200
MAX_ERROR: Final = 200
JOIN_SECONDS: Final = 300.0


class FederationRemotes:
    """The port `Remotes`, over HTTPS."""

    reachable = True

    def __init__(self, requests: Requests, connections: Connections, keyring: Keyring, clock: Clock) -> None:
        self._requests = requests
        self._keyring = keyring
        self._media = RemoteMedia(requests, connections)
        self._clock = clock

    # -- handshakes

    async def make_join(
        self, server: ServerName, room_id: RoomID, user_id: UserID, versions: Sequence[str]
    ) -> Template:
        """A join to complete."""
        return await self._make("make_join", server, room_id, user_id, versions)

    async def make_leave(self, server: ServerName, room_id: RoomID, user_id: UserID) -> Template:
        """A leave to complete."""
        return await self._make("make_leave", server, room_id, user_id, ())

    async def make_knock(
        self, server: ServerName, room_id: RoomID, user_id: UserID, versions: Sequence[str]
    ) -> Template:
        """A knock to complete."""
        return await self._make("make_knock", server, room_id, user_id, versions)

    async def _make(
        self, what: str, server: ServerName, room_id: RoomID, user_id: UserID, versions: Sequence[str]
    ) -> Template:
        path = path_of(f"{V1}/{what}", room_id, user_id, query=[("ver", version) for version in versions])
        said = await self._ask(server, Question("GET", path))
        # «room_version: if not provided, the room version is assumed to be either "1" or "2"» (make_join)
        return Template(said.or_none("room_version", str) or "1", said.of("event", dict))

    async def send_join(
        self, server: ServerName, room_id: RoomID, event: Event, *, omit_members: bool
    ) -> Joined:
        """The room's state, perhaps without its members."""
        query = [("omit_members", "true")] if omit_members else []
        path = path_of(f"{V2}/send_join", room_id, event.event_id, query=query)
        question = Question("PUT", path, canonical_lenient(event.json), STATE, JOIN_SECONDS)
        said = await self._ask_either(server, question)
        return Joined(
            event=said.or_none("event", dict),
            state=said.objects("state", MAX_STATE),
            auth_chain=said.objects("auth_chain", MAX_STATE),
            members_omitted=said.or_none("members_omitted", bool) or False,
            servers_in_room=said.servers("servers_in_room", MAX_SERVERS),
        )

    async def send_leave(self, server: ServerName, room_id: RoomID, event: Event) -> None:
        """Hands in a leave."""
        path = path_of(f"{V2}/send_leave", room_id, event.event_id)
        await self._ask_either(server, Question("PUT", path, canonical_lenient(event.json)))

    async def send_knock(self, server: ServerName, room_id: RoomID, event: Event) -> list[JsonObject]:
        """What the room shows to those who knock."""
        path = path_of(f"{V1}/send_knock", room_id, event.event_id)
        said = await self._ask(server, Question("PUT", path, canonical_lenient(event.json), EVENTS))
        return said.objects("knock_room_state", MAX_EVENTS)

    async def invite(
        self, server: ServerName, version: RoomVersion, event: Event, stripped: Sequence[JsonObject]
    ) -> JsonObject:
        """The event with the other server's signature; by v1 of servers that do not know v2."""
        body = body_of({"room_version": version.id, "event": event.json, "invite_room_state": list(stripped)})
        ids = (event.room_id, event.event_id)
        new = Question("PUT", path_of(f"{V2}/invite", *ids), body)
        if version.event_id_is_hash:  # a server that knows only v1 knows no such rooms
            return (await self._ask(server, new)).of("event", dict)
        unsigned = {**event.json.get("unsigned", {}), "invite_room_state": list(stripped)}
        old = Question("PUT", path_of(f"{V1}/invite", *ids), body_of({**event.json, "unsigned": unsigned}))
        return Answer(server, await ask_either(self._requests, server, new, old)).of("event", dict)

    async def exchange_third_party_invite(
        self, server: ServerName, room_id: RoomID, event: JsonObject
    ) -> None:
        """Asks for an invite in exchange for a third-party invite."""
        path = path_of(f"{V1}/exchange_third_party_invite", room_id)
        await self._ask(server, Question("PUT", path, body_of(event)))

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
        """Events between these."""
        wanted = {
            "earliest_events": list(earliest),
            "latest_events": list(latest),
            "limit": limit,
            "min_depth": min_depth,
        }
        path = path_of(f"{V1}/get_missing_events", room_id)
        said = await self._ask(server, Question("POST", path, body_of(wanted), EVENTS))
        return said.objects("events", MAX_EVENTS)

    async def state_ids(self, server: ServerName, room_id: RoomID, event_id: EventID) -> StateIds:
        """The state before the event, by IDs."""
        path = path_of(f"{V1}/state_ids", room_id, query=[("event_id", event_id)])
        said = await self._ask(server, Question("GET", path, limit=STATE))
        return StateIds(said.event_ids("pdu_ids", MAX_STATE), said.event_ids("auth_chain_ids", MAX_STATE))

    async def state(self, server: ServerName, room_id: RoomID, event_id: EventID) -> StatePdus:
        """The state before the event."""
        path = path_of(f"{V1}/state", room_id, query=[("event_id", event_id)])
        said = await self._ask(server, Question("GET", path, limit=STATE, seconds=JOIN_SECONDS))
        return StatePdus(said.objects("pdus", MAX_STATE), said.objects("auth_chain", MAX_STATE))

    async def event(self, server: ServerName, event_id: EventID) -> JsonObject:
        """One event."""
        said = await self._ask(server, Question("GET", path_of(f"{V1}/event", event_id)))
        pdus = said.objects("pdus", MAX_EVENTS)
        if len(pdus) != 1:
            raise said.bad("not one event")
        return pdus[0]

    async def event_auth(self, server: ServerName, room_id: RoomID, event_id: EventID) -> list[JsonObject]:
        """The event's auth chain."""
        path = path_of(f"{V1}/event_auth", room_id, event_id)
        said = await self._ask(server, Question("GET", path, limit=STATE))
        return said.objects("auth_chain", MAX_STATE)

    async def backfill(
        self, server: ServerName, room_id: RoomID, event_ids: Sequence[EventID], limit: int
    ) -> list[JsonObject]:
        """Events up to and including these."""
        query = [("v", event_id) for event_id in event_ids] + [("limit", str(limit))]
        said = await self._ask(
            server, Question("GET", path_of(f"{V1}/backfill", room_id, query=query), limit=EVENTS)
        )
        return said.objects("pdus", MAX_EVENTS)

    async def timestamp_to_event(
        self, server: ServerName, room_id: RoomID, timestamp: int, direction: str
    ) -> tuple[EventID, int]:
        """The closest event."""
        query = [("ts", str(timestamp)), ("dir", direction)]
        path = path_of(f"{V1}/timestamp_to_event", room_id, query=query)
        said = await self._ask(server, Question("GET", path))
        return said.event_id("event_id"), said.of("origin_server_ts", int)

    async def send_transaction(
        self, server: ServerName, txn_id: str, pdus: Sequence[bytes], edus: Sequence[JsonObject]
    ) -> dict[EventID, str | None]:
        """What became of each PDU."""
        content: JsonObject = {
            "origin": self._requests.name,
            "origin_server_ts": self._clock.now(),
            "pdus": [orjson.Fragment(pdu) for pdu in pdus],
        }
        if edus:
            content["edus"] = [orjson.Fragment(canonical_lenient(edu)) for edu in edus]
        body = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        said = await self._ask(server, Question("PUT", path_of(f"{V1}/send", txn_id), body))
        return {
            EventID(event_id): _error_in(result)
            for event_id, result in (said.or_none("pdus", dict) or {}).items()
        }

    # -- queries

    async def profile(self, user_id: UserID, field: str | None = None) -> JsonObject:
        """The profile, or a field of it."""
        query = [("user_id", user_id)] + ([("field", field)] if field is not None else [])
        path = path_of(f"{V1}/query/profile", query=query)
        return (await self._ask(server_of(user_id), Question("GET", path, has_events=False))).json

    async def resolve_alias(self, alias: RoomAlias) -> ResolvedAlias:
        """The room of an alias."""
        path = path_of(f"{V1}/query/directory", query=[("room_alias", alias)])
        said = await self._ask(server_of(alias), Question("GET", path, has_events=False))
        return ResolvedAlias(
            said.room_id("room_id"), said.servers("servers", MAX_SERVERS)[:MAX_ALIAS_SERVERS]
        )

    async def public_rooms(self, server: ServerName, query: JsonObject) -> JsonObject:
        """A page of the directory."""
        question = Question("POST", f"{V1}/publicRooms", body_of(query), EVENTS, has_events=False)
        said = await self._ask(server, question)
        return {**said.json, "chunk": said.objects("chunk", MAX_EVENTS)}

    async def hierarchy(self, server: ServerName, room_id: RoomID, suggested_only: bool) -> JsonObject:
        """A space and its children."""
        query = [("suggested_only", "true" if suggested_only else "false")]
        path = path_of(f"{V1}/hierarchy", room_id, query=query)
        said = await self._ask(server, Question("GET", path, limit=EVENTS, has_events=False))
        said.of("room", dict)
        return {**said.json, "children": said.objects("children", MAX_EVENTS)}

    async def user_devices(self, user_id: UserID) -> JsonObject:
        """The user's devices."""
        path = path_of(f"{V1}/user/devices", user_id)
        said = await self._ask(server_of(user_id), Question("GET", path, limit=EVENTS, has_events=False))
        said.of("stream_id", int)
        return {**said.json, "devices": said.objects("devices", MAX_EVENTS * 10)}

    async def query_keys(self, server: ServerName, wanted: Mapping[str, Sequence[str]]) -> JsonObject:
        """Device keys and cross-signing keys."""
        body = body_of({"device_keys": {user: list(devices) for user, devices in wanted.items()}})
        said = await self._ask(
            server, Question("POST", f"{V1}/user/keys/query", body, EVENTS, has_events=False)
        )
        said.of("device_keys", dict)
        return said.json

    async def claim_keys(self, server: ServerName, wanted: Mapping[str, Mapping[str, str]]) -> JsonObject:
        """One-time keys."""
        body = body_of({"one_time_keys": {user: dict(devices) for user, devices in wanted.items()}})
        said = await self._ask(
            server, Question("POST", f"{V1}/user/keys/claim", body, EVENTS, has_events=False)
        )
        said.of("one_time_keys", dict)
        return said.json

    async def policy_sign(self, server: ServerName, event: JsonObject) -> JsonObject:
        """A policy server's signature."""
        question = Question("POST", "/_matrix/policy/v1/sign", canonical_lenient(event))
        return (await self._ask(server, question)).json

    # -- media and keys

    def media(self, server: ServerName, media_id: str, limit: int) -> AbstractAsyncContextManager[RemoteFile]:
        """A file."""
        return self._media.download(server, media_id, limit)

    def thumbnail(
        self, server: ServerName, media_id: str, limit: int, query: Mapping[str, str]
    ) -> AbstractAsyncContextManager[RemoteFile]:
        """A thumbnail."""
        return self._media.thumbnail(server, media_id, limit, query)

    async def verify_keys(self, wanted: WantedKeys, *, may_fetch: bool = True) -> VerifyKeys:
        """Those of the keys that could be found."""
        return await self._keyring.verify_keys(wanted, may_fetch=may_fetch)

    async def published_keys(self, wanted: WantedKeys, may_fetch: bool) -> list[JsonObject]:
        """The signed key objects of servers."""
        return await self._keyring.published(wanted, may_fetch)

    async def _ask_either(self, server: ServerName, new: Question) -> Answer:
        """The answer by v2, or by v1, which takes the same and knows no query."""
        old = replace(new, path=new.path.replace(V2, V1, 1).partition("?")[0])
        return Answer(server, await ask_either(self._requests, server, new, old))

    async def _ask(self, server: ServerName, question: Question) -> Answer:
        return Answer(server, await self._requests.ask(server, question))


def _error_in(result: Any) -> str | None:
    error = result.get("error") if isinstance(result, dict) else None
    return None if error is None else str(error)[:MAX_ERROR]
