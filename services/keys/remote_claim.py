"""Asks other servers for one-time keys of their users' devices."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from protocol.errors import NotCanonical
from protocol.ids import ServerName
from protocol.json import JsonObject, canonical
from protocol.matrix_error import BadJson
from services.keys.ask import Failures, ask_each, by_server
from services.keys.remote_json import MAX_KEYS
from services.keys.signed_json import signatures_of
from services.tenant import Tenant
from storage.keys.one_time_keys import Wanted


async def claim_from_servers(
    tenant: Tenant, wanted: Collection[Wanted]
) -> tuple[dict[Wanted, tuple[str, bytes]], Failures]:
    """A key (its ID, and JSON) for each of the devices that have one, and the servers that could not be asked."""
    servers = by_server((of.user_id, of) for of in wanted)
    questions = {
        server: partial(_claim, tenant, server, [of for _, of in devices])
        for server, devices in servers.items()
    }
    answers, failures = await ask_each(tenant, questions)
    return {of: key for answer in answers.values() for of, key in answer.items()}, failures


async def _claim(tenant: Tenant, server: ServerName, wanted: list[Wanted]) -> dict[Wanted, tuple[str, bytes]]:
    asked: dict[str, dict[str, str]] = {}
    for of in wanted:
        asked.setdefault(of.user_id, {})[of.device_id] = of.algorithm
    reply = await tenant.remotes.claim_keys(server, asked)
    found = {}
    for of in wanted:
        key = key_in_reply(reply, of)
        if key is not None:
            found[of] = key
    return found


def key_in_reply(reply: JsonObject, of: Wanted) -> tuple[str, bytes] | None:
    """The key (its ID, and JSON) in the answer; None where there is none that is one."""
    value: Any = reply
    for name in ("one_time_keys", of.user_id, of.device_id):
        value = value.get(name) if isinstance(value, dict) else None
    for key_id, key in value.items() if isinstance(value, dict) else ():
        if not key_id.startswith(f"{of.algorithm}:"):
            continue
        try:
            json = canonical(_checked(key))
        except (NotCanonical, BadJson):
            continue
        if len(json) <= MAX_KEYS:
            return key_id, json
    return None


def _checked(key: Any) -> Any:
    """A key, with its signatures or bare; raises BadJson for what is none."""
    if isinstance(key, str):
        return key
    if not isinstance(key, dict) or not isinstance(key.get("key"), str) or "signatures" not in key:
        raise BadJson("A one-time key is a string, or an object with one and its signatures")
    signatures_of(key)
    return key
