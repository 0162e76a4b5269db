"""Events that the server sends later (MSC4140): calls leave their rooms by them when a client has gone away."""

from __future__ import annotations

from typing import Any

import orjson

from client_api import AnyonesCall, ClientCall
from client_api.delay import scheduled
from protocol.build import EventDraft
from protocol.matrix_error import InvalidParam
from services.delayed import manage
from services.delayed.manage import DelayedEvent
from web.endpoint import EPHEMERAL, GENERAL, MESSAGES, Auth, endpoint
from web.reply import Json

_BASE = "/_matrix/client/unstable/org.matrix.msc4140"
_ONE = _BASE + "/delayed_events/{delayId}"

_ACTIONS = {"send": manage.send_now, "restart": manage.restart, "cancel": manage.cancel}


@endpoint(
    "PUT",
    _BASE + "/rooms/{roomId}/delayed_event/{eventType}/{txnId}",
    auth=Auth.USER,
    guest=True,
    limit=MESSAGES,
)
async def schedule_delayed_event(call: ClientCall) -> Json:
    """The ID of the event that will be sent; with a `state_key` it is a state event."""
    event_type, content, key = call.path["eventType"], call.object("content"), call.text("state_key", None)
    delay = call.fields.integer("delay_ms", minimum=0)
    return await scheduled(call, EventDraft(event_type, content, key), delay, call.txn_id())


@endpoint("GET", _BASE + "/delayed_events", auth=Auth.USER, guest=True, limit=GENERAL)
async def list_delayed_events(call: ClientCall) -> Json:
    """Those that wait."""
    waiting = await manage.list_delayed(call.tenant, call.requester)
    return {"delayed_events": [_json(event) for event in waiting]}


@endpoint("GET", _ONE, auth=Auth.USER, guest=True, limit=GENERAL)
async def get_delayed_event(call: ClientCall) -> Json:
    """One of them; for some days also what became of it."""
    return _json(await manage.find_delayed(call.tenant, call.requester, call.path["delayId"]))


@endpoint("POST", _ONE, auth=Auth.OPTIONAL, guest=True, limit=EPHEMERAL)
async def update_delayed_event(call: AnyonesCall) -> Json:
    """Sends, restarts or cancels it, as the body says: the form that clients used before there was a path for each."""
    action = call.text("action")
    if action not in _ACTIONS:
        raise InvalidParam("action must be one of " + ", ".join(_ACTIONS))
    return await _manage(call, action)


@endpoint("POST", _ONE + "/send", auth=Auth.OPTIONAL, guest=True, limit=EPHEMERAL)
async def send_delayed_event(call: AnyonesCall) -> Json:
    """Sends it now. Whoever knows its ID may: clients leave it to those who carry their call."""
    return await _manage(call, "send")


@endpoint("POST", _ONE + "/restart", auth=Auth.OPTIONAL, guest=True, limit=EPHEMERAL)
async def restart_delayed_event(call: AnyonesCall) -> Json:
    """Its time begins to run anew."""
    return await _manage(call, "restart")


@endpoint("POST", _ONE + "/cancel", auth=Auth.OPTIONAL, guest=True, limit=EPHEMERAL)
async def cancel_delayed_event(call: AnyonesCall) -> Json:
    """It is not sent."""
    return await _manage(call, "cancel")


async def _manage(call: AnyonesCall, action: str) -> Json:
    await _ACTIONS[action](call.tenant, call.requester, call.path["delayId"])
    return {}


def _json(event: DelayedEvent) -> dict[str, Any]:
    json = {
        "delay_id": event.delay_id,
        "room_id": event.room_id,
        "type": event.type,
        "content": orjson.loads(event.content),
        "delay_ms": event.delay,
        "delayed_since_ts": event.since,
        # The names that the two had earlier in the MSC's life.
        "delay": event.delay,
        "running_since": event.since,
        "scheduled_at": event.since,
    }
    if event.state_key is not None:
        json["state_key"] = event.state_key
    if event.finalised is not None:
        json["finalised"] = _outcome(event, event.finalised)
    return json


def _outcome(event: DelayedEvent, at: int) -> dict[str, Any]:
    outcome: dict[str, Any] = {"finalised_ts": at}
    if event.event_id is not None:
        outcome["event_id"] = event.event_id
    if event.error is not None:
        outcome["error"] = orjson.loads(event.error)
    return outcome
