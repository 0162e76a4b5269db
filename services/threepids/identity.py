"""Questions to identity servers (Identity Service API), of which we are a client in the name of a user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from protocol.errors import InvalidId
from protocol.ids import ServerName, UserID, parse_server_name, parse_user_id
from protocol.json import JsonObject, canonical_lenient
from protocol.matrix_error import Forbidden, InvalidParam, MatrixError, ServerNotTrusted, Unknown
from protocol.unpadded_base64 import encode_base64_urlsafe
from services.outside import BAD_GATEWAY, Answer, Asked
from services.tenant import Tenant

API = "/_matrix/identity/v2"
UNAUTHORISED = 401
MAX_KEYS = 10
_TOKEN = re.compile(r"[0-9a-zA-Z.=_-]{1,255}")


@dataclass(frozen=True, slots=True)
class IdentityServer:
    """An identity server that may be asked, and the user's token for it; None where we sign instead."""

    name: ServerName
    access_token: str | None = None


def identity_server(tenant: Tenant, name: str, access_token: str | None = None) -> IdentityServer:
    """The server of the name; raises InvalidParam for what is none, ServerNotTrusted for one that may not be asked."""
    try:
        server = parse_server_name(name.lower())
    except InvalidId:
        raise InvalidParam("id_server must be a host name, with its port if it has one") from None
    settings = tenant.settings.threepids
    if not settings.identity_servers_enabled:
        raise ServerNotTrusted("This server works with no identity server")
    if settings.identity_servers and server not in settings.identity_servers:
        raise ServerNotTrusted
    if access_token is not None and not (access_token.isascii() and access_token.isprintable()):
        raise InvalidParam("id_access_token is not a token")
    return IdentityServer(server, access_token)


@dataclass(frozen=True, slots=True)
class Association:
    """An address that has been published."""

    medium: str
    address: str


async def publish(
    tenant: Tenant, server: IdentityServer, user_id: UserID, sid: str, client_secret: str
) -> Association:
    """The address of the server's session is published as the user's; raises the server's error, or OutsideFailed."""
    body = {"sid": sid, "client_secret": client_secret, "mxid": user_id}
    said = await _json(tenant, server, "POST", "/3pid/bind", body)
    return Association(_text(server, said, "medium"), _text(server, said, "address"))


async def withdraw(tenant: Tenant, server: ServerName, user_id: UserID, medium: str, address: str) -> bool:
    """Publishes the address as the user's no more; False where the server does not do that for us.

    Raises the server's error, or OutsideFailed.
    """
    body = {"mxid": user_id, "threepid": {"medium": medium, "address": address}}
    url = f"https://{server}{API}/3pid/unbind"
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    asked = Asked("POST", url, headers, canonical_lenient(body), signed_for=server)
    answer = await tenant.outside.ask(asked)
    if answer.status == UNAUTHORISED:
        # COMPAT Sydent: what is signed must name it otherwise than the specification does.
        answer = await tenant.outside.ask(replace(asked, signed_name="destination_is"))
    if answer.status < 300:
        return True
    refusal = _refusal(answer)
    # «If the response body is not a JSON Matrix error, the identity server does not support unbinds.»
    if refusal is None or refusal.errcode == "M_UNRECOGNIZED":
        return False
    raise refusal


async def published_user(tenant: Tenant, server: IdentityServer, medium: str, address: str) -> UserID | None:
    """Whose the address is, as the server has it; raises the server's error, or OutsideFailed."""
    details = await _json(tenant, server, "GET", "/hash_details", None)
    pepper, algorithms = _text(server, details, "lookup_pepper"), details.get("algorithms")
    if not isinstance(algorithms, list) or "sha256" not in algorithms:
        raise Unknown(f"{server.name} does not look addresses up by their hashes", status=BAD_GATEWAY)
    hashed = encode_base64_urlsafe(sha256(f"{address} {medium} {pepper}".encode()).digest())
    body = {"algorithm": "sha256", "pepper": pepper, "addresses": [hashed]}
    mappings = (await _json(tenant, server, "POST", "/lookup", body)).get("mappings")
    found = mappings.get(hashed) if isinstance(mappings, dict) else None
    try:
        return parse_user_id(found) if isinstance(found, str) else None
    except InvalidId:
        return None


@dataclass(frozen=True, slots=True)
class StoredInvite:
    """What the identity server has kept an invite as: the state key of the event that tells of it, and its content."""

    token: str
    content: JsonObject


async def store_invite(tenant: Tenant, server: IdentityServer, invite: Mapping[str, Any]) -> StoredInvite:
    """The server keeps the invite, and tells the address of it; raises the server's error, or OutsideFailed."""
    said = await _json(tenant, server, "POST", "/store-invite", dict(invite))
    keys = said.get("public_keys")
    token = _text(server, said, "token")
    if not _TOKEN.fullmatch(token) or not isinstance(keys, list) or not 0 < len(keys) <= MAX_KEYS:
        raise _nonsense(server)
    for key in keys:
        if not isinstance(key, dict):
            raise _nonsense(server)
    public_keys = [
        {name: _text(server, key, name) for name in ("public_key", "key_validity_url")} for key in keys
    ]
    content = {
        "display_name": _text(server, said, "display_name"),
        **public_keys[0],
        "public_keys": public_keys,
    }
    return StoredInvite(token, content)


async def _json(
    tenant: Tenant, server: IdentityServer, method: str, path: str, body: JsonObject | None
) -> JsonObject:
    headers = {"Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if server.access_token is not None:
        headers["Authorization"] = f"Bearer {server.access_token}"
    url = f"https://{server.name}{API}{quote(path)}"
    written = None if body is None else canonical_lenient(body)
    answer = await tenant.outside.ask(Asked(method, url, headers, written))
    said = answer.json()
    if answer.status >= 300 or said is None:
        raise _refusal(answer) or _nonsense(server)
    return said


def _refusal(answer: Answer) -> MatrixError | None:
    refusal = answer.refusal()
    if refusal is not None and refusal.status == UNAUTHORISED:
        # It is not our own token that is bad: a client that read that would log itself out.
        return Forbidden(f"The identity server does not let you in: {refusal.message}")
    return refusal


def _text(server: IdentityServer, said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or "\0" in value:
        raise _nonsense(server)
    return value


def _nonsense(server: IdentityServer) -> MatrixError:
    return Unknown(f"{server.name} answered nonsense", status=BAD_GATEWAY)
