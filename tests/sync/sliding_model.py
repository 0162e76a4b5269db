"""What a client of sliding sync knows: it applies one answer after the other, and goes on from its `pos`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.fixtures.client import Answer, Client

PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
ACCEPTED = "/_matrix/client/v4/sync"

LAZY = ["m.room.member", "$LAZY"]
Json = dict[str, Any]
Key = tuple[str, str]
FIELDS = ("name", "avatar", "heroes", "joined_count", "invited_count", "bump_stamp", "is_dm")


@dataclass
class Room:
    """A room as the client sees it."""

    fields: Json = field(default_factory=dict)
    state: dict[Key, str] = field(default_factory=dict)
    timeline: list[str] = field(default_factory=list)
    senders: dict[str, str] = field(default_factory=dict)
    invite_state: list[Json] | None = None
    membership: str = ""
    counts: tuple[Any, Any] = (0, 0)
    account_data: Json = field(default_factory=dict)
    receipts: dict[tuple[str, str], str] = field(default_factory=dict)
    typing: list[str] = field(default_factory=list)


@dataclass
class Sliding:
    """A connection of a client."""

    client: Client
    body: Json
    pos: str | None = None
    rooms: dict[str, Room] = field(default_factory=dict)
    lists: dict[str, int] = field(default_factory=dict)
    account_data: Json = field(default_factory=dict)
    one_time_keys: Json = field(default_factory=dict)
    messages: list[Json] = field(default_factory=list)

    def is_lazy(self, room_id: str) -> bool:
        """Are the room's members loaded lazily? Not if a subscription asks for all of them."""
        lists = self.body.get("lists", {}).values()
        asked = self.body.get("room_subscriptions", {}).get(room_id, {"required_state": []})["required_state"]
        if ["*", "*"] in asked and LAZY not in asked:
            return False
        return any(LAZY in one["required_state"] for one in lists)

    async def ask(self, timeout: int = 0, **more: Any) -> Answer:
        """The status and body of a request from where the connection is; nothing is applied."""
        params = {"timeout": timeout, "set_presence": "offline"} | ({"pos": self.pos} if self.pos else {})
        return await self.client.post(PATH, self.body | more, params=params)

    async def goes_on(self, timeout: int = 0) -> Json:
        """One more answer, applied."""
        status, said = await self.ask(timeout)
        assert status == 200, said
        self.apply(said)
        return dict(said)

    def apply(self, said: Json) -> None:
        """Goes on from this answer."""
        self.pos = said["pos"]
        self.lists = {name: found["count"] for name, found in said["lists"].items()}
        for room_id, news in said["rooms"].items():
            self._apply_room(room_id, news)
        extensions = said["extensions"]
        for event in extensions.get("account_data", {}).get("global", ()):
            self.account_data[event["type"]] = event["content"]
        for room_id, events in extensions.get("account_data", {}).get("rooms", {}).items():
            self.rooms[room_id].account_data |= {event["type"]: event["content"] for event in events}
        for room_id, event in extensions.get("typing", {}).get("rooms", {}).items():
            self.rooms[room_id].typing = event["content"]["user_ids"]
        for room_id, event in extensions.get("receipts", {}).get("rooms", {}).items():
            self._apply_receipts(self.rooms[room_id], event["content"])
        if "to_device" in extensions:
            self.messages += extensions["to_device"]["events"]
            self.body["extensions"]["to_device"]["since"] = extensions["to_device"]["next_batch"]
        self.one_time_keys |= extensions.get("e2ee", {}).get("device_one_time_keys_count", {})

    def _apply_receipts(self, room: Room, content: Json) -> None:
        for event_id, types in content.items():
            for type, users in types.items():
                for user_id, receipt in users.items():
                    if "thread_id" not in receipt:
                        room.receipts[type, user_id] = event_id

    def _apply_room(self, room_id: str, news: Json) -> None:
        if news.get("initial") or room_id not in self.rooms:
            self.rooms[room_id] = Room()
        room = self.rooms[room_id]
        if "invite_state" in news:
            room.invite_state = news["invite_state"]
        room.fields |= {name: news[name] for name in FIELDS if name in news}
        if room.fields.get("name"):
            room.fields.pop("heroes", None)
        if "notification_count" in news:
            room.counts = (news["notification_count"], news["highlight_count"])
        timeline = [event["event_id"] for event in news.get("timeline", ())]
        if news.get("unstable_expanded_timeline"):
            room.timeline = timeline
        elif news.get("limited") and not news.get("initial"):
            room.timeline = timeline
            if self.is_lazy(room_id):  # «clients must flush any "membership" cache when `limited` is true»
                own = ("m.room.member", self.client.user_id)
                room.state = {k: v for k, v in room.state.items() if k[0] != "m.room.member" or k == own}
        else:
            room.timeline += timeline
        assert len(set(room.timeline)) == len(room.timeline)
        room.senders |= {event["event_id"]: event["sender"] for event in news.get("timeline", ())}
        for event in news.get("required_state", ()):
            room.state[event["type"], event["state_key"]] = event["event_id"]
            if (event["type"], event["state_key"]) == ("m.room.member", self.client.user_id):
                room.membership = event["content"]["membership"]
