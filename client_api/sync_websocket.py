"""/sync over a WebSocket (docs/decisions/0014): the same bodies as frames, one after the other as they are acknowledged; and what
a client says in between: events, typing, receipts.

Two tasks share a conversation. One tells: it waits for news, sends them, and waits until they are acknowledged. The other
listens: it does what the client says, in the order in which it is said.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from client_api import ClientCall
from client_api.filters_named import filter_named
from protocol.build import EventDraft
from protocol.filters import Filter
from protocol.ids import RoomID, parse_event_id, parse_room_id
from protocol.matrix_error import BadJson, InvalidParam, MatrixError, UnknownToken, UserLocked
from services import typing
from services.accounts.authenticate import check_still_good
from services.guards import count_request
from services.presence import PRESENCES
from services.receipts import receipt, set_receipts
from services.rooms.send import send_event
from services.sync.token import Token, parse_token
from services.sync.v3 import SyncRequest, next_answer
from web.body import Fields, parse_json
from web.connection import Departure
from web.endpoint import EPHEMERAL, MESSAGES, Auth, endpoint
from web.errors import matrix_error
from web.reply import Json
from web.socket import CloseCode, Socket, Upgrade

PATH = "/_matrix/client/unstable/chat.hearth.sync_websocket"
PROTOCOL = "chat.hearth.sync"
LOOK_AGAIN = 5 * 60 * 1000
"""Milliseconds after which a poll without news begins anew."""
MAX_FRAME = 256 * 1024
NOT_LOGGED_IN, NOT_UNDERSTOOD = 4401, 4400
"""Codes with which a conversation is closed."""


@endpoint("GET", PATH, auth=Auth.USER, guest=True)
async def sync_websocket(call: ClientCall) -> Upgrade:
    """A conversation that begins at the token `since`; the query is that of /sync, without its timeout."""
    since = call.query_text("since", "")
    presence = call.query_text("set_presence", "online")
    if presence not in PRESENCES:
        raise InvalidParam("set_presence must be one of " + ", ".join(PRESENCES))
    conversation = _Conversation(
        call,
        since=parse_token(since) if since else None,
        filter=await filter_named(call, call.query_text("filter", "")),
        full_state=call.query_flag("full_state"),
        state_after=call.query_flag("use_state_after"),
        presence=presence,
    )
    return Upgrade(conversation.run, MAX_FRAME, (PROTOCOL,))


class _Conversation:
    """One client that listens."""

    def __init__(
        self,
        call: ClientCall,
        *,
        since: Token | None,
        filter: Filter,
        full_state: bool,
        state_after: bool,
        presence: str,
    ) -> None:
        self._call = call
        self._since = since
        self._filter = filter
        self._full_state = full_state
        self._state_after = state_after
        self._presence = presence
        self._over = Departure()
        self._sent: str | None = None
        """The token of what was told and is not acknowledged."""
        self._acknowledged = asyncio.Event()
        self._changed = asyncio.Event()
        """Set when the login may have ended."""

    async def run(self, socket: Socket) -> None:
        """Returns when one of the two has gone, or the login has ended."""
        logins, user_id = self._call.tenant.logins, self._call.requester.user_id
        # A departure ends the waiting for news; the telling task is never cut off in the middle of a write.
        self._call.disconnected.add_callback(self._end)
        logins.watch(user_id, self._changed.set)
        tasks = [asyncio.create_task(what(socket)) for what in (self._tell, self._listen, self._watch)]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._end()
            logins.unwatch(user_id, self._changed.set)
            self._call.disconnected.remove_callback(self._end)
        failed = any(task.exception() is not None for task in ended)
        await socket.close(CloseCode.INTERNAL_ERROR if failed else CloseCode.OK, "")
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            if error is not None and not isinstance(error, ConnectionError):
                raise error

    def _end(self) -> None:
        self._over.set()
        self._acknowledged.set()
        self._changed.set()

    async def _tell(self, socket: Socket) -> None:
        call = self._call
        while not self._over.is_set():
            request = SyncRequest(
                since=self._since,
                filter=self._filter,
                timeout=LOOK_AGAIN,
                full_state=self._full_state,
                state_after=self._state_after,
                presence=self._presence,
            )
            is_first = self._since is None or self._full_state
            answer = await next_answer(call.tenant, call.requester, request, self._over)
            self._since, self._full_state = answer.next_batch, False
            if self._over.is_set() or not (answer.is_news or is_first):
                continue
            if not await self._is_logged_in(socket):
                return
            self._sent = str(answer.next_batch)
            self._acknowledged.clear()
            await socket.send(orjson.dumps({"type": "sync", "body": answer.body}))
            await self._acknowledged.wait()

    async def _watch(self, socket: Socket) -> None:
        """Closes the conversation as soon as its login has ended."""
        while not self._over.is_set():
            await self._changed.wait()
            self._changed.clear()
            if self._over.is_set() or not await self._is_logged_in(socket):
                return

    async def _is_logged_in(self, socket: Socket) -> bool:
        """Whether the conversation may go on; else it is closed, with the error's code as its reason."""
        try:
            await _check_session(self._call)
        except (UnknownToken, UserLocked) as error:
            await socket.close(NOT_LOGGED_IN, error.errcode or "")
            return False
        return True

    async def _listen(self, socket: Socket) -> None:
        while (frame := await socket.receive()) is not None:
            try:
                said = _fields(frame)
                kind = said.text("type")
            except MatrixError as error:
                await socket.close(NOT_UNDERSTOOD, error.message)
                return
            if kind == "ack":
                self._acknowledge(said.json.get("next_batch"))
                continue
            status, body = await self._done(kind, said)
            answer = {"type": "result", "id": said.json.get("id"), "status": status, "body": body}
            await socket.send(orjson.dumps(answer))

    def _acknowledge(self, token: Any) -> None:
        if token == self._sent:
            self._sent = None
            self._acknowledged.set()

    async def _done(self, kind: str, said: Fields) -> tuple[int, Json]:
        """What the same request over HTTP would be answered."""
        try:
            if kind not in _DOERS:
                raise BadJson(f"There is no {kind[:50]!r} here")
            rate, do = _DOERS[kind]
            await _check_session(self._call)
            await count_request(self._call.tenant, self._call.requester, self._call.remote, rate.name)
            return 200, await do(self._call, said)
        except Exception as error:
            refused = matrix_error(error)
            if refused is None:
                raise
            return refused.status, refused.body()


