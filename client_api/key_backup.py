"""Backups of room keys (§Server-side key backups)."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from orjson import Fragment

from client_api import ClientCall
from protocol.ids import parse_room_id
from protocol.matrix_error import BadJson, InvalidParam, NotFound
from services.keys import backup
from services.keys.backup import Backup, Session, Shelf
from services.keys.names import checked_name
from web.body import Fields
from web.endpoint import KEYS, Auth, endpoint
from web.reply import Json

MAX_BODY = 16 * 1024 * 1024
"""Clients upload some hundreds of sessions at once."""

VERSIONS = "/_matrix/client/v3/room_keys/version"
ALL_KEYS = "/_matrix/client/v3/room_keys/keys"
ROOM = ALL_KEYS + "/{roomId}"
SESSION = ROOM + "/{sessionId}"


@endpoint("POST", VERSIONS, auth=Auth.USER, limit=KEYS)
async def post_room_keys_version(call: ClientCall) -> Json:
    """The new version, which takes the place of the others."""
    algorithm = checked_name(call.text("algorithm"), "algorithm")
    auth_data = call.object("auth_data")
    user_id = call.requester.user_id
    return {"version": await backup.create_backup(call.tenant, user_id, algorithm, auth_data)}


@endpoint("GET", VERSIONS, auth=Auth.USER, limit=KEYS)
async def get_room_keys_version_current(call: ClientCall) -> Json:
    """The current version."""
    return _described(await backup.find_backup(call.tenant, call.requester.user_id, None))


@endpoint("GET", VERSIONS + "/{version}", auth=Auth.USER, limit=KEYS)
async def get_room_keys_version(call: ClientCall) -> Json:
    """A version."""
    return _described(await backup.find_backup(call.tenant, call.requester.user_id, call.path["version"]))


@endpoint("PUT", VERSIONS + "/{version}", auth=Auth.USER, limit=KEYS)
async def put_room_keys_version(call: ClientCall) -> Json:
    """Replaces the version's auth_data."""
    version, user_id = call.path["version"], call.requester.user_id
    algorithm, auth_data = call.text("algorithm"), call.object("auth_data")
    if call.text("version", version) != version:
        raise InvalidParam("The version in the body is not that in the path")
    await backup.update_backup(call.tenant, user_id, version, algorithm, auth_data)
    return {}


@endpoint("DELETE", VERSIONS + "/{version}", auth=Auth.USER, limit=KEYS)
async def delete_room_keys_version(call: ClientCall) -> Json:
    """Deletes the version and its keys."""
    await backup.remove_backup(call.tenant, call.requester.user_id, call.path["version"])
    return {}


@endpoint("PUT", ALL_KEYS, auth=Auth.USER, limit=KEYS, max_body=MAX_BODY)
async def put_room_keys(call: ClientCall) -> Json:
    """Merges sessions of several rooms into the backup."""
    rooms = call.object("rooms")
    sessions = [
        session
        for room_id in rooms
        for session in _sessions(parse_room_id(room_id), Fields(Fields(rooms).object(room_id, {})))
    ]
    return _updated(await backup.store_sessions(call.tenant, _everything(call), sessions))


@endpoint("PUT", ROOM, auth=Auth.USER, limit=KEYS, max_body=MAX_BODY)
async def put_room_keys_by_room_id(call: ClientCall) -> Json:
    """Merges sessions of a room into the backup."""
    sessions = list(_sessions(call.room_id(), call.fields))
    return _updated(await backup.store_sessions(call.tenant, _room(call), sessions))


@endpoint("PUT", SESSION, auth=Auth.USER, limit=KEYS)
async def put_room_key_by_session_id(call: ClientCall) -> Json:
    """Merges a session into the backup."""
    session = _session(call.room_id(), call.path["sessionId"], call.fields)
    return _updated(await backup.store_sessions(call.tenant, _one(call), [session]))


@endpoint("GET", ALL_KEYS, auth=Auth.USER, limit=KEYS)
async def get_room_keys(call: ClientCall) -> Json:
    """All sessions."""
    rooms = await backup.stored_sessions(call.tenant, _everything(call))
    return {"rooms": {room_id: {"sessions": sessions} for room_id, sessions in rooms.items()}}


@endpoint("GET", ROOM, auth=Auth.USER, limit=KEYS)
async def get_room_keys_by_room_id(call: ClientCall) -> Json:
    """The sessions of a room."""
    rooms = await backup.stored_sessions(call.tenant, _room(call))
    return {"sessions": rooms.get(call.room_id(), {})}


@endpoint("GET", SESSION, auth=Auth.USER, limit=KEYS)
async def get_room_key_by_session_id(call: ClientCall) -> Json:
    """A session."""
    rooms = await backup.stored_sessions(call.tenant, _one(call))
    if not rooms:
        raise NotFound("There is no such session in the backup")
    return rooms[call.room_id()][call.path["sessionId"]]


@endpoint("DELETE", ALL_KEYS, auth=Auth.USER, limit=KEYS)
async def delete_room_keys(call: ClientCall) -> Json:
    """Deletes all sessions."""
    return _updated(await backup.remove_sessions(call.tenant, _everything(call)))


@endpoint("DELETE", ROOM, auth=Auth.USER, limit=KEYS)
async def delete_room_keys_by_room_id(call: ClientCall) -> Json:
    """Deletes the sessions of a room."""
    return _updated(await backup.remove_sessions(call.tenant, _room(call)))


@endpoint("DELETE", SESSION, auth=Auth.USER, limit=KEYS)
async def delete_room_key_by_session_id(call: ClientCall) -> Json:
    """Deletes a session."""
    return _updated(await backup.remove_sessions(call.tenant, _one(call)))


def _everything(call: ClientCall) -> Shelf:
    return Shelf(call.requester.user_id, call.query_text("version"))


def _room(call: ClientCall) -> Shelf:
    return Shelf(call.requester.user_id, call.query_text("version"), call.room_id())


def _one(call: ClientCall) -> Shelf:
    version, session_id = call.query_text("version"), call.path["sessionId"]
    return Shelf(call.requester.user_id, version, call.room_id(), session_id)


def _sessions(room_id: str, room: Fields) -> Iterator[Session]:
    sessions = room.object("sessions")
    for session_id in sessions:
        yield _session(room_id, session_id, Fields(_object(sessions, session_id)))


def _object(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = parent[name]
    if not isinstance(value, dict):
        raise BadJson(f"{name} must be an object")
    return value


def _session(room_id: str, session_id: str, key: Fields) -> Session:
    return Session(
        room_id=room_id,
        session_id=checked_name(session_id, "A session ID"),
        is_verified=key.flag("is_verified"),
        first_message_index=key.integer("first_message_index", minimum=0),
        forwarded_count=key.integer("forwarded_count", minimum=0),
        session_data=orjson.dumps(key.object("session_data")),
    )


def _described(found: Backup) -> Json:
    return {
        "algorithm": found.algorithm,
        "auth_data": Fragment(found.auth_data),
        "version": str(found.version),
        **_updated(found),
    }


def _updated(found: Backup) -> dict[str, Any]:
    return {"count": found.count, "etag": str(found.etag)}
