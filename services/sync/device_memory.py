"""What is remembered of a device from one /sync to the next: hints only, which may be lost at any time."""

from __future__ import annotations

MAX_MEMBERS = 20_000


class DeviceMemory:
    """The members that the device was sent (lazy loading), valid while it goes on from the token that it got last;
    whether it has messages that it has been sent, and that are to be deleted when it comes again; and what it had in
    keys when it looked last: that there are fewer now is news.
    """

    __slots__ = ("_count", "_members", "key_counts", "token", "undeleted")

    def __init__(self) -> None:
        self.token = ""
        self.undeleted = True
        self.key_counts: tuple[bytes, bytes] | None = None
        self._members: dict[str, set[str]] | None = None
        self._count = 0

    def goes_on_from(self, token: str) -> None:
        """The device asks from here: if it is not where it was, nobody knows what it has."""
        if token != self.token:
            self._members, self._count = None, 0

    def knows(self, room_id: str, user_id: str) -> bool:
        """Was the device sent the member event?"""
        return self._members is not None and user_id in self._members.get(room_id, ())

    def learns(self, room_id: str, user_id: str) -> None:
        """The device is sent the member event."""
        if self._members is None or self._count >= MAX_MEMBERS:
            self._members, self._count = {}, 0
        users = self._members.setdefault(room_id, set())
        self._count += user_id not in users
        users.add(user_id)
