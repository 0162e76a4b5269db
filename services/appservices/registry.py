"""The application services that this server knows, by their tokens and namespaces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from re import Pattern

from protocol.ids import UserID, server_of
from protocol.matrix_error import Exclusive


@dataclass(frozen=True, slots=True)
class Namespace:
    """IDs that an application service cares for; nobody else may make any in an exclusive one."""

    pattern: Pattern[str]
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The users, aliases and rooms of an application service."""

    users: tuple[Namespace, ...] = ()
    aliases: tuple[Namespace, ...] = ()
    rooms: tuple[Namespace, ...] = ()


@dataclass(frozen=True, slots=True)
class Appservice:
    """One registration (§Application Service API, «Registration»)."""

    id: str
    url: str | None
    as_token: str
    hs_token: str
    sender: UserID
    namespaces: Namespaces
    rate_limited: bool = True
    protocols: tuple[str, ...] = ()
    receives_ephemeral: bool = False
    old_ephemeral: bool = False
    """It knows ephemeral events by the name that they had before v1.13 (MSC2409)."""
    is_encrypted: bool = False
    """It wants to-device messages, device lists and counts of keys for its users (MSC3202, MSC4203)."""
    gives_keys: bool = False
    """It is asked for one-time keys of its users when there are none here (MSC3983)."""
    tells_keys: bool = False
    """It is asked for devices of its users (MSC3984)."""

    @property
    def wants_ephemeral(self) -> bool:
        """Is it to be told who types, reads and is there?"""
        return self.receives_ephemeral or self.old_ephemeral

    def may_act_for(self, user_id: str) -> bool:
        """Is the user the application service's own or in its namespace?"""
        return user_id == self.sender or _matches(self.namespaces.users, user_id)

    def cares_for_user(self, user_id: str) -> bool:
        """Is what the user does of interest to it? «application services can only register interest in local users»"""
        return user_id.endswith(f":{server_of(self.sender)}") and self.may_act_for(user_id)

    def cares_for_alias(self, alias: str) -> bool:
        """Is a room with this alias of interest to it?"""
        return _matches(self.namespaces.aliases, alias)

    def cares_for_room(self, room_id: str) -> bool:
        """Is the room of interest to it, whoever is in it?"""
        return _matches(self.namespaces.rooms, room_id)

    def owns_user(self, user_id: str) -> bool:
        """Is the user ID reserved for this application service?"""
        return user_id == self.sender or _matches(self.namespaces.users, user_id, exclusive=True)

    def owns_alias(self, alias: str) -> bool:
        """Is the alias reserved for this application service?"""
        return _matches(self.namespaces.aliases, alias, exclusive=True)


class Appservices:
    """All application services of a tenant; they do not change while the process lives."""

    def __init__(self, known: Iterable[Appservice] = ()) -> None:
        self.known = tuple(known)
        self._by_token = {sha256(one.as_token.encode()).digest(): one for one in self.known}
        self._by_id = {one.id: one for one in self.known}

    def by_token(self, digest: bytes) -> Appservice | None:
        """The one whose `as_token` has the digest."""
        return self._by_token.get(digest)

    def by_id(self, appservice_id: str) -> Appservice | None:
        """The one of this ID."""
        return self._by_id.get(appservice_id)

    def owner_of_user(self, user_id: str) -> Appservice | None:
        """The one that the user ID is reserved for."""
        return next((one for one in self.known if one.owns_user(user_id)), None)

    def check_alias(self, alias: str, appservice_id: str | None) -> None:
        """Raises Exclusive when who asks (`appservice_id` for an application service) may not make the alias: one reserved
        for another, or, for an application service that reserves some, one «outside of their defined namespaces».
        """
        owner = self.owner_of_alias(alias)
        if owner is not None:
            if owner.id != appservice_id:
                raise Exclusive
            return
        maker = None if appservice_id is None else self.by_id(appservice_id)
        if maker is not None and maker.namespaces.aliases and not maker.cares_for_alias(alias):
            raise Exclusive("This alias is not in the namespaces of the application service")

    def owner_of_alias(self, alias: str) -> Appservice | None:
        """The one that the alias is reserved for."""
        return next((one for one in self.known if one.owns_alias(alias)), None)


def _matches(namespaces: tuple[Namespace, ...], text: str, exclusive: bool = False) -> bool:
    return any(one.pattern.match(text) for one in namespaces if one.exclusive or not exclusive)
