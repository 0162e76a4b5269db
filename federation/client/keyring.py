"""The keys that servers sign with: those we know, else asked of the servers themselves, else of notaries.

What was asked in vain is not asked again at once, and one server is asked once at a time, however many wait for it:
key IDs and server names come from strangers.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from federation.client.asking import cancelled
from federation.client.request import ERROR_LIMIT, Question, Requests, body_of
from protocol.errors import BadSignature
from protocol.ids import ServerName
from protocol.json import JsonObject, parse_exact
from protocol.signing import VerifyKey, verify_json
from services.ports import RemoteFailed, VerifyKeys, WantedKeys
from services.servers.key_objects import objects_of, read_key_object, verify_keys_of
from services.servers.key_store import Keys, KeyStore
from services.settings import MINUTE, SECOND
from services.tenant import Clock

AT_ONCE: Final = 50
"""Servers that are asked at the same time."""
DIRECT_SECONDS: Final = 10.0
NOTARY_SECONDS: Final = 30.0
LEAST_INTERVAL: Final = 10 * SECOND
LONGEST_INTERVAL: Final = 5 * MINUTE
MAX_RESTING: Final = 50_000
MAX_ASKED_OF_NOTARY: Final = 100


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """Our own keys: nobody is asked for them."""

    name: ServerName
    keys: Mapping[str, VerifyKey]


@dataclass(frozen=True, slots=True)
class Rest:
    """When a server may be asked again, and how often it was asked in vain."""

    until: int
    failures: int = 0


class Keyring:
    """Finds keys; never raises because a server does not answer."""

    def __init__(
        self, own: OwnKeys, requests: Requests, store: KeyStore, clock: Clock, notaries: Sequence[ServerName]
    ) -> None:
        self._own = own
        self._requests = requests
        self._store = store
        self._clock = clock
        self._notaries = notaries
        self._asking: dict[ServerName, asyncio.Task[bool]] = {}
        self._resting: OrderedDict[ServerName, Rest] = OrderedDict()
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def verify_keys(self, wanted: WantedKeys, *, may_fetch: bool = True) -> VerifyKeys:
        """Those of the wanted keys that there are, valid as long as they are."""
        others = {server: keys for server, keys in wanted.items() if server != self._own.name}
        known = await self._store.known(others)
        lacking = {
            server: {
                name: until for name, until in keys.items() if _lacks(known.get(server, {}), name, until)
            }
            for server, keys in others.items()
        }
        lacking = {server: keys for server, keys in lacking.items() if keys}
        if lacking and may_fetch:
            await self._fetch(lacking)
            known = known | await self._store.known(lacking)
        found: dict[ServerName, Mapping[str, VerifyKey]] = {
            server: verify_keys_of(known[server][name] for name in keys if name in known.get(server, {}))
            for server, keys in others.items()
        }
        if self._own.name in wanted:
            found[self._own.name] = self._own.keys
        return found

    async def published(self, wanted: WantedKeys, may_fetch: bool) -> list[JsonObject]:
        """The objects in which the wanted keys were published (no key IDs: all that we know of the server)."""
        known = await self._store.known(wanted)
        if may_fetch:
            old = {
                server: keys for server, keys in wanted.items() if self._is_old(known.get(server, {}), keys)
            }
            await self._fetch(old)
            known = known | await self._store.known(old)
        objects: list[JsonObject] = []
        for server, keys in wanted.items():
            there = known.get(server, {})
            chosen = [there[name] for name in keys if name in there] if keys else list(there.values())
            objects += [parse_exact(json) for json in objects_of(chosen)]
        return objects

    async def close(self) -> None:
        """Ends what is being asked."""
        await cancelled(self._asking.values())

    def _is_old(self, known: Keys, wanted: Mapping[str, int]) -> bool:
        """Is what we have not enough, or past half of its life?"""
        if any(_lacks(known, name, until) for name, until in wanted.items()):
            return True
        current = [key for key in known.values() if key.is_current]
        now = self._clock.now()
        return not current or max(key.fetched + key.published_until for key in current) < 2 * now

    # -- asking

    async def _fetch(self, lacking: WantedKeys) -> None:
        now = self._clock.now()
        ready = [server for server in lacking if server in self._asking or not self._rests(server, now)]
        answered = await asyncio.gather(*map(self._shared, ready))
        silent = [server for server, said in zip(ready, answered, strict=True) if not said]
        for notary in self._notaries:
            if not silent:
                break
            heard = await self._ask_notary(notary, {server: lacking[server] for server in silent})
            silent = [server for server in silent if server not in heard]

    def _rests(self, server: ServerName, now: int) -> bool:
        rest = self._resting.get(server)
        return rest is not None and rest.until > now

    async def _shared(self, server: ServerName) -> bool:
        task = self._asking.get(server)
        if task is None:
            task = self._asking[server] = asyncio.create_task(self._ask(server), name=f"keys of {server}")
            task.add_done_callback(lambda _: self._asking.pop(server, None))
        return await asyncio.shield(task)

    async def _ask(self, server: ServerName) -> bool:
        question = Question("GET", "/_matrix/key/v2/server", limit=ERROR_LIMIT, seconds=DIRECT_SECONDS)
        try:
            async with self._turn:
                said = await self._requests.ask(server, question, signed=False)
            keys = read_key_object(server, said, self._clock.now())
        except (RemoteFailed, BadSignature):
            self._rest(server, failed=True)
            return False
        await self._store.keep(keys, said_by_itself=True)
        self._rest(server, failed=False)
        return True

    def _rest(self, server: ServerName, *, failed: bool) -> None:
        before = self._resting.pop(server, None)
        failures = (before.failures if before else 0) + 1 if failed else 0
        pause = min(LEAST_INTERVAL * 2 ** min(failures, 10), LONGEST_INTERVAL)
        self._resting[server] = Rest(self._clock.now() + pause, failures)
        if len(self._resting) > MAX_RESTING:
            self._resting.popitem(last=False)

    async def _ask_notary(self, notary: ServerName, lacking: WantedKeys) -> set[ServerName]:
        """The servers of which the notary knew something."""
        heard: set[ServerName] = set()
        asked = list(lacking)
        trusted = await self._keys_of_notary(notary) if notary not in lacking else {}
        for first in range(0, len(asked) if trusted else 0, MAX_ASKED_OF_NOTARY):
            part = asked[first : first + MAX_ASKED_OF_NOTARY]
            try:
                said = await self._requests.ask(notary, _notary_question(lacking, part))
            except RemoteFailed:
                break
            for published in _objects(said):
                if await self._take(notary, trusted, published, part):
                    heard.add(ServerName(published["server_name"]))
        return heard

    async def _keys_of_notary(self, notary: ServerName) -> Mapping[str, VerifyKey]:
        known = await self._store.known([notary])
        if notary not in known and (notary in self._asking or not self._rests(notary, self._clock.now())):
            await self._shared(notary)
            known = await self._store.known([notary])
        return verify_keys_of(known.get(notary, {}).values())

    async def _take(
        self,
        notary: ServerName,
        trusted: Mapping[str, VerifyKey],
        published: JsonObject,
        asked: Iterable[str],
    ) -> bool:
        server = published.get("server_name")
        if not isinstance(server, str) or server not in asked:
            return False
        try:
            verify_json(published, notary, trusted)
            keys = read_key_object(ServerName(server), published, self._clock.now())
        except BadSignature:
            return False
        await self._store.keep(keys, said_by_itself=False)
        return True


def _lacks(known: Keys, name: str, until: int) -> bool:
    """Is the key not there, or not good for long enough? An old key will never be better."""
    key = known.get(name)
    return key is None or (key.is_current and key.valid_until < until)


def _notary_question(lacking: WantedKeys, servers: Iterable[ServerName]) -> Question:
    wanted = {
        server: {name: {"minimum_valid_until_ts": until} for name, until in lacking[server].items()}
        for server in servers
    }
    body = body_of({"server_keys": wanted})
    return Question("POST", "/_matrix/key/v2/query", body, seconds=NOTARY_SECONDS)


def _objects(said: object) -> list[JsonObject]:
    objects = said.get("server_keys") if isinstance(said, dict) else None
    return [one for one in objects if isinstance(one, dict)] if isinstance(objects, list) else []
