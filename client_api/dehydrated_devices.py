"""Dehydrated devices (MSC3814): a device that is kept here, so that messages reach a user who is logged in nowhere."""

from __future__ import annotations

import orjson

from client_api import ClientCall
from protocol.matrix_error import InvalidParam
from services.keys import dehydrated
from services.keys.dehydrated import Batch, Upload
from services.keys.upload import KeysUpload
from web.endpoint import KEYS, Auth, endpoint
from web.reply import Json

_DEVICE = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"
_EVENTS = _DEVICE + "/{deviceId}/events"
MAX_BODY = 1024 * 1024
MAX_LIMIT = 1000
LIMIT = 100


@endpoint("PUT", _DEVICE, auth=Auth.USER, limit=KEYS, max_body=MAX_BODY)
async def put_dehydrated_device(call: ClientCall) -> Json:
    """Keeps the device; the one that was kept before is deleted."""
    fields = call.fields
    upload = Upload(
        device_id=fields.text("device_id"),
        device_data=fields.object("device_data"),
        display_name=fields.text("initial_device_display_name", "Dehydrated device"),
        keys=KeysUpload(
            device_keys=fields.object("device_keys"),
            one_time_keys=fields.object("one_time_keys", {}),
            fallback_keys=fields.object("fallback_keys", {}),
        ),
    )
    await dehydrated.put_dehydrated(call.tenant, call.requester, upload)
    return {"device_id": upload.device_id}


@endpoint("GET", _DEVICE, auth=Auth.USER, limit=KEYS)
async def get_dehydrated_device(call: ClientCall) -> Json:
    """The device as it was put."""
    found = await dehydrated.get_dehydrated(call.tenant, call.requester)
    return {"device_id": found.device_id, "device_data": orjson.Fragment(found.device_data)}


@endpoint("DELETE", _DEVICE, auth=Auth.USER, limit=KEYS)
async def delete_dehydrated_device(call: ClientCall) -> Json:
    """The ID of what was deleted."""
    return {"device_id": await dehydrated.delete_dehydrated(call.tenant, call.requester)}


@endpoint("GET", _EVENTS, auth=Auth.USER, limit=KEYS)
async def get_dehydrated_events(call: ClientCall) -> Json:
    """Messages to the device, batch by batch; without a `next_batch` it was the last one."""
    limit = call.query_integer("limit", LIMIT, minimum=1, maximum=MAX_LIMIT)
    batch = await _batch(call, call.query_text("from", None), limit)
    return _events(batch) if batch.is_last else _events(batch) | {"next_batch": str(batch.position)}


@endpoint("POST", _EVENTS, auth=Auth.USER, limit=KEYS)
async def post_dehydrated_events(call: ClientCall) -> Json:
    """The same in its older form: clients go on until there are no events."""
    batch = await _batch(call, call.text("next_batch", None), LIMIT)
    return _events(batch) | {"next_batch": str(batch.position)}


async def _batch(call: ClientCall, token: str | None, limit: int) -> Batch:
    if token is not None and not (token.isascii() and token.isdecimal() and len(token) < 19):
        raise InvalidParam("This is not a token of an earlier batch")
    device_id = call.path["deviceId"]
    return await dehydrated.dehydrated_events(call.tenant, call.requester, device_id, int(token or 0), limit)


def _events(batch: Batch) -> dict[str, object]:
    return {"events": [orjson.Fragment(event) for event in batch.events]}
