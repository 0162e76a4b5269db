"""What a client knows that keeps to the specification: it applies one /sync after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]


@dataclass
class Room:
    """A joined room as the client sees it."""

    timeline: list[str] = field(default_factory=list)
    senders: dict[str, str] = field(default_factory=dict)
    state: dict[Key, str] = field(default_factory=dict)
    account_data: dict[str, Any] = field(default_factory=dict)
    receipts: dict[tuple[str, str, str], str] = field(default_factory=dict)
    typing: list[str] = field(default_factory=list)
    summary: Json = field(default_factory=dict)
    unread: Json = field(default_factory=dict)
    threads: Json = field(default_factory=dict)


@dataclass
class Model:
    """The sum of all syncs so far."""

    state_after: bool = False
    joined: dict[str, Room] = field(default_factory=dict)
    invited: dict[str, list[Json]] = field(default_factory=dict)
    knocked: dict[str, list[Json]] = field(default_factory=dict)
    account_data: dict[str, Any] = field(default_factory=dict)
    presence: dict[str, Json] = field(default_factory=dict)

    def apply(self, said: Json) -> None:
        """One more sync."""
        rooms = said.get("rooms", {})
        for room_id, news in rooms.get("join", {}).items():
            self._apply_joined(room_id, news)
        for section, mine, member in (
            ("invite", self.invited, "invite_state"),
            ("knock", self.knocked, "knock_state"),
        ):
            for room_id, news in rooms.get(section, {}).items():
                self._forget(room_id)
                mine[room_id] = news[member]["events"]
        for room_id in rooms.get("leave", {}):
            self._forget(room_id)
        for event in said.get("account_data", {}).get("events", ()):
            self.account_data[event["type"]] = event["content"]
        for event in said.get("presence", {}).get("events", ()):
            self.presence[event["sender"]] = event["content"]["presence"]

    def _forget(self, room_id: str) -> None:
        for known in (self.joined, self.invited, self.knocked):
            known.pop(room_id, None)  # type: ignore[attr-defined]

    def _apply_joined(self, room_id: str, news: Json) -> None:
        if room_id not in self.joined:
            self._forget(room_id)
        room = self.joined.setdefault(room_id, Room())
        timeline = news["timeline"]
        if timeline["limited"]:
            room.timeline = []
        before = news["state_after"]["events"] if self.state_after else news["state"]["events"]
        applied = before if self.state_after else [*before, *timeline["events"]]
        for event in applied:
            if "state_key" in event:
                room.state[event["type"], event["state_key"]] = event["event_id"]
        room.timeline += [event["event_id"] for event in timeline["events"]]
        room.senders |= {event["event_id"]: event["sender"] for event in timeline["events"]}
        for event in news["account_data"]["events"]:
            room.account_data[event["type"]] = event["content"]
        for event in news["ephemeral"]["events"]:
            self._apply_ephemeral(room, event)
        room.summary |= news["summary"]
        if "unread_notifications" in news:
            room.unread = news["unread_notifications"]
            room.threads = news.get("unread_thread_notifications", {})

    def _apply_ephemeral(self, room: Room, event: Json) -> None:
        if event["type"] == "m.typing":
            room.typing = event["content"]["user_ids"]
            return
        for event_id, types in event["content"].items():
            for receipt_type, users in types.items():
                for user_id, receipt in users.items():
                    room.receipts[receipt_type, user_id, receipt.get("thread_id", "")] = event_id


def assert_equal(mine: Model, whole: Model, *, lazy: bool, limit: int) -> None:
    """What the client has put together is what it would get now by a first sync."""
    assert mine.joined.keys() == whole.joined.keys()
    assert mine.invited.keys() == whole.invited.keys()
    assert mine.knocked.keys() == whole.knocked.keys()
    assert mine.account_data == whole.account_data
    for room_id, ours in mine.joined.items():
        theirs = whole.joined[room_id]
        assert_equal_rooms(ours, theirs, lazy=lazy, limit=limit)
    theirs_presence = {user: p for user, p in whole.presence.items() if p != "offline"}
    shown = {user: p for user, p in mine.presence.items() if user in theirs_presence}
    assert shown == theirs_presence


def assert_equal_rooms(ours: Room, theirs: Room, *, lazy: bool, limit: int) -> None:
    """The same for one room. A lazy client may know more members, but whom it knows it must know right."""
    common = min(len(ours.timeline), len(theirs.timeline))
    assert ours.timeline[len(ours.timeline) - common :] == theirs.timeline[len(theirs.timeline) - common :]
    assert len(theirs.timeline) <= limit
    assert common == len(theirs.timeline) or ours.timeline
    if lazy:
        members = {key for key in ours.state if key[0] == "m.room.member"}
        assert {k: v for k, v in ours.state.items() if k not in members} == {
            k: v for k, v in theirs.state.items() if k[0] != "m.room.member"
        }
        for key in theirs.state:
            if key in members:
                assert ours.state[key] == theirs.state[key]
        for event_id in theirs.timeline:
            assert ("m.room.member", theirs.senders[event_id]) in theirs.state
        for event_id in ours.timeline:
            assert ("m.room.member", ours.senders[event_id]) in ours.state
    else:
        differing = {
            k: (ours.state.get(k), theirs.state.get(k)) for k in ours.state.keys() | theirs.state.keys()
        }
        assert not {k: both for k, both in differing.items() if both[0] != both[1]}
    assert ours.account_data == theirs.account_data
    assert ours.receipts == theirs.receipts
    assert ours.typing == theirs.typing
    assert ours.summary == theirs.summary
    assert ours.unread == theirs.unread
    assert ours.threads == theirs.threads
