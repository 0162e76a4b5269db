"""What a room looks like to those who are not in it, and who may look (§Spaces, §Room summaries)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from protocol.json import JsonObject
from protocol.room_versions import RoomVersion, version_named
from storage.database import Tx
from storage.summaries import StoredSummary, summaries

SPACE = "m.space"
_KNOCKABLE = ("knock", "knock_restricted")
_RESTRICTED = ("restricted", "knock_restricted")
# What the specification's schema of a summary knows; other algorithms are not named.
_ENCRYPTION = ("m.megolm.v1.aes-sha2",)
MAX_ALLOWED = 100
MAX_TEXT = 64 * 1024

Memberships = Mapping[str, Collection[str]]
"""Room ID -> the asker's memberships there (a server has those of all its users)."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A room's summary as clients and servers get it; `join_rule` as it works in this room's version."""

    room_id: str
    json: JsonObject
    join_rule: str
    world_readable: bool
    allowed: tuple[str, ...]

    @property
    def is_space(self) -> bool:
        """Can it have children?"""
        return self.json.get("room_type") == SPACE

    @property
    def is_open(self) -> bool:
        """May anybody read it, or come in or knock?"""
        return self.world_readable or self.join_rule == "public" or self.join_rule in _KNOCKABLE

    def is_shown_to(self, memberships: Memberships) -> bool:
        """May one of these memberships (here, and in the rooms that its join rule names) know of the room?"""
        here = memberships.get(self.room_id, ())
        if self.world_readable or "join" in here or "invite" in here:
            return True
        if "ban" in here and len(here) == 1:
            return False
        if self.is_open:
            return True
        return any("join" in memberships.get(room_id, ()) for room_id in self.allowed)


def asked_for(found: Iterable[Summary]) -> set[str]:
    """The rooms in which an asker's memberships decide whether these are shown."""
    return {room_id for summary in found for room_id in (summary.room_id, *summary.allowed)}


async def known_summaries(tx: Tx, room_ids: Collection[str]) -> dict[str, Summary]:
    """Those of the rooms that somebody of ours is in."""
    found = await summaries(tx, room_ids)
    return {room_id: _summary(stored) for room_id, stored in found.items()}


def _summary(stored: StoredSummary) -> Summary:
    def content(event_type: str) -> JsonObject:
        raw = stored.state.get(event_type)
        found: JsonObject = orjson.loads(raw)["content"] if raw is not None else {}
        return found

    version = version_named(stored.room_version)
    rules = content("m.room.join_rules")
    named = {
        "name": content("m.room.name").get("name"),
        "topic": content("m.room.topic").get("topic"),
        "avatar_url": content("m.room.avatar").get("url"),
        "canonical_alias": content("m.room.canonical_alias").get("alias"),
        "room_type": content("m.room.create").get("type"),
        "join_rule": rules.get("join_rule"),
        "encryption": content("m.room.encryption").get("algorithm"),
        "room_version": stored.room_version,
    }
    open_to_guests = content("m.room.guest_access").get("guest_access") == "can_join"
    world_readable = content("m.room.history_visibility").get("history_visibility") == "world_readable"
    return _built(
        stored.room_id,
        {
            "num_joined_members": stored.joined,
            "guest_can_join": open_to_guests,
            "world_readable": world_readable,
        },
        named,
        _join_rule(version, rules.get("join_rule")),
        _allowed_by(version, rules),
    )


def _join_rule(version: RoomVersion, rule: object) -> str:
    """The join rule, where the room's version has it; `invite` for all others."""
    works = {
        "public": True,
        "knock": version.knock_join_rule,
        "restricted": version.restricted_join_rule,
        "knock_restricted": version.knock_restricted_join_rule,
    }
    return rule if isinstance(rule, str) and works.get(rule) else "invite"


def _allowed_by(version: RoomVersion, rules: JsonObject) -> tuple[str, ...]:
    if _join_rule(version, rules.get("join_rule")) not in _RESTRICTED:
        return ()
    allow = rules.get("allow")
    named = (
        condition.get("room_id")
        for condition in (allow if isinstance(allow, list) else ())
        if isinstance(condition, dict) and condition.get("type") == "m.room_membership"
    )
    return _room_ids(named)


def told_summary(json: object) -> Summary | None:
    """A room's summary as another server tells it, without what it should not have; None where it is none at all."""
    if not isinstance(json, dict):
        return None
    room_id = next(iter(_room_ids([json.get("room_id")])), None)
    joined = json.get("num_joined_members")
    if room_id is None or not isinstance(joined, int) or isinstance(joined, bool) or joined < 0:
        return None
    rule: Any = json.get("join_rule", "public")  # «When not present, the room is assumed to be public.»
    rule = rule if isinstance(rule, str) else "invite"
    allowed: Any = json.get("allowed_room_ids")
    named = ("name", "topic", "avatar_url", "canonical_alias", "room_type", "encryption", "room_version")
    world_readable = json.get("world_readable") is True
    return _built(
        room_id,
        {
            "num_joined_members": joined,
            "guest_can_join": json.get("guest_can_join") is True,
            "world_readable": world_readable,
        },
        {name: json.get(name) for name in named} | {"join_rule": rule},
        rule,
        _room_ids(allowed) if isinstance(allowed, list) and rule in _RESTRICTED else (),
    )


def _built(
    room_id: str, facts: JsonObject, named: Mapping[str, object], join_rule: str, allowed: tuple[str, ...]
) -> Summary:
    texts = {
        k: v for k, v in named.items() if isinstance(v, str) and v and len(v) <= MAX_TEXT and "\0" not in v
    }
    if texts.get("encryption") not in _ENCRYPTION:
        texts.pop("encryption", None)
    json = {"room_id": room_id, **facts, **texts, **({"allowed_room_ids": list(allowed)} if allowed else {})}
    return Summary(room_id, json, join_rule, facts["world_readable"], allowed)


def _room_ids(named: Iterable[object]) -> tuple[str, ...]:
    found = [
        room_id
        for room_id in named
        if isinstance(room_id, str)
        and room_id.startswith("!")
        and len(room_id) <= 255
        and "\0" not in room_id
    ]
    return tuple(found[:MAX_ALLOWED])
