"""What the pushers' follower has to look at: gathered from the topics of commits, without SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.push.delivery.badges import Badges
from services.push.delivery.directory import Directory
from storage import topics


@dataclass(slots=True)
class News:
    """Rooms with events, users who may have been invited (each with a position before that), users who have other pushers, and
    those for whom less may be unread."""

    rooms: dict[str, int] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    pushers: set[str] = field(default_factory=set)
    readers: set[str] = field(default_factory=set)
    is_everything: bool = False

    @property
    def is_something(self) -> bool:
        """Is there anything to look at?"""
        return self.is_everything or bool(self.rooms or self.users or self.readers or self.pushers)


class Gathering:
    """Sorts topics."""

    def __init__(self, directory: Directory, badges: Badges, position: int) -> None:
        self._directory = directory
        self._badges = badges
        self.upto = position
        """What has happened up to here has been heard of."""
        self.news = News()
        self._is_awake = True  # False: nobody has a pusher

    def settle(self) -> None:
        """All that was taken has been looked at: as long as nobody has a pusher, nothing need be gathered."""
        self._is_awake = not self._directory.is_empty or bool(self.news.pushers) or self.news.is_everything

    def take(self) -> News:
        """What there is, which is not there any more then."""
        news, self.news = self.news, News()
        return news

    def told(self, position: int, told: Sequence[str]) -> bool:
        """A commit. Is there something to look at?"""
        before, self.upto = self.upto, position
        news, directory = self.news, self._directory
        if not self._is_awake and not any(topic[0] == topics.PUSHERS for topic in told):
            return False
        self._is_awake = True
        moved = False
        for topic in told:
            kind, what = topic[0], topic[1:]
            if kind == topics.ROOM:
                news.rooms.setdefault(what, before)
            elif kind == topics.PUSHERS:
                news.pushers.add(what)
            elif what not in directory:
                continue
            elif kind == topics.USER:
                moved = True
                news.pushers.add(what)  # which may have gone with a device
                news.users.setdefault(what, before)
                if any(topic[0] == topics.ROOM for topic in told):
                    self._badges.forget(what)
            elif kind == topics.PUSH_RULES:
                self._badges.forget(what)
                news.readers.add(what)  # what is muted is no more to be read
            elif kind == topics.ACCOUNT_DATA:
                self._badges.doubt(what)
            elif kind == topics.UNREAD:
                news.readers.add(what)
                self._badges.read_in(what, _rooms_read(what, told))
        if moved:
            directory.forget_rooms(topic[1:] for topic in told if topic[0] == topics.ROOM)
        return news.is_something

    def reset(self, position: int) -> None:
        """Commits may have been missed."""
        self.upto = position
        self._directory.forget_rooms()
        self._badges.forget_all()
        self.news.is_everything = self._is_awake = True


def _rooms_read(user_id: str, told: Sequence[str]) -> set[str]:
    """Where a user has read: the rooms in whose receipts something has changed with it."""
    rooms = {topic[1:] for topic in told if topic[0] == topics.RECEIPTS}
    own = f"{topics.OWN_RECEIPTS}{user_id}\0"
    return rooms | {topic[len(own) :] for topic in told if topic.startswith(own)}
