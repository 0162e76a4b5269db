"""Third-party networks, as application services know them (§Third-party networks): asked at once, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from protocol.json import JsonObject
from protocol.matrix_error import NotFound
from services.appservices.calls import Question, Unreachable
from services.appservices.observations import AppserviceAsked
from services.appservices.registry import Appservice
from services.appservices.room_directory import instance_id
from services.tenant import Tenant

SECONDS = 10.0
_UNKNOWN = "No application service of this server knows of that"
_TEXTS = {"user": ("userid", "protocol"), "location": ("alias", "protocol")}

Query = Sequence[tuple[str, str]]


async def protocols(tenant: Tenant) -> JsonObject:
    """All protocols, by name, with the instances of all application services that know each."""
    names = dict.fromkeys(name for one in tenant.appservices.known if one.url for name in one.protocols)
    found = await asyncio.gather(*(_protocol(tenant, name) for name in names))
    return {name: known for name, known in zip(names, found, strict=True) if known is not None}


async def protocol(tenant: Tenant, name: str) -> JsonObject:
    """One of them; raises NotFound."""
    found = await _protocol(tenant, name)
    if found is None:
        raise NotFound(_UNKNOWN)
    return found


async def look_up(tenant: Tenant, kind: str, protocol: str | None, query: Query) -> list[JsonObject]:
    """Users or locations (`kind`: user, location) that the application services know; raises NotFound where nobody does."""
    asked = [one for one in tenant.appservices.known if one.url and _may_know(one, protocol)]
    if not asked:
        raise NotFound(_UNKNOWN)
    path = f"/thirdparty/{kind}" + ("" if protocol is None else f"/{quote(protocol, safe='')}")
    answers = await asyncio.gather(*(_ask(tenant, one, path, query, _listed) for one in asked))
    found = [entry for answer in answers for entry in answer or () if _is_entry(entry, kind)]
    if not found:
        raise NotFound(_UNKNOWN)
    return found


def _may_know(appservice: Appservice, protocol: str | None) -> bool:
    return bool(appservice.protocols) if protocol is None else protocol in appservice.protocols


async def _protocol(tenant: Tenant, name: str) -> JsonObject | None:
    """What the first says, with the instances that the others add."""
    asked = [one for one in tenant.appservices.known if one.url and name in one.protocols]
    path = f"/thirdparty/protocol/{quote(name, safe='')}"
    answers = await asyncio.gather(*(_ask(tenant, one, path, (), _metadata) for one in asked))
    merged: JsonObject | None = None
    for appservice, said in zip(asked, answers, strict=True):
        if said is None:
            continue
        instances = [
            {**one, "instance_id": instance_id(appservice, one["network_id"])} for one in said["instances"]
        ]
        merged = merged or {**said, "instances": []}
        merged["instances"] += instances
    return merged


async def _ask(
    tenant: Tenant, appservice: Appservice, path: str, query: Query, read: Callable[[Any], Any]
) -> Any:
    question = Question("GET", path, legacy=f"/_matrix/app/unstable{path}", query=query, seconds=SECONDS)
    try:
        answer = await tenant.appservice_calls.ask(appservice, question)
    except Unreachable as error:
        tenant.observe(AppserviceAsked(appservice.id, path, str(error)))
        return None
    return read(answer.json()) if answer.is_ok else None


def _listed(said: Any) -> list[Any] | None:
    return said if isinstance(said, list) else None


def _is_entry(entry: Any, kind: str) -> bool:
    return (
        isinstance(entry, dict)
        and all(isinstance(entry.get(name), str) for name in _TEXTS[kind])
        and isinstance(entry.get("fields"), dict)
    )


def _metadata(said: Any) -> JsonObject | None:
    """What clients can make use of: with all its members, of their types; None for nonsense."""
    if not isinstance(said, dict) or not isinstance(said.get("icon"), str):
        return None
    lists = ("user_fields", "location_fields", "instances")
    if not all(isinstance(said.get(name), list) for name in lists):
        return None
    if not isinstance(said.get("field_types"), dict):
        return None
    instances = [one for one in said["instances"] if isinstance(one, Mapping) and _is_instance(one)]
    return {**said, "instances": instances}


def _is_instance(one: Mapping[str, Any]) -> bool:
    return all(isinstance(one.get(name), str) for name in ("desc", "network_id")) and isinstance(
        one.get("fields"), dict
    )
