"""Answers of other servers, read member by member; what has not the shape it should have is a failure of theirs."""

from __future__ import annotations

from typing import Any, TypeVar

from protocol.errors import InvalidId
from protocol.ids import EventID, RoomID, ServerName, parse_event_id, parse_room_id, parse_server_name
from protocol.json import JsonObject
from services.ports import RemoteFailed

T = TypeVar("T")

OK = 200


class Answer:
    """The JSON object that a server answered; readers raise RemoteFailed."""

    __slots__ = ("_server", "json")

    def __init__(self, server: ServerName, said: Any) -> None:
        """Raises RemoteFailed when it is not an object."""
        self._server = server
        if not isinstance(said, dict):
            raise self.bad("not an object")
        self.json: JsonObject = said

    def bad(self, what: str) -> RemoteFailed:
        """The failure to raise."""
        return RemoteFailed(self._server, OK, None, f"answered nonsense: {what}")

    def of(self, name: str, kind: type[T]) -> T:
        """A member of this type."""
        value = self.json.get(name)
        if type(value) is not kind:
            raise self.bad(f"{name} is not of type {kind.__name__}")
        return value

    def or_none(self, name: str, kind: type[T]) -> T | None:
        """A member of this type; None when it is missing."""
        return None if self.json.get(name) is None else self.of(name, kind)

    def objects(self, name: str, most: int) -> list[JsonObject]:
        """A list of at most so many objects; what else is in it is passed over, as one bad event costs only itself."""
        return [one for one in self._list(name, most) if isinstance(one, dict)]

    def event_ids(self, name: str, most: int) -> list[EventID]:
        """A list of at most so many event IDs."""
        try:
            return [parse_event_id(one) for one in self._list(name, most)]
        except InvalidId as error:
            raise self.bad(f"{name}: {error}") from None

    def event_id(self, name: str) -> EventID:
        """An event ID."""
        try:
            return parse_event_id(self.of(name, str))
        except InvalidId as error:
            raise self.bad(f"{name}: {error}") from None

    def room_id(self, name: str) -> RoomID:
        """A room ID."""
        try:
            return parse_room_id(self.of(name, str))
        except InvalidId as error:
            raise self.bad(f"{name}: {error}") from None

    def servers(self, name: str, most: int) -> list[ServerName]:
        """At most so many server names; those that are none are passed over."""
        found = []
        for one in self._list(name, most) if self.json.get(name) is not None else ():
            try:
                found.append(parse_server_name(one))
            except InvalidId:
                continue
        return found

    def _list(self, name: str, most: int) -> list[Any]:
        value = self.of(name, list)
        if len(value) > most:
            raise self.bad(f"{name} has more than {most} members")
        return value
