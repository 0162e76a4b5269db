"""Whose invites a user wants: all, none (§Invite permission, MSC4380), or as lists of users and servers say (MSC4155)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from protocol.glob import Glob, glob

CONFIG: Final = "m.invite_permission_config"
UNSTABLE_CONFIG: Final = "org.matrix.msc4380.invite_permission_config"
LISTS: Final = "org.matrix.msc4155.invite_permission_config"
TYPES: Final = (CONFIG, UNSTABLE_CONFIG, LISTS)
"""The types of account data that say it."""

MAX_GLOBS: Final = 500
"""Patterns of a list that are heeded; names without wildcards are, however many they are."""

_PORT: Final = re.compile(r":[0-9]+$")


class Verdict(Enum):
    """What becomes of an invite."""

    ALLOWED = "the user is told of it"
    IGNORED = "the sender learns nothing, nor does the user"
    BLOCKED = "the sender is refused"


@dataclass(frozen=True, slots=True)
class Names:
    """A list of names and patterns."""

    exact: frozenset[str]
    globs: tuple[Glob, ...]

    @classmethod
    def of(cls, entries: object) -> Names:
        """The list that is meant; nonsense in it counts as not there."""
        texts = [entry for entry in entries if isinstance(entry, str)] if isinstance(entries, list) else []
        globs = [text for text in texts if "*" in text or "?" in text]
        return cls(frozenset(texts).difference(globs), tuple(map(glob, globs[:MAX_GLOBS])))

    def has(self, name: str) -> bool:
        """Is the name in the list?"""
        return name in self.exact or any(pattern.matches(name) for pattern in self.globs)


@dataclass(frozen=True, slots=True)
class InvitePermissions:
    """What a user has said: nothing of anybody (`blocks_all`), or lists in the order in which they are asked."""

    blocks_all: bool = False
    lists: tuple[tuple[str, Names, Verdict], ...] = ()

    def verdict(self, sender: str) -> Verdict:
        """What becomes of an invite by the user."""
        if self.blocks_all:
            return Verdict.BLOCKED
        server = _PORT.sub("", sender.partition(":")[2])
        for about, names, verdict in self.lists:
            if names.has(sender if about == "users" else server):
                return verdict
        return Verdict.ALLOWED


EVERYBODY: Final = InvitePermissions()

# «allowed_users, ignored_users, blocked_users, allowed_servers, ignored_servers, blocked_servers»: the first one decides.
_ORDER: Final = tuple(
    (f"{name}_{about}", about, verdict)
    for about in ("users", "servers")
    for name, verdict in (
        ("allowed", Verdict.ALLOWED),
        ("ignored", Verdict.IGNORED),
        ("blocked", Verdict.BLOCKED),
    )
)


def invite_permissions(contents: Mapping[str, Mapping[str, Any]]) -> InvitePermissions:
    """What the account data of TYPES, by type, say together."""
    actions = [contents.get(type, {}).get("default_action") for type in (CONFIG, UNSTABLE_CONFIG)]
    lists = contents.get(LISTS, {})
    if lists.get("enabled") is False:
        lists = {}
    if "block" not in actions and not lists:
        return EVERYBODY
    asked = tuple((about, Names.of(lists[name]), verdict) for name, about, verdict in _ORDER if name in lists)
    return InvitePermissions("block" in actions, asked)
