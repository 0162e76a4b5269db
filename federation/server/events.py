"""Events, and the state and auth chains below them (§Retrieving events)."""

from __future__ import annotations

from federation import ServerCall
from protocol.errors import InvalidId
from protocol.ids import EventID, parse_event_id
from protocol.json import JsonObject
from protocol.matrix_error import InvalidParam, MissingParam
from services.rooms.serving import events, state
from services.rooms.serving.events import Gap
from services.tenant import Tenant
from web.endpoint import Auth, endpoint
from web.reply import Json

_DEFAULT_MISSING = 10


@endpoint("GET", "/_matrix/federation/v1/event/{eventId}", auth=Auth.SERVER)
async def get_event(call: ServerCall) -> Json:
    """A single event, as a transaction."""
    event = await events.event_for_server(call.tenant, call.requester.server_name, call.event_id())
    return _transaction(call.tenant, [event])


@endpoint("GET", "/_matrix/federation/v1/event_auth/{roomId}/{eventId}", auth=Auth.SERVER)
async def get_event_auth(call: ServerCall) -> Json:
    """The auth chain of an event."""
    server = call.requester.server_name
    chain = await state.event_auth_for_server(call.tenant, server, call.room_id(), call.event_id())
    return {"auth_chain": chain}


@endpoint("GET", "/_matrix/federation/v1/state/{roomId}", auth=Auth.SERVER)
async def get_room_state(call: ServerCall) -> Json:
    """The room's state before an event, whole."""
    event_id = _event_id(call.query_text("event_id"))
    found = await state.state_for_server(call.tenant, call.requester.server_name, call.room_id(), event_id)
    return {"pdus": found.state, "auth_chain": found.chain}


@endpoint("GET", "/_matrix/federation/v1/state_ids/{roomId}", auth=Auth.SERVER)
async def get_room_state_ids(call: ServerCall) -> Json:
    """The room's state before an event, by IDs."""
    event_id = _event_id(call.query_text("event_id"))
    server = call.requester.server_name
    found = await state.state_ids_for_server(call.tenant, server, call.room_id(), event_id)
    return {"pdu_ids": found.state, "auth_chain_ids": found.chain}


@endpoint("GET", "/_matrix/federation/v1/backfill/{roomId}", auth=Auth.SERVER)
async def backfill_room(call: ServerCall) -> Json:
    """Events and what came before them."""
    starts = [_event_id(text) for text in call.query_all("v")]
    if not starts:
        raise MissingParam("v is missing")
    limit = call.query_integer("limit", events.MAX_BACKFILL, 1)
    server = call.requester.server_name
    found = await events.backfill_for_server(call.tenant, server, call.room_id(), starts, limit)
    return _transaction(call.tenant, found)


@endpoint("POST", "/_matrix/federation/v1/get_missing_events/{roomId}", auth=Auth.SERVER)
async def get_missing_previous_events(call: ServerCall) -> Json:
    """The events between those that the server has and those that it was sent."""
    gap = Gap(
        earliest=[_event_id(text) for text in call.strings("earliest_events")],
        latest=[_event_id(text) for text in call.strings("latest_events")],
        limit=call.integer("limit", _DEFAULT_MISSING, minimum=0),
        min_depth=call.integer("min_depth", 0),
    )
    room_id = call.room_id()
    return {"events": await events.missing_for_server(call.tenant, call.requester.server_name, room_id, gap)}


@endpoint("GET", "/_matrix/federation/v1/timestamp_to_event/{roomId}", auth=Auth.SERVER)
async def get_event_by_timestamp(call: ServerCall) -> Json:
    """The event that is next to a time."""
    direction = call.query_text("dir")
    if direction not in ("f", "b"):
        raise InvalidParam("dir is f or b")
    call.query_text("ts")
    at = call.query_integer("ts", 0)
    event_id, origin_server_ts = await events.event_at_time_for_server(
        call.tenant, call.requester.server_name, call.room_id(), at, forwards=direction == "f"
    )
    return {"event_id": event_id, "origin_server_ts": origin_server_ts}


def _event_id(text: str) -> EventID:
    try:
        return parse_event_id(text)
    except InvalidId as error:
        raise InvalidParam(str(error)) from None


def _transaction(tenant: Tenant, pdus: list[JsonObject]) -> Json:
    return {"origin": tenant.name, "origin_server_ts": tenant.clock.now(), "pdus": pdus}
