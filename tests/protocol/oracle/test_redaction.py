"""Redaction, event IDs and content hashes against Synapse's, for every type with rules of its own in every version."""

import json
from random import Random
from typing import Any

import pytest

from protocol.events import Event
from protocol.hashes import has_good_content_hash
from protocol.redaction import redact, redact_event
from protocol.room_versions import ROOM_VERSIONS, RoomVersion
from tests.protocol.oracle import synapse
from tests.protocol.rooms import ALICE, Room, foreign

TYPES = (
    "m.room.member",
    "m.room.create",
    "m.room.join_rules",
    "m.room.power_levels",
    "m.room.history_visibility",
    "m.room.aliases",
    "m.room.redaction",
    "m.room.server_acl",
    "m.room.topic",
    "m.room.message",
)
CONTENT: dict[str, Any] = {
    "membership": "join",
    "displayname": "Alice",
    "join_authorised_via_users_server": "@bob:two",
    "third_party_invite": {"display_name": "A", "signed": {"mxid": ALICE, "token": "t", "signatures": {}}},
    "creator": ALICE,
    "m.federate": True,
    "join_rule": "restricted",
    "allow": [{"type": "m.room_membership", "room_id": "!other:one"}],
    **dict.fromkeys(
        ("ban", "kick", "redact", "invite", "events_default", "state_default", "users_default"), 50
    ),
    "events": {"m.room.name": 50},
    "users": {ALICE: 100},
    "notifications": {"room": 50},
    "history_visibility": "shared",
    "aliases": ["#alias:one"],
    "redacts": "$something",
    "deny": ["evil"],
    "topic": "Talk",
    "body": '日本 \u0000\x7f\u2028/\\"',
}
TOP = {
    "origin": "one",
    "membership": "join",
    "prev_state": [],
    "redacts": "$something",
    "extra": {"a": [1, None]},
}


def _events(version: RoomVersion, count: int = 6) -> list[Event]:
    chance, room, events = Random(version.id), Room(version), []
    for event_type in TYPES:
        for _ in range(count):
            content = {key: value for key, value in CONTENT.items() if chance.random() < 0.7}
            if chance.random() < 0.2:
                content["third_party_invite"] = chance.choice(("nonsense", {}, {"signed": None}))
            fields = {key: value for key, value in TOP.items() if chance.random() < 0.5}
            state_key = None if event_type in ("m.room.message", "m.room.redaction") else ""
            if version.room_id_is_create_hash and event_type == "m.room.create":
                continue  # its own has no room_id: compared as the first event of the room
            events.append(foreign(room, ALICE, event_type, content, state_key, **fields))
    return [room.create, *events]


@pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}")
def test_redaction_and_event_ids_agree(version: RoomVersion) -> None:
    for event in _events(version):
        assert synapse.event_id(event) == event.event_id, event.json
        ours, theirs = redact(event.json, version), synapse.redacted(event)
        assert json.dumps(ours, sort_keys=True) == json.dumps(theirs, sort_keys=True), event.json
        assert synapse.event_id(redact_event(event)) == event.event_id


@pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}")
def test_content_hashes_agree(version: RoomVersion) -> None:
    for event in _events(version, count=2):
        changed = Event.from_trusted({**event.json, "more": 1}, event.event_id, version, event.room_id)
        for one in (event, changed):
            assert synapse.has_good_content_hash(one) == has_good_content_hash(one) == (one is event)
