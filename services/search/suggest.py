"""Completing a word that somebody is typing into a search, from what they may read anyway."""

from __future__ import annotations

from collections import Counter

from protocol.search.query import Branch, Lexeme, Phrase, Query
from protocol.search.words import words
from services.requester import Requester
from services.search.find import find
from services.search.request import BEGINNING, SearchRequest
from services.search.search import ask_for
from services.search.show import show
from services.tenant import Tenant

LOOKED_AT = 100  # events


async def suggestions(tenant: Tenant, requester: Requester, prefix: str, limit: int) -> list[str]:
    """Words that begin like the last word of the text, those first that are the most frequent in the newest events that have
    such words.
    """
    typed = words(prefix)
    if not typed or limit == 0:
        return []
    begun = typed[-1]
    query = Query((Branch((Phrase((Lexeme(begun, is_prefix=True),)),)),))
    async with tenant.search.running:
        ask = await ask_for(tenant, requester, query, SearchRequest(begun), BEGINNING)
        if ask is None:
            return []
        found = await find(tenant, requester, ask, SearchRequest(begun).filter)
        shown = await show(tenant, requester, found.views, found.hits[:LOOKED_AT], None)
    counts = Counter(word for text in shown.texts for word in words(text) if word.startswith(begun))
    return [word for word, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:limit]]
