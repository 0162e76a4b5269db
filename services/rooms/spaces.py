"""Walking through a space depth-first, across servers, page by page (§Spaces)."""

from __future__ import annotations

import asyncio
import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

import orjson

from protocol.ids import RoomID, ServerName
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden, InvalidParam
from services.ports import RemoteFailed
from services.requester import Requester
from services.rooms.remote_spaces import Told, ask_server, how_long_kept, servers_to_ask
from services.rooms.space_children import MAX_CHILDREN, Child, children_of
from services.rooms.summary import Summary, asked_for, known_summaries
from services.settings import SECOND
from services.tenant import Tenant
from storage.summaries import memberships_in

DEFAULT_LIMIT, MAX_LIMIT = 50, 50
MAX_DEPTH = 20
MAX_ROOMS = 1000
"""Of one space, over all pages: each page walks again what came before it, which is in memory or a few queries."""
PATIENCE = 30 * SECOND
"""For how long other servers are asked for one page; what nobody has told until then is left out."""
MAX_WAITING = 5000  # rooms that are named and not visited yet
_AT_ONCE = 5


@dataclass(frozen=True, slots=True)
class SpaceQuery:
    """What of a space is asked for; `skip` rooms were on the pages before."""

    suggested_only: bool = False
    max_depth: int = MAX_DEPTH
    limit: int = DEFAULT_LIMIT
    skip: int = 0


@dataclass(frozen=True, slots=True)
class _Visit:
    """A room to be visited, and who may know it. A summary that came with its parent is enough, unless it is a space."""

    room_id: RoomID
    via: tuple[ServerName, ...]
    depth: int
    told: Summary | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """A room that was found, whoever knew it."""

    summary: Summary
    children: tuple[Child, ...] = ()
    told: dict[str, Summary] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()


async def hierarchy(
    tenant: Tenant, requester: Requester, room_id: RoomID, query: SpaceQuery, via: Sequence[ServerName] = ()
) -> tuple[list[JsonObject], SpaceQuery | None]:
    """A page of the rooms that the user may see, the space first; and what to ask for next, None at the end.

    Raises Forbidden where the user may not see the space itself.
    """
    waiting = [_Visit(room_id, tuple(via), 0)]
    been: set[RoomID] = set()
    shown: list[JsonObject] = []
    wanted = min(query.skip + query.limit, MAX_ROOMS)
    places: dict[str, _Place | None] = {}
    until = tenant.clock.now() + PATIENCE
    while waiting and len(shown) < wanted:
        asking = tenant.clock.now() < until
        await _find(tenant, requester, query, waiting, places, asking=asking)
        visit = waiting.pop()
        place = places.pop(visit.room_id)
        if place is None or visit.room_id in been:
            continue
        been.add(visit.room_id)
        shown.append({**place.summary.json, "children_state": [child.json for child in place.children]})
        if visit.depth < query.max_depth:
            below = [_visit(child, place, visit.depth + 1) for child in place.children]
            fresh = [child for child in below if child.room_id not in been]
            waiting.extend(reversed(fresh[: MAX_WAITING - len(waiting)]))
    if not shown:
        raise Forbidden("There is no such space, or you may not see it")
    following = replace(query, skip=wanted) if waiting and wanted < MAX_ROOMS else None
    return shown[query.skip :], following


def _visit(child: Child, parent: _Place, depth: int) -> _Visit:
    """Nobody is asked for a room that the parent's server calls closed to us; we may be in it all the same."""
    via = () if child.room_id in parent.closed else child.via
    return _Visit(child.room_id, via, depth, parent.told.get(child.room_id))


async def _find(
    tenant: Tenant,
    requester: Requester,
    query: SpaceQuery,
    waiting: Sequence[_Visit],
    places: dict[str, _Place | None],
    *,
    asking: bool,
) -> None:
    """Finds the room that is next, and with it those after it: here in one go, elsewhere (`asking`) some at once."""
    if waiting[-1].room_id in places:
        return
    absent = list(islice((visit for visit in reversed(waiting) if visit.room_id not in places), MAX_CHILDREN))
    found = await _here(tenant, [visit.room_id for visit in absent], query.suggested_only)
    strangers = [visit for visit in absent if visit.room_id not in found]
    if absent[0] in strangers:
        # Only then others need to be asked; those who would be asked next are asked meanwhile.
        asked = strangers[:_AT_ONCE]
        answers = await asyncio.gather(
            *(_elsewhere(tenant, visit, query.suggested_only, asking=asking) for visit in asked)
        )
        found |= {visit.room_id: place for visit, place in zip(asked, answers, strict=True) if place}
        places.update({visit.room_id: None for visit in asked})
    places.update(await _shown(tenant, requester, found))


async def _here(tenant: Tenant, room_ids: Sequence[str], suggested_only: bool) -> dict[str, _Place]:
    async with tenant.database.snapshot() as tx:
        known = await known_summaries(tx, room_ids)
        spaces = [room_id for room_id, summary in known.items() if summary.is_space]
        named = await children_of(tx, spaces, suggested_only)
    return {room_id: _Place(summary, named.get(room_id, ())) for room_id, summary in known.items()}


async def _elsewhere(tenant: Tenant, visit: _Visit, suggested_only: bool, *, asking: bool) -> _Place | None:
    if visit.told is not None and (not visit.told.is_space or not asking):
        return _Place(visit.told)
    if not asking:
        return None
    told = await told_of(tenant, visit.room_id, visit.via, suggested_only)
    if told is None:
        return _Place(visit.told) if visit.told is not None else None
    return _Place(told.summary, told.children, told.summaries, told.closed)


async def told_of(
    tenant: Tenant, room_id: RoomID, via: Iterable[ServerName], suggested_only: bool
) -> Told | None:
    """What the first of the servers that knows the room tells of it."""
    for server in servers_to_ask(tenant.name, tuple(via)) if tenant.remotes.reachable else ():
        question = (server, room_id, suggested_only)
        asking = partial(ask_server, tenant.remotes, question)
        try:
            told = await tenant.told_spaces.ask(question, asking, tenant.clock.now(), how_long_kept)
        except RemoteFailed:
            continue
        if told is not None:
            return told
    return None


async def _shown(tenant: Tenant, requester: Requester, found: dict[str, _Place]) -> dict[str, _Place | None]:
    """The places, without those that the user may not know of."""
    if not found:
        return {}
    async with tenant.database.read() as tx:
        rooms = asked_for(place.summary for place in found.values())
        memberships = await memberships_in(tx, requester.user_id, rooms)
    return {
        room_id: place if place.summary.is_shown_to(memberships) else None for room_id, place in found.items()
    }


def token_of(room_id: RoomID, query: SpaceQuery) -> str:
    """What a client names to go on with this query."""
    written = orjson.dumps([room_id, query.suggested_only, query.max_depth, query.skip])
    return urlsafe_b64encode(written).rstrip(b"=").decode()


def query_of_token(text: str, room_id: RoomID, query: SpaceQuery) -> SpaceQuery:
    """The query, going on where the token says; raises InvalidParam for a token of another query, or of nobody."""
    try:
        match orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4))):
            case [str(room), bool(suggested), int(depth), int(skip)] if 0 < skip <= MAX_ROOMS:
                if (room, suggested, depth) == (room_id, query.suggested_only, query.max_depth):
                    return replace(query, skip=skip)
                # «suggested_only or max_depth changed during pagination»
                raise InvalidParam("suggested_only and max_depth must be those of the first page")
    except (binascii.Error, ValueError):
        pass
    raise InvalidParam("This is not a token that this server has given out")
