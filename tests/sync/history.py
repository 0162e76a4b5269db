"""A random history: users who do, over HTTP, whatever users do; what is refused is refused."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

from tests.fixtures.client import Client

VISIBILITIES = ("joined", "invited", "shared", "world_readable")


class History:
    """Acts one step after the other, by a seed. `speakers` are who acts: several clients of a user may be among them."""

    def __init__(self, seed: int, speakers: Sequence[Client]) -> None:
        self.random = random.Random(seed)
        self.speakers = speakers
        self.users = sorted({speaker.user_id for speaker in speakers})
        self.rooms: list[str] = []
        self.events: list[tuple[str, str]] = []
        self.number = 0
        self._steps: list[tuple[int, Callable[[Client], Awaitable[Any]]]] = [
            (30, self._speaks),
            (10, self._sets_state),
            (16, self._joins),
            (4, self._leaves),
            (6, self._invites),
            (4, self._removes),
            (3, self._knocks),
            (3, self._creates),
            (12, self._reads),
            (4, self._tags),
            (4, self._keeps_data),
            (3, self._renames),
            (4, self._redacts),
            (3, self._types),
            (2, self._is_there),
            (2, self._forgets),
            (3, self._answers_in_thread),
            (3, self._hears),
        ]

    async def step(self) -> None:
        """Somebody does something."""
        if len(self.rooms) < 2:
            await self._creates(self.random.choice(self.speakers))
            return
        weights, steps = zip(*self._steps, strict=True)
        step = self.random.choices(steps, weights)[0]
        await step(self.random.choice(self.speakers))

    def _room(self) -> str:
        return quote(self.random.choice(self.rooms), safe="") if self.rooms else "!none:one.example"

    def _other(self) -> str:
        return self.random.choice(self.users)

    def _unique(self) -> str:
        self.number += 1
        return f"n{self.number}"

    async def _put_event(self, who: Client, room: str, path: str, content: dict[str, Any]) -> None:
        status, said = await who.put(f"rooms/{room}/{path}", content)
        assert status in (200, 400, 403, 404), said
        if status == 200:
            self.events.append((room, said["event_id"]))

    async def _speaks(self, who: Client) -> None:
        for _ in range(self.random.choice((1, 1, 1, 4))):
            content: dict[str, Any] = {"msgtype": "m.text", "body": self._unique()}
            if self.random.random() < 0.2:
                content["m.mentions"] = {"user_ids": [self._other()]}
            if self.random.random() < 0.1:
                content["url"] = "mxc://one.example/abc"
            await self._put_event(who, self._room(), f"send/m.room.message/{self._unique()}", content)

    async def _answers_in_thread(self, who: Client) -> None:
        if self.events:
            room, root = self.random.choice(self.events)
            relation = {"rel_type": "m.thread", "event_id": root}
            content = {"msgtype": "m.text", "body": "in thread", "m.relates_to": relation}
            await self._put_event(who, room, f"send/m.room.message/{self._unique()}", content)

    async def _sets_state(self, who: Client) -> None:
        type, content = self.random.choice(
            (
                ("m.room.name", {"name": self._unique()}),
                ("m.room.topic", {"topic": self._unique()}),
                ("m.room.history_visibility", {"history_visibility": self.random.choice(VISIBILITIES)}),
                ("m.room.join_rules", {"join_rule": self.random.choice(("public", "invite", "knock"))}),
                ("org.example.thing", {"n": self._unique()}),
            )
        )
        state_key = self.random.choice(("", "a", "b")) if type == "org.example.thing" else ""
        await self._put_event(who, self._room(), f"state/{type}/{state_key}", content)

    async def _creates(self, who: Client) -> None:
        if len(self.rooms) >= 5:
            return
        preset = self.random.choice(("public_chat", "private_chat", "trusted_private_chat"))
        visibility = {"history_visibility": self.random.choice(VISIBILITIES)}
        state = [{"type": "m.room.history_visibility", "state_key": "", "content": visibility}]
        invite = [user for user in self.users if user != who.user_id and self.random.random() < 0.5]
        trusted = {user: 60 for user in self.users if user != who.user_id and self.random.random() < 0.5}
        version = self.random.choice(("12", "11", "6", "1"))
        if version == "12":  # there those who are invited to a trusted chat are creators, who have no level
            trusted = {user: 60 for user in trusted if user not in invite}
        else:
            trusted[who.user_id] = 100
        room = await who.create_room(
            preset=preset,
            invite=invite,
            initial_state=state,
            room_version=version,
            power_level_content_override={"users": trusted},
        )
        self.rooms.append(room)

    async def _act(self, who: Client, action: str, body: dict[str, Any]) -> None:
        status, said = await who.post(f"rooms/{self._room()}/{action}", body)
        assert status in (200, 400, 403, 404), said

    async def _joins(self, who: Client) -> None:
        await self._act(who, "join", {})

    async def _leaves(self, who: Client) -> None:
        await self._act(who, "leave", {})

    async def _forgets(self, who: Client) -> None:
        await self._act(who, "forget", {})

    async def _invites(self, who: Client) -> None:
        await self._act(who, "invite", {"user_id": self._other()})

    async def _removes(self, who: Client) -> None:
        await self._act(
            who, self.random.choice(("kick", "ban", "unban", "unban")), {"user_id": self._other()}
        )

    async def _knocks(self, who: Client) -> None:
        status, said = await who.post(f"knock/{self._room()}", {})
        assert status in (200, 400, 403, 404), said

    async def _reads(self, who: Client) -> None:
        if not self.events:
            return
        room, event_id = self.random.choice(self.events[-10:])
        type = self.random.choice(("m.read", "m.read.private", "m.fully_read"))
        body = {"thread_id": "main"} if type != "m.fully_read" and self.random.random() < 0.3 else {}
        status, said = await who.post(f"rooms/{room}/receipt/{type}/{quote(event_id, safe='')}", body)
        assert status in (200, 400, 403, 404), said

    async def _tags(self, who: Client) -> None:
        path = f"user/{who.user_id}/rooms/{self._room()}/tags/u.{self.random.choice('xyz')}"
        status, said = await (
            who.put(path, {"order": 0.5}) if self.random.random() < 0.7 else who.delete(path)
        )
        assert status in (200, 400, 403, 404), said

    async def _keeps_data(self, who: Client) -> None:
        place = f"rooms/{self._room()}/" if self.random.random() < 0.5 else ""
        path = f"user/{who.user_id}/{place}account_data/org.example.{self.random.choice('xyz')}"
        status, said = await who.put(path, {"n": self._unique()})
        assert status in (200, 400, 403, 404), said

    async def _renames(self, who: Client) -> None:
        status, said = await who.put(f"profile/{who.user_id}/displayname", {"displayname": self._unique()})
        assert status == 200, said

    async def _redacts(self, who: Client) -> None:
        if self.events:
            room, event_id = self.random.choice(self.events)
            await self._put_event(who, room, f"redact/{quote(event_id, safe='')}/{self._unique()}", {})

    async def _hears(self, who: Client) -> None:
        """All that is said in a room, or only what mentions them."""
        path = f"pushrules/global/room/{self._room()}"
        if self.random.random() < 0.5:
            status, said = await who.put(path, {"actions": []})
        else:
            status, said = await who.delete(path)
        assert status in (200, 400, 404), said

    async def _types(self, who: Client) -> None:
        body = {"typing": True, "timeout": 120_000} if self.random.random() < 0.6 else {"typing": False}
        status, said = await who.put(f"rooms/{self._room()}/typing/{who.user_id}", body)
        assert status in (200, 400, 403, 404), said

    async def _is_there(self, who: Client) -> None:
        presence = self.random.choice(("online", "unavailable", "offline"))
        status, said = await who.put(f"presence/{who.user_id}/status", {"presence": presence})
        assert status == 200, said
