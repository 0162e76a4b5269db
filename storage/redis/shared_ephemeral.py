"""Typing and presence shared by several processes through Redis.

Redis numbers each change, keeps the newest of each room and user in a hash, and publishes it, all in one
script: so messages come in the order of their numbers, and each process' memory goes through the same changes.
A process that connects takes over the hashes. While Redis is away each process goes on alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping
from typing import Any

import orjson

from storage.redis.connection import REDIS_ERRORS, Channel, RedisCorner
from storage.redis.ephemeral import PresenceWatch, Typing
from storage.redis.replica import MAX_ROOMS, MAX_USERS, PresenceState, Replica, Seen, TypingRoom
from storage.redis.timer import Clock, Timer

ECHO = 1.0  # seconds that a change is waited for to come back
GRACE = 3000  # ms after which the other processes end a typing whose own process did not

# Each change is a list [kind, counter, name, ...]; numbers are passed as text, which is written as they are.
_NUMBER = """
local function number(floor)
    local counter = redis.call('INCR', KEYS[1])
    if counter <= floor then
        counter = floor + 1
        redis.call('SET', KEYS[1], string.format('%.0f', counter))
    end
    return counter
end
local function trim(key, most)
    if redis.call('HLEN', key) <= most then return end
    local all = {}
    local raw = redis.call('HGETALL', key)
    for i = 1, #raw, 2 do all[#all + 1] = {cjson.decode(raw[i + 1])[2], raw[i]} end
    table.sort(all, function(a, b) return a[1] < b[1] end)
    for i = 1, #all / 2 do redis.call('HDEL', key, all[i][2]) end
end
"""
# KEYS: counter, hash, channel. ARGV: floor, most, room, user, until ('' ends it), until expected ('' any).
_SET_TYPING = (
    _NUMBER
    + """
local raw = redis.call('HGET', KEYS[2], ARGV[3])
local typing = raw and cjson.decode(raw)[4] or {}
local now = typing[ARGV[4]]
if ARGV[5] == '' and (not now or (ARGV[6] ~= '' and now ~= ARGV[6])) then return 0 end
typing[ARGV[4]] = ARGV[5] ~= '' and ARGV[5] or nil
local counter = number(tonumber(ARGV[1]))
local change = cjson.encode({'typing', counter, ARGV[3], typing})
redis.call('HSET', KEYS[2], ARGV[3], change)
redis.call('PUBLISH', KEYS[3], change)
trim(KEYS[2], tonumber(ARGV[2]))
return counter
"""
)
# KEYS: counter, hash, channel. ARGV: floor, most, user, presence, last active, last seen, message, 1 or 0, device.
_SET_PRESENCE = (
    _NUMBER
    + """
local counter = number(tonumber(ARGV[1]))
local message = ARGV[8] == '1' and ARGV[7] or cjson.null
local shown = counter
local raw = redis.call('HGET', KEYS[2], ARGV[3])
if raw then
    local old = cjson.decode(raw)
    if old[4] == ARGV[4] and old[7] == message then shown = old[2] end
end
local change = {'presence', shown, ARGV[3], ARGV[4], ARGV[5], ARGV[6], message, ARGV[9]}
redis.call('HSET', KEYS[2], ARGV[3], cjson.encode(change))
change[2] = counter
redis.call('PUBLISH', KEYS[3], cjson.encode(change))
trim(KEYS[2], tonumber(ARGV[2]))
return counter
"""
)
# KEYS: counter, both hashes. ARGV: floor.
_LOAD = """
local counter = tonumber(redis.call('GET', KEYS[1]) or 0)
if counter < tonumber(ARGV[1]) then
    counter = tonumber(ARGV[1])
    redis.call('SET', KEYS[1], ARGV[1])