async def _check_session(call: ClientCall) -> None:
    """Raises UnknownToken or UserLocked when the call's token is good no longer."""
    if call.requester.token_id is not None:
        await check_still_good(call.tenant, call.requester.token_id)


async def _send(call: ClientCall, said: Fields) -> Json:
    draft = EventDraft(said.text("event_type"), said.object("content"), said.text("state_key", None))
    txn_id = said.text("txn_id") if draft.state_key is None else None
    event_id = await send_event(call.tenant, call.requester, _room(said), draft, txn_id)
    return {"event_id": event_id}


async def _type(call: ClientCall, said: Fields) -> Json:
    timeout = said.duration("timeout", typing.DEFAULT_TIMEOUT, typing.MAX_TIMEOUT)
    await typing.set_typing(
        call.tenant, call.requester, _room(said), timeout if said.flag("typing") else None
    )
    return {}


async def _read(call: ClientCall, said: Fields) -> Json:
    event_id = parse_event_id(said.text("event_id"))
    wanted = receipt(said.text("receipt_type"), event_id, said.json.get("thread_id"))
    await set_receipts(call.tenant, call.requester, _room(said), [wanted])
    return {}


_DOERS = {"send": (MESSAGES, _send), "typing": (EPHEMERAL, _type), "receipt": (EPHEMERAL, _read)}


def _room(said: Fields) -> RoomID:
    return parse_room_id(said.text("room_id"))


def _fields(frame: bytes) -> Fields:
    value = parse_json(frame)
    if not isinstance(value, dict):
        raise BadJson("A frame is a JSON object")
    return Fields(value)
