"""A valid request of each operation: what the hostile ones are made of, by spoiling one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.search.request import BEGINNING
from tests.fixtures.crypto import cross_signing_of, device_keys, one_time_keys
from tests.fixtures.homeserver import PASSWORD
from tests.hostile.operations import Operation
from tests.hostile.world import (
    AUTH_DATA,
    KEY_DATA,
    RULE,
    Request,
    World,
    address_of,
    session_of,
    valid_path,
)

Body = dict[str, Any]


def valid_request(world: World, operation: Operation) -> Request:
    """One that is served."""
    body = BODIES[operation.name](world) if operation.name in BODIES else None
    query = QUERIES[operation.name](world) if operation.name in QUERIES else []
    return Request(valid_path(world, operation), query, body)


def _auth(world: World) -> Body:
    identifier = {"type": "m.id.user", "user": world.me.user_id}
    return {"type": "m.login.password", "identifier": identifier, "password": world.me.password}


def _room(world: World) -> Body:
    return {
        "visibility": "public",
        "preset": "public_chat",
        "room_alias_name": f"another{next(world.place.numbers)}",
        "name": "A room",
        "topic": "All things",
        "invite": [world.place.dora.user_id],
        "room_version": "10",
        "is_direct": False,
        "creation_content": {"m.federate": False},
        "initial_state": [{"type": "m.custom", "state_key": "", "content": {"a": 1}}],
        "power_level_content_override": {
            "users": {world.me.user_id: 100},
            "events": {"m.custom": 50},
            "ban": 50,
            "notifications": {"room": 20},
        },
    }


def _pusher(_: World) -> Body:
    return {
        "kind": "http",
        "app_id": "org.example",
        "pushkey": "key",
        "app_display_name": "App",
        "device_display_name": "Phone",
        "profile_tag": "tag",
        "lang": "en",
        "append": False,
        "data": {"url": "https://push.example/_matrix/push/v1/notify", "format": "event_id_only"},
    }


def _filter(world: World) -> Body:
    events = {
        "limit": 10,
        "not_senders": ["@x:one.example"],
        "senders": [world.me.user_id],
        "types": ["m.*"],
        "not_types": ["m.x"],
    }
    rooms = {"rooms": [world.room], "not_rooms": ["!x:one.example"], "contains_url": False}
    return {
        "event_fields": ["content.body"],
        "event_format": "client",
        "presence": events,
        "account_data": {"types": ["m.*"]},
        "room": {
            "rooms": [world.room],
            "not_rooms": ["!x:one.example"],
            "include_leave": True,
            "timeline": events | rooms | {"unread_thread_notifications": True},
            "state": {"lazy_load_members": True, "include_redundant_members": False},
            "ephemeral": rooms,
            "account_data": events,
        },
    }


def _login(world: World) -> Body:
    return _auth(world) | {
        "device_id": "PHONE",
        "initial_device_display_name": "Phone",
        "refresh_token": True,
    }


def _register(world: World) -> Body:
    return {
        "username": f"another{next(world.place.numbers)}",
        "password": PASSWORD,
        "device_id": "PHONE",
        "initial_device_display_name": "Phone",
        "inhibit_login": False,
        "refresh_token": True,
        "auth": {"type": "m.login.dummy"},
    }


def _search(_: World) -> Body:
    filter = {"generic_search_term": "room", "room_types": [None, "m.space"]}
    return {"limit": 10, "filter": filter, "include_all_networks": False}


def _keys(world: World) -> Body:
    return {
        "device_keys": device_keys(world.me),
        "one_time_keys": one_time_keys("one"),
        "fallback_keys": one_time_keys("two", fallback=True),
    }


def _token(world: World, address: str = "") -> Body:
    return {
        "email": address or f"another{next(world.place.numbers)}@example.org",
        "client_secret": "secret",
        "send_attempt": 1,
        "next_link": "https://app.example/",
        "id_server": "id.example",
        "id_access_token": "token",
    }


def _phone(_: World) -> Body:
    return {
        "country": "GB",
        "phone_number": "07700900001",
        "client_secret": "secret",
        "send_attempt": 1,
        "next_link": "https://app.example/",
        "id_server": "id.example",
        "id_access_token": "token",
    }


def _bind(_: World) -> Body:
    return {"id_server": "id.example", "id_access_token": "token", "sid": "1", "client_secret": "secret"}


def _signatures(world: World) -> Body:
    return {world.me.user_id: {world.me.device_id: device_keys(world.me)}}


def _search_events(world: World) -> Body:
    events = {
        "search_term": "hello",
        "keys": ["content.body"],
        "filter": {"limit": 10, "rooms": [world.room], "contains_url": False, "senders": [world.me.user_id]},
        "order_by": "recent",
        "event_context": {"before_limit": 1, "after_limit": 1, "include_profile": True},
        "include_state": True,
        "groupings": {"group_by": [{"key": "room_id"}]},
    }
    return {"search_categories": {"room_events": events}}


BODIES: dict[str, Callable[[World], Body]] = {
    "generateLoginToken": lambda w: {"auth": _auth(w)},
    "deactivateAccount": lambda w: {"erase": False, "auth": _auth(w)},
    "changePassword": lambda w: {"new_password": PASSWORD, "logout_devices": False, "auth": _auth(w)},
    "createRoom": _room,
    "deleteDevices": lambda w: {"devices": ["PHONE"], "auth": _auth(w)},
    "updateDevice": lambda w: {"display_name": "Phone"},
    "deleteDevice": lambda w: {"auth": _auth(w)},
    "pingAppservice": lambda w: {"transaction_id": "meow"},
    "updateAppserviceRoomDirectoryVisibility": lambda w: {"visibility": "public"},
    "setRoomVisibilityOnDirectory": lambda w: {"visibility": "public"},
    "setRoomAlias": lambda w: {"room_id": w.room},
    "joinRoom": lambda w: {"reason": "why not"},
    "joinRoomById": lambda w: {"reason": "why not"},
    "knockRoom": lambda w: {"reason": "why not"},
    "claimKeys": lambda w: {
        "timeout": 10,
        "one_time_keys": {w.place.bob.user_id: {w.place.bob.device_id: "signed_curve25519"}},
    },
    "queryKeys": lambda w: {"timeout": 10, "device_keys": {w.place.bob.user_id: [w.place.bob.device_id]}},
    "uploadCrossSigningKeys": lambda w: cross_signing_of(w.me).body() | {"auth": _auth(w)},
    "uploadCrossSigningSignatures": _signatures,
    "uploadKeys": _keys,
    "login": _login,
    "setPresence": lambda w: {"presence": "online", "status_msg": "here"},
    "setProfileField": lambda w: {"displayname": "Me"},
    "queryPublicRooms": _search,
    "postPusher": _pusher,
    "setPushRule": lambda w: RULE,
    "setPushRuleActions": lambda w: {"actions": ["notify", {"set_tweak": "sound", "value": "default"}]},
    "setPushRuleEnabled": lambda w: {"enabled": True},
    "refresh": lambda w: {"refresh_token": w.refresh_token},
    "register": _register,
    "putRoomKeys": lambda w: {"rooms": {w.room: {"sessions": {"s": KEY_DATA}}}},
    "putRoomKeysByRoomId": lambda w: {"sessions": {"s": KEY_DATA}},
    "putRoomKeyBySessionId": lambda w: KEY_DATA,
    "postRoomKeysVersion": lambda w: {
        "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
        "auth_data": AUTH_DATA,
    },
    "putRoomKeysVersion": lambda w: {
        "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
        "auth_data": AUTH_DATA,
        "version": w.version,
    },
    "ban": lambda w: {"user_id": w.place.bob.user_id, "reason": "why not"},
    "kick": lambda w: {"user_id": w.place.bob.user_id, "reason": "why not"},
    "unban": lambda w: {"user_id": w.place.carol.user_id, "reason": "why not"},
    "inviteUser": lambda w: {"user_id": w.place.dora.user_id, "reason": "why not"},
    "leaveRoom": lambda w: {"reason": "why not"},
    "forgetRoom": lambda w: {},
    "setReadMarker": lambda w: {"m.fully_read": w.event, "m.read": w.event, "m.read.private": w.event},
    "postReceipt": lambda w: {"thread_id": "main"},
    "redactEvent": lambda w: {"reason": "why not"},
    "sendMessage": lambda w: {"msgtype": "m.text", "body": "hello"},
    "setRoomStateWithKey": lambda w: {"a": 1},
    "setTyping": lambda w: {"typing": True, "timeout": 1000},
    "upgradeRoom": lambda w: {"new_version": "12", "additional_creators": [w.place.bob.user_id]},
    "sendToDevice": lambda w: {"messages": {w.place.bob.user_id: {"*": {"a": 1}}}},
    "setAccountData": lambda w: {"a": 1},
    "setAccountDataPerRoom": lambda w: {"a": 1},
    "defineFilter": _filter,
    "requestOpenIdToken": lambda w: {},
    "setRoomTag": lambda w: {"order": 0.5},
    "search": _search_events,
    "searchUserDirectory": lambda w: {"search_term": "bob", "limit": 10},
    "reportEvent": lambda w: {"reason": "why not"},
    "reportRoom": lambda w: {"reason": "why not"},
    "reportUser": lambda w: {"reason": "why not"},
    "logout": lambda w: {},
    "logout_all": lambda w: {},
    "uploadContent": lambda w: {"a": "file like any other"},
    "uploadContentToMXC": lambda w: {"a": "file like any other"},
    "add3PID": lambda w: session_of(w.me) | {"auth": _auth(w)},
    "bind3PID": _bind,
    "post3PIDs": lambda w: {"three_pid_creds": _bind(w)},
    "delete3pidFromAccount": lambda w: {"medium": "email", "address": address_of(w.me)},
    "unbind3pidFromAccount": lambda w: {"medium": "email", "address": address_of(w.me)},
    "requestTokenTo3PIDEmail": _token,
    "requestTokenToRegisterEmail": _token,
    "requestTokenToResetPasswordEmail": lambda w: _token(w, address_of(w.me)),
    "requestTokenTo3PIDMSISDN": _phone,
    "requestTokenToRegisterMSISDN": _phone,
    "requestTokenToResetPasswordMSISDN": _phone,
    "setAdminLockUser": lambda w: {"locked": True},
    "setAdminSuspendUser": lambda w: {"suspended": True},
}

_IN_BACKUP: Callable[[World], list[tuple[str, str]]] = lambda w: [("version", w.version)]

QUERIES: dict[str, Callable[[World], list[tuple[str, str]]]] = {
    "getContentThumbnail": lambda w: [("width", "32"), ("height", "32"), ("method", "crop")],
    "getContentThumbnailAuthed": lambda w: [("width", "32"), ("height", "32"), ("method", "crop")],
    "getUrlPreviewAuthed": lambda w: [("url", "https%3A%2F%2Fpage.example%2F"), ("ts", "1")],
    "getUrlPreview": lambda w: [("url", "https%3A%2F%2Fpage.example%2F"), ("ts", "1")],
    "registrationTokenValidity": lambda w: [("token", "abc")],
    "search": lambda w: [("next_batch", BEGINNING.token())],
    "getKeysChanges": lambda w: [("from", w.since), ("to", w.since)],
    "checkUsernameAvailability": lambda w: [("username", "nobody.yet")],
    "putRoomKeys": _IN_BACKUP,
    "getRoomKeys": _IN_BACKUP,
    "deleteRoomKeys": _IN_BACKUP,
    "putRoomKeysByRoomId": _IN_BACKUP,
    "getRoomKeysByRoomId": _IN_BACKUP,
    "deleteRoomKeysByRoomId": _IN_BACKUP,
    "putRoomKeyBySessionId": _IN_BACKUP,
    "getRoomKeyBySessionId": _IN_BACKUP,
    "deleteRoomKeyBySessionId": _IN_BACKUP,
    "getRoomEvents": lambda w: [("dir", "b")],
    "redirectToIdP": lambda w: [("redirectUrl", "https%3A%2F%2Fapp.example%2F")],
    "redirectToSSO": lambda w: [("redirectUrl", "https%3A%2F%2Fapp.example%2F")],
    "getEventByTimestamp": lambda w: [("ts", "1"), ("dir", "f")],
    "getMutualRooms": lambda w: [("user_id", w.place.bob.user_id)],
    "getEvents": lambda w: [("from", "s0_0"), ("timeout", "0")],  # there is something at once
    "queryLocationByAlias": lambda w: [("alias", "%23room:one.example")],
    "queryUserByID": lambda w: [("userid", "@bridged:one.example")],
    "sync": lambda w: [("since", w.since), ("timeout", "0")],
}

OMITTED = {
    "delete3pidFromAccount": {"id_server"},  # likewise
    "unbind3pidFromAccount": {"id_server"},
    "createRoom": {"invite_3pid"},  # there is no identity server to ask
    "deactivateAccount": {"id_server"},
    "joinRoom": {"third_party_signed"},
    "joinRoomById": {"third_party_signed"},
    "login": {"user", "medium", "address", "token"},  # other ways to log in
    "queryPublicRooms": {"since", "third_party_instance_id"},
    "setPushRule": {"pattern"},  # of rules of another kind
}
"""Fields of the specification that the valid request does without: they are asked for by themselves."""

NOT_FOUND = {
    "getProtocolMetadata",
    "queryLocationByAlias",
    "queryLocationByProtocol",
    "queryUserByID",
    "queryUserByProtocol",
}
"""What is not found even so: there is no application service that knows third-party networks."""

REFUSED = {
    "bind3PID": "M_SERVER_NOT_TRUSTED",
    "post3PIDs": "M_SERVER_NOT_TRUSTED",
    "requestTokenTo3PIDMSISDN": "M_THREEPID_MEDIUM_NOT_SUPPORTED",
    "requestTokenToRegisterMSISDN": "M_THREEPID_MEDIUM_NOT_SUPPORTED",
    "requestTokenToResetPasswordMSISDN": "M_THREEPID_MEDIUM_NOT_SUPPORTED",
}
"""What this server does not do: there is no identity server, and there are no phone numbers."""
