"""Tags (§Room Tagging): how a user sorts their rooms. They are the account data m.tag of each room."""

from typing import Any

import orjson

from client_api import ClientCall
from client_api.stored_json import has_nul
from protocol.ids import fits
from protocol.matrix_error import BadJson, InvalidParam
from storage.account_data import account_data_of, tag_change, untag_change
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

_TAGS = "/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags"


@endpoint("GET", _TAGS, auth=Auth.USER)
async def get_room_tags(call: ClientCall) -> Json:
    """The room's tags; none for a room that has none."""
    user_id = call.requester_named().user_id
    async with call.tenant.database.read() as tx:
        content = await account_data_of(tx, user_id, call.room_id(), "m.tag")
    tags = orjson.loads(content).get("tags") if content is not None else None
    if not isinstance(tags, dict):
        return {"tags": {}}
    return {"tags": {tag: about for tag, about in tags.items() if isinstance(about, dict)}}


@endpoint("PUT", _TAGS + "/{tag}", auth=Auth.USER, limit=GENERAL)
async def set_room_tag(call: ClientCall) -> Json:
    """Tags the room, or sets the tag's order."""
    user_id, about = call.requester_named().user_id, call.json_object()
    if not _is_number(about.get("order", 0)):
        raise BadJson("order must be a number")
    content = orjson.dumps(about)
    if has_nul(content):
        raise BadJson("Tags may not contain NUL characters")
    await call.tenant.journal.append(tag_change(user_id, call.room_id(), _tag(call), content.decode()))
    return {}


@endpoint("DELETE", _TAGS + "/{tag}", auth=Auth.USER, limit=GENERAL)
async def delete_room_tag(call: ClientCall) -> Json:
    """Takes the tag off the room."""
    user_id = call.requester_named().user_id
    await call.tenant.journal.append(untag_change(user_id, call.room_id(), _tag(call)))
    return {}


def _tag(call: ClientCall) -> str:
    tag = call.path["tag"]
    # «The tag namespace ... a maximum of 255 bytes»
    if not fits(tag):
        raise InvalidParam("A tag is at most 255 bytes long")
    return tag


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
