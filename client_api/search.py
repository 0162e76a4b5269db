"""Searching in what was said (§Server Side Search)."""

from typing import Any

from client_api import ClientCall
from protocol.filters import ALL_EVENTS, EventFilter, InvalidFilter, parse_room_event_filter
from protocol.matrix_error import InvalidParam
from services.search.request import (
    BEGINNING,
    KEYS,
    ROOM_ID,
    SENDER,
    ContextAsked,
    SearchRequest,
    start_of,
)
from services.search.search import search_room_events
from services.search.suggest import suggestions
from web.body import Fields
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

DEFAULT_CONTEXT, MAX_CONTEXT = 5, 20
DEFAULT_SUGGESTIONS, MAX_SUGGESTIONS = 10, 50
MAX_GROUPS = 2


@endpoint("POST", "/_matrix/client/v3/search", auth=Auth.USER, limit=GENERAL)
async def search(call: ClientCall) -> Json:
    """The events of the user's rooms that have the words of the term in them."""
    token = call.query_text("next_batch", "")
    start = start_of(token) if token else BEGINNING
    categories = Fields(call.object("search_categories"))
    if categories.object("room_events", None) is None:
        return {"search_categories": {}}
    request = _request(categories.fields("room_events"))
    found = await search_room_events(call.tenant, call.requester, request, start)
    return {"search_categories": {"room_events": found}}


@endpoint("GET", "/_matrix/client/unstable/chat.hearth.search/suggestions", auth=Auth.USER, limit=GENERAL)
async def get_search_suggestions(call: ClientCall) -> Json:
    """Words of the user's rooms that begin with what the user has typed, the most frequent of late first."""
    limit = call.query_integer("limit", DEFAULT_SUGGESTIONS, minimum=0, maximum=MAX_SUGGESTIONS)
    return {"words": await suggestions(call.tenant, call.requester, call.query_text("prefix"), limit)}


def _request(asked: Fields) -> SearchRequest:
    keys = asked.strings("keys", list(KEYS))
    order = asked.text("order_by", "rank")
    return SearchRequest(
        term=asked.text("search_term"),
        marks=tuple(dict.fromkeys(KEYS[_one_of("keys", key, KEYS)] for key in keys)),
        filter=_filter(asked.object("filter", None)),
        by_rank=_one_of("order_by", order, ("rank", "recent")) == "rank",
        context=_context(asked.fields("event_context"))
        if asked.object("event_context", None) is not None
        else None,
        with_state=asked.flag("include_state", False),
        group_by=_group_by(asked.fields("groupings")),
    )


def _filter(json: dict[str, Any] | None) -> EventFilter:
    try:
        return ALL_EVENTS if json is None else parse_room_event_filter(json)
    except InvalidFilter as error:
        raise InvalidParam(str(error)) from None


def _context(asked: Fields) -> ContextAsked:
    return ContextAsked(
        asked.integer("before_limit", DEFAULT_CONTEXT, minimum=0, maximum=MAX_CONTEXT),
        asked.integer("after_limit", DEFAULT_CONTEXT, minimum=0, maximum=MAX_CONTEXT),
        asked.flag("include_profile", False),
    )


def _group_by(asked: Fields) -> tuple[str, ...]:
    keys = [Fields(group).text("key") for group in asked.objects("group_by", [])]
    return tuple(dict.fromkeys(_one_of("group_by", key, (ROOM_ID, SENDER)) for key in keys))


def _one_of(name: str, value: str, allowed: Any) -> str:
    if value not in allowed:
        raise InvalidParam(f"{name} must be one of: {', '.join(allowed)}")
    return value
