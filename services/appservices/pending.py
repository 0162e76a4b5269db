"""What has happened that an application service may have to be told of, since it was looked at last: gathered from topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.appservices.interest import Interest
from services.appservices.registry import Appservice
from storage import topics

MOST = 10_000  # rooms or users of a kind: of more, those that come later are left out; they may be lost


@dataclass(slots=True)
class News:
    """What is to be looked at. Where `is_everything`, nobody knows: it must all be looked up."""

    is_everything: bool = False
    events_after: int | None = None
    """There are events of interest behind this position."""
    lists_after: int | None = None
    """The same of changes of device lists."""
    receipts_after: int | None = None
    mail: set[str] = field(default_factory=set)
    """Users who got messages to their devices."""
    all_mail: bool = False
    """So may all others have."""
    users: set[str] = field(default_factory=set)
    """The application service's users of whom there is news: perhaps they have fewer keys."""
    receipts: set[str] = field(default_factory=set)
    typing: set[str] = field(default_factory=set)
    presence: set[str] = field(default_factory=set)

    @property
    def is_something(self) -> bool:
        """Is there anything to look at?"""
        places = (self.events_after, self.lists_after, self.receipts_after)
        sets = (self.mail, self.users, self.typing, self.presence)
        return self.is_everything or self.all_mail or any(place is not None for place in places) or any(sets)


class Pending:
    """Sorts topics for one application service; costs no SQL."""

    def __init__(self, appservice: Appservice, interest: Interest, position: int) -> None:
        self._appservice = appservice
        self._interest = interest
        self.upto = position
        """What has happened up to here has been heard of."""
        self.news = News(is_everything=True)

    def take(self) -> News:
        """What there is, which is not there any more then."""
        news, self.news = self.news, News()
        return news

    def put_back(self, rest: News) -> None:
        """What was left of what was taken is still to be looked at."""
        news = self.news
        news.mail |= rest.mail
        news.all_mail |= rest.all_mail
        news.receipts |= rest.receipts
        if rest.events_after is not None:
            news.events_after = _first(news.events_after, rest.events_after)
        if rest.receipts_after is not None:
            news.receipts_after = _first(news.receipts_after, rest.receipts_after)

    def told(self, position: int, told: Sequence[str]) -> bool:
        """A commit. Is there something to look at now?"""
        before, self.upto = self.upto, position
        if any(topic[0] == topics.USER and self._appservice.cares_for_user(topic[1:]) for topic in told):
            self._interest.forget(topic[1:] for topic in told if topic[0] == topics.ROOM)
        for topic in told:
            self._sort(topic[0], topic[1:], before)
        return self.news.is_something

    def reset(self, position: int) -> None:
        """Commits may have been missed."""
        self.upto = position
        self._interest.forget_all()
        self.news.is_everything = True

    def told_ephemeral(self, told: Sequence[str]) -> bool:
        """Somebody types, or is there or not. Is there something to look at now?"""
        for topic in told:
            what = topic[1:]
            if topic[0] == topics.TYPING and self._interest.may_be_in(what):
                _add(self.news.typing, what)
            elif topic[0] == topics.PRESENCE:
                _add(self.news.presence, what)
        return self.news.is_something

    def _sort(self, kind: str, what: str, before: int) -> None:
        """`what` is a room or a user; all that is new is behind position `before`."""
        news, cares = self.news, self._appservice
        if kind == topics.ROOM:
            if self._interest.may_be_in(what):
                news.events_after = _first(news.events_after, before)
        elif kind == topics.USER:
            if cares.cares_for_user(what):
                # Perhaps an invite, which is no event of a room that we are in.
                news.events_after = _first(news.events_after, before)
                if cares.is_encrypted:
                    _add(news.users, what)
        elif kind == topics.ALIASES:
            self._interest.forget((what,))
        elif cares.is_encrypted and kind in (topics.TO_DEVICE, topics.DEVICE_LISTS):
            self._sort_secret(kind, what, before)
        elif kind in (topics.RECEIPTS, topics.OWN_RECEIPTS) and cares.wants_ephemeral:
            room_id = what.partition("\0")[2] if kind == topics.OWN_RECEIPTS else what
            if self._interest.may_be_in(room_id):
                _add(news.receipts, room_id)
                news.receipts_after = _first(news.receipts_after, before)

    def _sort_secret(self, kind: str, what: str, before: int) -> None:
        news, cares = self.news, self._appservice
        is_ours = cares.cares_for_user(what) if what[:1] == "@" else self._interest.may_be_in(what)
        if is_ours and kind == topics.TO_DEVICE:
            _add(news.mail, what)
        elif is_ours:
            news.lists_after = _first(news.lists_after, before)


def _first(known: int | None, position: int) -> int:
    return position if known is None else min(known, position)


def _add(to: set[str], what: str) -> None:
    if len(to) < MOST:
        to.add(what)
