"""Our keys for others, and as a notary others' keys (§Retrieving server keys)."""

from __future__ import annotations

from typing import Any, Final

from federation import AnonymousCall
from protocol.errors import InvalidId, NotCanonical
from protocol.ids import ServerName, parse_server_name
from protocol.json import MAX_INTEGER, JsonObject
from protocol.matrix_error import BadJson
from protocol.signing import sign_json
from services.servers.key_objects import MAX_KEYS, own_key_object
from services.tenant import Tenant
from web.endpoint import Auth, endpoint
from web.reply import Json

MAX_SERVERS: Final = 100
"""Of which a notary is asked at once."""
FETCHES_PER_SECOND: Final = 1.0
FETCHES_AT_ONCE: Final = 100
"""Servers that one address may make us ask."""

Wanted = dict[ServerName, dict[str, int]]


@endpoint(
    "GET",
    "/_matrix/key/v2/server",
    auth=Auth.NONE,
    also=["/_matrix/key/v2/server/", "/_matrix/key/v2/server/{keyId}"],
)
async def get_server_key(call: AnonymousCall) -> Json:
    """Our keys; the older form names one, and gets all too. The members are sorted, as they were when they were signed."""
    return _sorted(_own(call.tenant))


@endpoint(
    "GET",
    "/_matrix/key/v2/query/{serverName}",
    auth=Auth.NONE,
    also=["/_matrix/key/v2/query/{serverName}/{keyId}"],
)
async def perspectives_key_query(call: AnonymousCall) -> Json:
    """The keys of one server, with our signature."""
    until = call.query_integer("minimum_valid_until_ts", call.tenant.clock.now(), 0, MAX_INTEGER)
    key_id = call.path.get("keyId")
    return await _answer(call, {call.server_name(): {key_id: until} if key_id else {}})


@endpoint("POST", "/_matrix/key/v2/query", auth=Auth.NONE)
async def bulk_perspectives_key_query(call: AnonymousCall) -> Json:
    """The keys of several servers, with our signature; raises BadJson where too much is asked for."""
    return await _answer(call, _wanted(call.object("server_keys"), call.tenant.clock.now()))


async def _answer(call: AnonymousCall, wanted: Wanted) -> Json:
    tenant = call.tenant
    others = {server: keys for server, keys in wanted.items() if server != tenant.name}
    objects = await tenant.remotes.published_keys(others, await _may_fetch(call, others))
    signed = [_own(tenant)] if tenant.name in wanted else []
    for published in objects:
        try:
            signed.append(sign_json(published, tenant.name, tenant.signing_key))
        except NotCanonical:
            continue  # an object with floats: its own signature may hold, ours cannot
    return {"server_keys": signed}


async def _may_fetch(call: AnonymousCall, wanted: Wanted) -> bool:
    """Anybody may ask what we know; that we ask others for somebody has a limit for each address."""
    tenant = call.tenant
    for _ in wanted if tenant.settings.rate_limits.enabled else ():
        where = f"notary:{call.remote}"
        if await tenant.limits.take(where, FETCHES_PER_SECOND, FETCHES_AT_ONCE, tenant.clock.now()):
            return False
    return True


def _own(tenant: Tenant) -> JsonObject:
    return own_key_object(tenant.name, tenant.signing_key, tenant.old_keys, tenant.clock.now())


def _sorted(published: JsonObject) -> Json:
    """COMPAT: there are readers that check the signature over the bytes, and do not write the object canonically first."""
    return {name: published[name] for name in sorted(published)}


def _wanted(asked: dict[str, Any], now: int) -> Wanted:
    if len(asked) > MAX_SERVERS:
        raise BadJson(f"Ask for the keys of at most {MAX_SERVERS} servers at once")
    wanted: Wanted = {}
    for server, keys in asked.items():
        if not isinstance(keys, dict) or len(keys) > MAX_KEYS:
            raise BadJson(f"server_keys: for each server an object of at most {MAX_KEYS} key IDs")
        try:
            wanted[parse_server_name(server)] = {name: _until(said, now) for name, said in keys.items()}
        except InvalidId as error:
            raise BadJson(f"server_keys: {error}") from None
    return wanted


def _until(said: Any, now: int) -> int:
    until = said.get("minimum_valid_until_ts", now) if isinstance(said, dict) else None
    if not isinstance(until, int) or isinstance(until, bool):
        raise BadJson("minimum_valid_until_ts must be an integer")
    return until
