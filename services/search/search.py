"""A search (§Server Side Search): a page of results in one of two orders, and where the next one begins.

By time, a page goes on where the last one ended. By rank, the results are ranked in blocks: the newest few hundred first, then
the next; so that every result has its page, and what is old does not push out what is new by a hair's breadth. The count is
of what the first page has looked at: at least so many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from protocol.filters import EventFilter
from protocol.ids import RoomID
from protocol.json import JsonObject
from protocol.search.query import Part, Query, highlights, parse_query
from services.requester import Requester
from services.rooms.read import whole_state
from services.search.find import ENOUGH, Found, Hit, find
from services.search.follow import caught_up
from services.search.index import MESSAGE
from services.search.request import ROOM_ID, SENDER, Group, SearchRequest, Start
from services.search.rooms import rooms_to_search
from services.search.show import show
from services.tenant import Tenant
from storage.search.find import Ask, indexed
from storage.search.lexemes import Expansions, Terms, template
from storage.search.patience import TooLong
from storage.search.words import words_with
from storage.timeline import OLDEST

MAX_WORDS = 100  # that have a part
MAX_EXPANDED = 20_000  # of them in the questions for all rooms
MAX_ALTERNATIVES = (
    50  # senders or types that the index is asked for; of more, events are looked at one by one
)

NOTHING = Found([], None, {})


async def search_room_events(
    tenant: Tenant, requester: Requester, request: SearchRequest, start: Start
) -> JsonObject:
    """The page of results that begins there."""
    async with tenant.search.running:
        query = parse_query(request.term)
        # A block that was begun is taken up whole: its ranks, and with them the offset, are those of all groups.
        group = start.group if start.offset == 0 else None
        ask = await ask_for(tenant, requester, query, request, start, group)
        enough = max(ENOUGH, request.filter.limit)
        found = await find(tenant, requester, ask, request.filter, enough) if ask is not None else NOTHING
        page = _page(request, start, found)
        shown = await show(tenant, requester, found.views, page.hits, request.context)
    results: JsonObject = {
        "count": page.count,
        "highlights": highlights(query, shown.texts),
        "results": shown.results,
    }
    if page.following is not None:
        results["next_batch"] = page.following.token()
    if request.group_by:
        results["groups"] = {key: _groups(key, request, page) for key in request.group_by}
    if request.with_state:
        rooms = sorted({hit.room_id for hit in page.hits})
        results["state"] = {room: await whole_state(tenant, requester, RoomID(room)) for room in rooms}
    return results


async def ask_for(
    tenant: Tenant,
    requester: Requester,
    query: Query,
    request: SearchRequest,
    start: Start,
    group: Group | None = None,
) -> Ask | None:
    """The question for the index, once that has what was sent up to now; None where nothing can be found."""
    only = group[1] if group is not None and group[0] == ROOM_ID else None
    async with tenant.database.read() as tx:
        rooms = await rooms_to_search(tx, requester, request.filter, only)
        known = await indexed(tx, rooms)
        await caught_up(tenant, known.newest, known.followed)
        if known.newest > known.followed:  # rooms may have come in
            known = await indexed(tx, rooms)
    if not known.numbers:
        return None
    text = template(_terms(query, request, group), await _expansions(tenant, query, len(known.numbers)))
    if text is None:
        return None
    before = min(start.before, (query.until, OLDEST)) if query.until is not None else start.before
    return Ask(text, sorted(known.numbers.values()), OLDEST if query.since is None else query.since, before)


async def _expansions(tenant: Tenant, query: Query, rooms: int) -> Expansions:
    """The words that have the parts that are asked for; of many rooms fewer, for the question grows with both."""
    nodes = [node for branch in query.branches for node in (*branch.wanted, *branch.unwanted)]
    parts = {node for node in nodes if isinstance(node, Part)}
    limit = max(min(MAX_WORDS, MAX_EXPANDED // rooms), 1)
    try:
        async with tenant.database.snapshot() as tx:
            return {part: await words_with(tx, part.text, limit) for part in parts}
    except TooLong:
        return {}


def _terms(query: Query, request: SearchRequest, group: Group | None) -> Terms:
    filter = request.filter
    senders: list[list[str]] = []
    if query.senders:
        senders.append([name if ":" in name else f"@{name}:" for name in query.senders])
    if filter.senders is not None and len(filter.senders) <= MAX_ALTERNATIVES:
        senders.append(sorted(filter.senders))
    if group is not None and group[0] == SENDER:
        senders.append([group[1]])
    others = sorted(filter.not_senders) if len(filter.not_senders) <= MAX_ALTERNATIVES else []
    return Terms(query.branches, request.marks, senders, others, _types(filter), filter.contains_url)


def _types(filter: EventFilter) -> list[str] | None:
    """The types that the index is asked for; None where it cannot tell, as ordinary messages do not say theirs."""
    if filter.types is None or len(filter.types) > MAX_ALTERNATIVES:
        return None
    named = [pattern.literal for pattern in filter.types]
    if None in named or MESSAGE in named:
        return None
    return [name for name in named if name is not None and "\0" not in name]


@dataclass(frozen=True, slots=True)
class _Page:
    """Results in their order; `following` is where the next page begins, and `top` and `rest` the ends of their block."""

    hits: Sequence[Hit]
    count: int
    following: Start | None
    earlier: Sequence[Hit]
    block: Sequence[Hit]
    start: Start
    rest: Start | None


def _page(request: SearchRequest, start: Start, found: Found) -> _Page:
    limit = request.filter.limit
    hits = [hit for hit in found.hits if start.group is None or _value(hit, start.group[0]) == start.group[1]]
    count = len(hits) if start.count is None else start.count
    if request.by_rank:
        hits.sort(key=lambda hit: (-hit.rank, -hit.place[0], -hit.place[1]))
    end = start.offset + limit
    page = hits[start.offset : end]
    rest = Start(found.rest, 0, count, start.group) if found.rest is not None else None
    top = max((hit.place for hit in found.hits), default=start.before)
    begun = replace(start, before=(top[0], top[1] + 1), count=count)
    if limit and len(page) == limit:
        following: Start | None = _after(request, begun, page[-1], end)
    else:
        following = rest if limit else None
    return _Page(page, count, following, hits[: start.offset], hits, begun, rest)


def _after(request: SearchRequest, begun: Start, last: Hit, offset: int) -> Start:
    return replace(begun, offset=offset) if request.by_rank else replace(begun, before=last.place, offset=0)


def _groups(key: str, request: SearchRequest, page: _Page) -> JsonObject:
    values = list(dict.fromkeys(_value(hit, key) for hit in page.hits))
    return {value: _group(key, value, order, request, page) for order, value in enumerate(values)}


def _group(key: str, value: str, order: int, request: SearchRequest, page: _Page) -> dict[str, Any]:
    hits = [hit for hit in page.hits if _value(hit, key) == value]
    group: dict[str, Any] = {"results": [hit.event_id for hit in hits], "order": order}
    told = sum(_value(hit, key) == value for hit in page.earlier) + len(hits)
    more = told < sum(_value(hit, key) == value for hit in page.block)
    begun = replace(page.start, group=(key, value))
    if more:
        group["next_batch"] = _after(request, begun, hits[-1], told).token()
    elif page.rest is not None:
        group["next_batch"] = replace(page.rest, group=(key, value)).token()
    return group


def _value(hit: Hit, key: str) -> str:
    return hit.room_id if key == ROOM_ID else hit.sender
