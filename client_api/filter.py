"""Filters (§Filtering): kept for clients, to be named instead of repeated."""

from hashlib import sha256

import orjson

from client_api import ClientCall
from protocol.filters import parse_filter
from protocol.matrix_error import NotFound
from storage.filters import add_filter
from storage.filters import get_filter as stored_filter
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

_FILTERS = "/_matrix/client/v3/user/{userId}/filter"
MAX_DIGITS = 18


@endpoint("POST", _FILTERS, auth=Auth.USER, limit=GENERAL)
async def define_filter(call: ClientCall) -> Json:
    """The filter's ID; the same filter has the same one."""
    user_id, definition = call.requester_named().user_id, call.json_object()
    parse_filter(definition)
    written = orjson.dumps(definition, option=orjson.OPT_SORT_KEYS)
    async with call.tenant.database.read() as tx:
        return {"filter_id": str(await add_filter(tx, user_id, sha256(written).digest(), written))}


@endpoint("GET", _FILTERS + "/{filterId}", auth=Auth.USER)
async def get_filter(call: ClientCall) -> Json:
    """The filter as it was defined."""
    user_id, filter_id = call.requester_named().user_id, call.path["filterId"]
    if not (filter_id.isascii() and filter_id.isdecimal() and len(filter_id) <= MAX_DIGITS):
        raise NotFound("There is no such filter")
    async with call.tenant.database.read() as tx:
        written = await stored_filter(tx, user_id, int(filter_id))
    if written is None:
        raise NotFound("There is no such filter")
    definition: Json = orjson.loads(written)
    return definition
