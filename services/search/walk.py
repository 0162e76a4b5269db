"""Walking through the newest documents of many rooms, by time, until enough is found that is the newest for sure.

A first walk takes the same few of each room. That tells how busy each room was, and how many documents have the words. If
there is hope that way, a second walk goes back to one moment in all rooms, which is chosen by how many documents there were, and
how many of them had the words, in each room; so a room in which somebody never stops talking does not stand before all others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from storage.database import Tx
from storage.search.find import Ask, Leg, Place, Walked, walk
from storage.timeline import OLDEST

FIRST = 4_000  # documents that are looked at, in all rooms
MOST = 20_000
SPARSE = 400  # when fewer than one in so many has the words, the index of words is quicker
_WALKS = 5
_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class Walk:
    """What was found, the newest first, and all there is down to `horizon` (None: all there is at all)."""

    found: list[Place]
    horizon: Place | None


async def walk_newest(tx: Tx, ask: Ask, enough: int) -> Walk:
    """Walks until there is enough, or it is not the way to find it."""
    steps = max(FIRST * max(enough // 50, 1) // len(ask.rooms), 2)
    legs = [Leg(room, ask.before, ask.since, steps) for room in ask.rooms]
    paths: dict[int, _Path] = {}
    hits: list[Place] = []
    looked = 0
    for _ in range(_WALKS):
        for leg, walked in zip(legs, await walk(tx, ask, legs), strict=True):
            looked += walked.looked
            hits += walked.hits
            _go_on(paths, ask, leg, walked)
        horizon = max((path.place for path in paths.values()), default=None)
        found = sorted((hit for hit in hits if horizon is None or hit >= horizon), reverse=True)
        is_sparse = len(hits) * SPARSE < looked
        if horizon is None or len(found) >= enough or is_sparse or looked >= MOST:
            break
        hope = _Hope(list(paths.values()), sorted(at for at, _ in hits), int(_MARGIN * enough), MOST - looked)
        legs = _back_to(_moment(hope), paths, ask)
    return Walk(found, horizon)


@dataclass(frozen=True, slots=True)
class _Path:
    """How far one came in a room that goes on; how many documents (a millisecond) there were on the way, and which part of
    them have the words.
    """

    place: Place
    rate: float
    density: float

    def until(self, moment: int) -> float:
        """About how many more there are until a moment."""
        return self.rate * max(self.place[0] - moment, 0)


def _go_on(paths: dict[int, _Path], ask: Ask, leg: Leg, walked: Walked) -> None:
    if walked.looked == leg.steps:
        rate = walked.looked / (walked.newest - walked.last[0] + 1)
        paths[leg.room] = _Path(walked.last, rate, len(walked.hits) / walked.looked)
    elif leg.since > ask.since:  # all down to there; it goes on as it was there, not as it was in a busy hour
        rate = (walked.looked + 1) / max(leg.before[0] - leg.since, 1)
        paths[leg.room] = replace(paths[leg.room], place=(leg.since, OLDEST), rate=rate)
    else:
        paths.pop(leg.room, None)


@dataclass(frozen=True, slots=True)
class _Hope:
    """What a further walk is to bring: with the times of what was found already so many that are `wanted`, by looking at no
    more than `left` documents.
    """

    paths: Sequence[_Path]
    times: Sequence[int]
    wanted: int
    left: int

    def is_fulfilled(self, moment: int) -> bool:
        """Is it far enough back to that moment?"""
        more = [(path.until(moment), path.density) for path in self.paths]
        if sum(documents for documents, _ in more) >= self.left:
            return True
        known = len(self.times) - bisect_left(self.times, moment)
        return known + sum(documents * density for documents, density in more) >= self.wanted


def _moment(hope: _Hope) -> int:
    """The latest time that it is far enough to go back to."""
    latest = max(path.place[0] for path in hope.paths)
    span = 1
    while span < latest and not hope.is_fulfilled(latest - span):
        span *= 2
    earlier, later = latest - span, latest
    while later - earlier > 1:
        middle = (earlier + later) // 2
        if hope.is_fulfilled(middle):
            earlier = middle
        else:
            later = middle
    return earlier


def _back_to(moment: int, paths: Mapping[int, _Path], ask: Ask) -> list[Leg]:
    since = max(moment, ask.since)
    return [
        Leg(room, path.place, since, min(int(2 * path.until(since)) + 20, MOST))
        for room, path in paths.items()
        if path.place[0] >= since
    ]
