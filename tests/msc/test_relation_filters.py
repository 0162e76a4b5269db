"""Filters may ask how an event relates to another one (MSC3874)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.fixtures.client import Client
from tests.msc.test_related_redactions import related


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"rel_types": ["m.thread"]}, {"thread"}),
        ({"rel_types": ["m.thread", "m.reference"]}, {"thread", "reference"}),
        ({"not_rel_types": ["m.thread"]}, {"parent", "reference"}),
        ({"not_rel_types": ["m.thread", "m.reference"]}, {"parent"}),
        ({"rel_types": []}, set()),
        ({"rel_types": ["m.thread"], "not_rel_types": ["m.thread"]}, set()),
    ],
)
async def test_events_that_relate_so(alice: Client, asked: dict[str, Any], found: set[str]) -> None:
    room = await alice.create_room()
    parent = await alice.send(room, "hello")
    ids = {parent: "parent"}
    for rel_type in ("m.thread", "m.reference"):
        ids[await related(alice, room, parent, rel_type)] = rel_type.removeprefix("m.")
    filter = {"types": ["m.room.message"]} | {
        f"org.matrix.msc3874.{name}": value for name, value in asked.items()
    }
    events = await alice.messages(room, filter=orjson.dumps(filter).decode())
    assert {ids[event["event_id"]] for event in events} == found
    synced = await alice.sync(filter=orjson.dumps({"room": {"timeline": filter | {"limit": 50}}}).decode())
    timeline = synced["rooms"]["join"].get(room, {}).get("timeline", {}).get("events", [])
    assert {ids[event["event_id"]] for event in timeline} == found
