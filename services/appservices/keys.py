"""Keys of users that are reserved for an application service, from the application service (MSC3983, MSC3984).

Asked are only those whose registration says so: each question of a client would else wait for every bridge there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import orjson

from protocol.ids import UserID
from services.appservices.calls import Question, Unreachable
from services.appservices.observations import AppserviceAsked
from services.appservices.registry import Appservice
from services.keys.remote_claim import key_in_reply
from services.keys.remote_json import RemoteUser, user_in_reply
from services.tenant import Tenant
from storage.keys.one_time_keys import OneTimeKey, Wanted

SECONDS: Final = 5.0
CLAIM: Final = "/_matrix/app/unstable/org.matrix.msc3983/keys/claim"
QUERY: Final = "/_matrix/app/unstable/org.matrix.msc3984/keys/query"


def gives_keys(tenant: Tenant, user_id: str) -> Appservice | None:
    """The application service that is asked for one-time keys of the user when there are none here."""
    owner = tenant.appservices.owner_of_user(user_id)
    return owner if owner is not None and owner.gives_keys and owner.url is not None else None


def _teller(tenant: Tenant, user_id: str) -> Appservice | None:
    owner = tenant.appservices.owner_of_user(user_id)
    return owner if owner is not None and owner.tells_keys and owner.url is not None else None


async def claim_from_appservices(tenant: Tenant, wanted: Collection[Wanted]) -> dict[Wanted, OneTimeKey]:
    """A key for each of the devices for which an application service has one; it sees to it that none is given out twice."""
    asked: dict[Appservice, list[Wanted]] = {}
    for of in wanted:
        if (owner := gives_keys(tenant, of.user_id)) is not None:
            asked.setdefault(owner, []).append(of)
    found = await asyncio.gather(*(_claim(tenant, owner, theirs) for owner, theirs in asked.items()))
    return {of: key for some in found for of, key in some.items()}


async def query_appservices(
    tenant: Tenant, wanted: Mapping[UserID, Sequence[str]]
) -> dict[UserID, RemoteUser]:
    """What application services say of their users, which counts more than what they have uploaded."""
    if not any(one.tells_keys for one in tenant.appservices.known):
        return {}
    asked: dict[Appservice, dict[UserID, Sequence[str]]] = {}
    for user_id, devices in wanted.items():
        if (owner := _teller(tenant, user_id)) is not None:
            asked.setdefault(owner, {})[user_id] = devices
    answers = await asyncio.gather(*(_query(tenant, owner, theirs) for owner, theirs in asked.items()))
    return {user_id: user for answer in answers for user_id, user in answer.items()}


async def _claim(tenant: Tenant, appservice: Appservice, wanted: list[Wanted]) -> dict[Wanted, OneTimeKey]:
    body: dict[str, dict[str, list[str]]] = {}
    for of in wanted:
        body.setdefault(of.user_id, {}).setdefault(of.device_id, []).append(of.algorithm)
    reply = _as_clients_get_it(await _ask(tenant, appservice, CLAIM, body))
    found = {}
    for of in wanted:
        key = key_in_reply(reply, of)
        if key is not None:
            key_id, json = key
            found[of] = OneTimeKey(of.algorithm, key_id.partition(":")[2], json)
    return found


async def _query(
    tenant: Tenant, appservice: Appservice, wanted: Mapping[UserID, Sequence[str]]
) -> dict[UserID, RemoteUser]:
    reply = await _ask(tenant, appservice, QUERY, {"device_keys": {u: list(d) for u, d in wanted.items()}})
    users = {}
    for user_id, named in wanted.items():
        user = user_in_reply(reply, user_id)
        devices = tuple(device for device in user.devices if not named or device.device_id in named)
        users[user_id] = RemoteUser(devices, user.keys)
    return users


async def _ask(tenant: Tenant, appservice: Appservice, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer; nothing where the application service does not answer, not in time, or knows no such question."""
    question = Question("POST", path, body=orjson.dumps(body), seconds=SECONDS, base="")
    try:
        answer = await tenant.appservice_calls.ask(appservice, question)
    except Unreachable as error:
        tenant.observe(AppserviceAsked(appservice.id, "keys", str(error)))
        return {}
    said = answer.json() if answer.is_ok else None
    return said if isinstance(said, dict) else {}


def _as_clients_get_it(reply: dict[str, Any]) -> dict[str, Any]:
    """The proposal has the users at the top, clients and other servers find them in `one_time_keys`: both are taken."""
    return reply if "one_time_keys" in reply else {"one_time_keys": reply}
