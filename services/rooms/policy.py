"""Policy servers (§Policy Servers, v1.18): a room may ask that a certain server signs each event before it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocol.errors import BadSignature, InvalidId
from protocol.events import Event, StateKey
from protocol.hashes import signed_bytes
from protocol.ids import ServerName, parse_server_name
from protocol.matrix_error import Forbidden, MatrixError
from protocol.signing import VerifyKey
from services.ports import RemoteFailed
from services.rooms.head import Head, UnknownRoom
from services.tenant import Tenant
from storage.servers.serving import has_joined_user

POLICY: StateKey = ("m.room.policy", "")
_KEY_ID = "ed25519:policy_server"


@dataclass(frozen=True, slots=True)
class PolicyServer:
    """The server whose signature a room asks for, and what it is checked with."""

    name: ServerName
    key: VerifyKey

    def has_signed(self, event: Event) -> bool:
        """Does the event bear its signature?"""
        by: Any = event.json.get("signatures", {}).get(self.name)
        if not isinstance(by, dict) or _KEY_ID not in by:
            return False
        try:
            self.key.verify(signed_bytes(event.json, event.version), by[_KEY_ID])
        except BadSignature:
            return False
        return True


async def policy_server_of(tenant: Tenant, head: Head) -> PolicyServer | None:
    """The room's policy server now, None where there is none in use. To be asked under the room's lock."""
    event = (await head.state_events(tenant.database, (POLICY,))).get(POLICY)
    server = _named_in(event) if event is not None else None
    if server is None:
        return None
    # «via has a joined user in the room», else the room does without.
    async with tenant.database.read() as tx:
        return server if await has_joined_user(tx, head.room_id, server.name) else None


def needs_signature(event: Event) -> bool:
    """Is the event one that policy servers are asked about? All are but the one that names the policy server."""
    return not (event.is_state and event.key == POLICY)


async def signed_by_policy(tenant: Tenant, server: PolicyServer, event: Event) -> Event:
    """The event with the policy server's signature. Raises RemoteFailed, which tells the client what the policy server said,
    and Forbidden for an answer without a good signature. Not to be called under a room's lock.
    """
    if server.name == tenant.name:
        raise Forbidden("The room's policy server is this server, which does not sign events")
    answer = await tenant.remotes.policy_sign(server.name, event.json)
    given = answer.get(server.name)
    signature = given.get(_KEY_ID) if isinstance(given, dict) else None
    before = event.json.get("signatures", {})
    by_server = {**before.get(server.name, {}), _KEY_ID: signature}
    json = {**event.json, "signatures": {**before, server.name: by_server}}
    signed = Event.from_trusted(json, event.event_id, event.version, event.room_id)
    if not server.has_signed(signed):
        raise Forbidden("The room's policy server has not signed this")
    return signed


async def under_policy(tenant: Tenant, event: Event) -> Event:
    """The event with the signature that its room's policy server asks for, if there is one in use; raises as
    `signed_by_policy` does. Not to be called under a room's lock.
    """
    if not needs_signature(event):
        return event
    async with tenant.heads.locked(event.room_id) as head:
        server = await policy_server_of(tenant, head)
    return (
        event if server is None or server.has_signed(event) else await signed_by_policy(tenant, server, event)
    )


async def received_under_policy(tenant: Tenant, event: Event) -> Event | None:
    """The same for an event of another server; None when the policy server does not sign it: then the event is to be
    soft-failed.
    """
    try:
        return await under_policy(tenant, event)
    except UnknownRoom:
        raise
    except (RemoteFailed, MatrixError):
        return None


def _named_in(event: Event) -> PolicyServer | None:
    via, keys = event.content.get("via"), event.content.get("public_keys")
    key = keys.get("ed25519") if isinstance(keys, dict) else None
    if not isinstance(via, str) or not isinstance(key, str):
        return None
    try:
        return PolicyServer(parse_server_name(via), VerifyKey.from_base64(_KEY_ID, key))
    except (InvalidId, BadSignature):
        return None
