"""Whom a user wants to hear of: whom the user ignores (§Ignoring Users), and whose invites the user wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from protocol.invite_permissions import EVERYBODY, TYPES, InvitePermissions, Verdict, invite_permissions
from services.settings import ServerNotices
from storage.account_data import GLOBAL, account_data_of_types
from storage.database import Tx

IGNORED_USERS = "m.ignored_user_list"


@dataclass(frozen=True, slots=True)
class Likings:
    """Of whom a user wants to hear nothing, and whose invites the user wants; `server` is as whom the server itself speaks, which
    nobody can shut out.
    """

    ignored: frozenset[str] = frozenset()
    invites: InvitePermissions = EVERYBODY
    server: str | None = None

    def hides_invite_of(self, sender: str) -> bool:
        """Is the user not to be told of an invite by the sender?"""
        # «existing events already in the database MUST NOT be served over client synchronisation endpoints» (MSC4380)
        is_unwanted = sender in self.ignored or self.invites.verdict(sender) is not Verdict.ALLOWED
        return is_unwanted and sender != self.server


async def read_likings(tx: Tx, user_id: str, notices: ServerNotices | None = None) -> Likings:
    """The user's likings as they are stored; `notices` are those of the settings."""
    data = await account_data_of_types(tx, user_id, GLOBAL, (IGNORED_USERS, *TYPES))
    server = None if notices is None else notices.user_id
    ignored = ignored_in(data.get(IGNORED_USERS)) - {server}
    return Likings(ignored, _permissions(data), server)


async def permissions_of(tx: Tx, user_id: str) -> InvitePermissions:
    """Whose invites the user wants."""
    return _permissions(await account_data_of_types(tx, user_id, GLOBAL, TYPES))


def ignored_in(content: bytes | None) -> frozenset[str]:
    """The users in the content of m.ignored_user_list."""
    users = orjson.loads(content).get("ignored_users") if content is not None else None
    return frozenset(users) if isinstance(users, dict) else frozenset()


def _permissions(data: Mapping[str, bytes]) -> InvitePermissions:
    return invite_permissions({type: orjson.loads(data[type]) for type in TYPES if type in data})