end
return {counter, redis.call('HVALS', KEYS[2]), redis.call('HVALS', KEYS[3])}
"""


class RedisEphemeral:
    """One process' part of the shared typing and presence."""

    def __init__(self, corner: RedisCorner, clock: Clock) -> None:
        self._corner = corner
        self._clock = clock
        self._replica = Replica(clock.now())
        self._timer: Timer[Typing] = Timer("typing", clock, self._expire)
        self._presence_watch = PresenceWatch(clock, self)
        self._channel = Channel(corner, "ephemeral", self._received, self._connected, _nothing)
        self._echoes: dict[int, asyncio.Event] = {}
        self._keys = {name: corner.key("ephemeral:" + name) for name in ("counter", "typing", "presence")}
        self._set_typing = corner.commands.register_script(_SET_TYPING)
        self._set_presence = corner.commands.register_script(_SET_PRESENCE)
        self._load = corner.commands.register_script(_LOAD)

    @property
    def position(self) -> int:
        """The number of the newest change that has come here."""
        return self._replica.position

    def subscribe(self, callback: Callable[[tuple[str, ...]], None]) -> None:
        """From now on it is called after each change."""
        self._replica.subscribe(callback)

    def typing(self, room_id: str) -> tuple[str, ...]:
        """Who types in the room, sorted."""
        return self._replica.typing(room_id, self._clock.now())

    def typing_changed_since(self, since: int, rooms: Container[str], upto: int | None = None) -> list[str]:
        """Those of the rooms where somebody began or ceased to type."""
        return self._replica.typing_changed_since(since, rooms, upto)

    async def set_typing(self, room_id: str, user_id: str, until: int | None) -> None:
        """The user types until then, or ceases to type; back when the change has come here."""
        if until is not None:
            self._timer.add(until, (room_id, user_id, until))
        await self._change_typing(room_id, user_id, until, None)

    def presence(self, user_id: str) -> PresenceState | None:
        """The user's presence as last set."""
        return self._replica.presence(user_id)

    def presence_changed_since(self, since: int, users: Container[str], upto: int | None = None) -> list[str]:
        """Those of the users whose presence looks different."""
        return self._replica.presence_changed_since(since, users, upto)

    async def set_presence(self, user_id: str, state: PresenceState) -> None:
        """Sets the user's presence; back when the change has come here."""
        message = state.status_msg
        arguments: list[str | int] = [user_id, state.presence, state.last_active, state.last_seen]
        arguments += ["" if message is None else message, int(message is not None), state.device or ""]
        try:
            counter: int = await self._set_presence(
                keys=[self._keys["counter"], self._keys["presence"], self._channel.name],
                args=[self.position, MAX_USERS, *arguments],
            )
        except REDIS_ERRORS as error:
            self._corner.report("presence", error)
            self._replica.set_presence(self.position + 1, user_id, state)
            self._presence_watch.watch(user_id, state)
        else:
            await self._echo(counter)

    async def start(self) -> None:
        """Takes over what the others have; begins to listen and to end what times out."""
        self._timer.start()
        self._presence_watch.start()
        await self._channel.start()

    async def stop(self) -> None:
        """Ends."""
        await self._channel.stop()
        await self._timer.stop()
        await self._presence_watch.stop()

    async def _change_typing(
        self, room_id: str, user_id: str, until: int | None, expected: int | None
    ) -> None:
        try:
            counter: int = await self._set_typing(
                keys=[self._keys["counter"], self._keys["typing"], self._channel.name],
                args=[self.position, MAX_ROOMS, room_id, user_id, _text(until), _text(expected)],
            )
        except REDIS_ERRORS as error:
            self._corner.report("typing", error)
            typing = dict(self._replica.typing_room(room_id))
            before = typing.pop(user_id, None)
            if until is not None:
                typing[user_id] = until
            if before != until:
                self._replica.set_typing(self.position + 1, room_id, typing)
        else:
            await self._echo(counter)

    async def _expire(self, typing: Typing) -> None:
        room_id, user_id, until = typing
        if self._replica.typing_room(room_id).get(user_id) == until:
            await self._change_typing(room_id, user_id, None, until)

    async def _echo(self, counter: int) -> None:
        """Returns when the change has come back to us, so that who made it sees it; not without end."""
        if counter <= self.position:
            return
        event = self._echoes.setdefault(counter, asyncio.Event())
        try:
            async with asyncio.timeout(ECHO):
                await event.wait()
        except TimeoutError as error:
            self._corner.report("typing and presence do not come back from Redis", error)
        finally:
            self._echoes.pop(counter, None)

    def _received(self, data: bytes) -> None:
        kind, counter, name, *rest = orjson.loads(data)
        if kind == "typing":
            typing = _typing(rest[0])
            self._replica.set_typing(int(counter), name, typing)
            self._watch(name, typing)
        else:
            state = _state(rest)
            self._replica.set_presence(int(counter), name, state)
            self._presence_watch.watch(name, state)
        self._wake_echoes()

    async def _connected(self) -> None:
        counter, typing, presence = await self._load(keys=list(self._keys.values()), args=[self.position])
        rooms = {
            room_id: TypingRoom(int(changed), _typing(until))
            for _, changed, room_id, until in map(orjson.loads, typing)
        }
        users = {
            user_id: Seen(int(changed), _state(rest))
            for _, changed, user_id, *rest in map(orjson.loads, presence)
        }
        self._replica.load(counter, rooms, users)
        for room_id, room in rooms.items():
            self._watch(room_id, room.until)
        for user_id, seen in users.items():
            self._presence_watch.watch(user_id, seen.state)
        self._wake_echoes()

    def _watch(self, room_id: str, typing: Mapping[str, int]) -> None:
        """Should the process die that has to end them, another one does."""
        for user_id, until in typing.items():
            self._timer.add(until + GRACE, (room_id, user_id, until))

    def _wake_echoes(self) -> None:
        for counter in [c for c in self._echoes if c <= self.position]:
            self._echoes[counter].set()


def _nothing() -> None:
    """Each process goes on alone."""


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _typing(until: dict[str, str]) -> dict[str, int]:
    return {user_id: int(text) for user_id, text in until.items()}


def _state(values: list[Any]) -> PresenceState:
    presence, last_active, last_seen, status_msg, device = values
    return PresenceState(presence, int(last_active), int(last_seen), status_msg, device or None)
