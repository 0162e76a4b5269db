"""Searching 1,000,000 messages as a user in 100 rooms; and how fast they are indexed, and what sends cost meanwhile."""

from __future__ import annotations

import asyncio
import bisect
import itertools
import json
import random
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import asyncpg

from benchmarks import scenes
from benchmarks.http import Connection
from benchmarks.peers import Server, hearth

ROOMS, MEMBERS, WORDS, BATCH = 100, 20, 50_000, 10_000
SYLLABLES = ["ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru"]
SYLLABLES += ["sa", "te", "vi", "wo", "zu", "ka", "le", "mo", "ny", "tor"]
COLUMNS = ["position", "depth", "origin_server_ts", "snapshot", "standing"]
COLUMNS += ["event_id", "room_id", "type", "sender", "json"]
PATH = "/_matrix/client/v3/search"

# How often a word is said: its place among all words (the n-th is said 1/n times as often as the first).
TERMS = {
    "very common": "{0}",
    "common": "{30}",
    "less common": "{150}",
    "now and then": "{1000}",
    "rare": "{20000}",
    "nobody says it": "xyzzy",
    "two common words": "{5} {20}",
    "common and rare": "{2} {5000}",
    "either": "{400} OR {700}",
    "but not": "{20} -{0}",
    "phrase": '"{10} {11}"',
    "prefix": "{300}*",
    "inside": "*{3000}*",
    "by somebody": "{40} from:user3",
    "a year ago": "{100} before:2020-02-01",
}

MAY_BE_UNSAID = ("nobody says it", "phrase", "rare", "common and rare", "a year ago", "inside")


def word(place: int) -> str:
    """The word at this place among all words."""
    letters = ""
    place += len(SYLLABLES)
    while place:
        place, syllable = divmod(place, len(SYLLABLES))
        letters += SYLLABLES[syllable]
    return letters


class _Speech:
    """Sentences of words by Zipf's law, the same every time."""

    def __init__(self) -> None:
        self._random = random.Random(1)
        self._words = [word(place) for place in range(WORDS)]
        self._sums = list(itertools.accumulate(1 / (place + 1) for place in range(WORDS)))

    def sentence(self) -> str:
        """Ten words."""
        places = (bisect.bisect(self._sums, self._random.random() * self._sums[-1]) for _ in range(10))
        return " ".join(self._words[place] for place in places)


async def _connected(server: Server) -> asyncpg.Connection:
    """A connection to the server's own database, on its schema."""
    connection = await asyncpg.connect(**server.database())
    schema = await connection.fetchval("SELECT schemaname FROM pg_tables WHERE tablename = 'journal'")
    await connection.execute(f"SET search_path TO {schema}")
    return connection


async def _said(server: Server, rooms: list[str], count: int) -> None:
    """Messages of the last years, put into the database as if they had been sent: all at once, as a journal must."""
    connection = await _connected(server)
    found = await connection.fetch(
        "SELECT room_id, snapshot FROM rooms WHERE room_id = ANY($1)", [unquote(room) for room in rooms]
    )
    users = [row["user_id"] for row in await connection.fetch("SELECT user_id FROM users ORDER BY created")]
    async with connection.transaction():
        first: int = await connection.fetchval(
            "UPDATE journal SET position = position + $1 RETURNING position - $1 + 1", count
        )
        rows = _rows([dict(row) for row in found], users, first, count)
        while batch := list(itertools.islice(rows, BATCH)):
            await connection.copy_records_to_table("events", records=batch, columns=COLUMNS)
        await connection.execute(
            "UPDATE rooms AS r SET position = e.position FROM "
            "(SELECT room_id, max(position) AS position FROM events GROUP BY room_id) AS e WHERE e.room_id = r.room_id"
        )
    await connection.execute("ANALYZE")
    await connection.close()


def _rows(heads: list[dict[str, Any]], users: list[str], first: int, count: int) -> Iterator[tuple[Any, ...]]:
    chance, speech = random.Random(2), _Speech()
    begun, now = 1_577_836_800_000, int(time.time() * 1000)  # 2020
    for number in range(count):
        head, user = chance.choice(heads), chance.choice(users)
        at = begun + (now - begun) * number // count
        event = {
            "content": {"body": speech.sentence(), "msgtype": "m.text"},
            "depth": 100 + number,
            "origin_server_ts": at,
            "room_id": head["room_id"],
            "sender": user,
            "type": "m.room.message",
        }
        body = json.dumps(event, separators=(",", ":")).encode()
        yield (
            first + number,
            100 + number,
            at,
            head["snapshot"],
            0,
            f"$bench{number}",
            head["room_id"],
            "m.room.message",
            user,
            body,
        )


async def _indexed(server: Server, user: Connection, room: str) -> tuple[float, list[float]]:
    """Seconds until the index has everything, and how long (ms) sends took meanwhile."""
    connection = await _connected(server)
    began, sends = time.perf_counter(), []
    newest: int = await connection.fetchval("SELECT position FROM journal")
    while True:
        at = time.perf_counter()
        await scenes.say(user, room)
        sends.append((time.perf_counter() - at) * 1000)
        followed = await connection.fetchval("SELECT position FROM followers WHERE name = 'search'")
        if (followed or 0) >= newest:
            break
        await asyncio.sleep(0.3)
    seconds = time.perf_counter() - began
    await connection.execute("VACUUM ANALYZE search_documents")
    await connection.close()
    return seconds, sends


async def _sends(user: Connection, room: str, count: int) -> list[float]:
    times = []
    for _ in range(count):
        at = time.perf_counter()
        await scenes.say(user, room)
        times.append((time.perf_counter() - at) * 1000)
        await asyncio.sleep(0.01)
    return times


async def _sizes(server: Server) -> dict[str, float]:
    connection = await _connected(server)
    rows = await connection.fetch(
        "SELECT relname, pg_relation_size(oid) / 1048576.0 AS mib FROM pg_class "
        "WHERE relname LIKE 'search%' AND relkind IN ('r', 'i') ORDER BY 2 DESC"
    )
    await connection.close()
    return {row["relname"]: round(float(row["mib"]), 1) for row in rows if row["mib"] >= 1}


def _body(term: str, by_rank: bool) -> dict[str, Any]:
    """What Element Web asks."""
    events = {
        "search_term": term,
        "keys": ["content.body"],
        "filter": {"limit": 10},
        "order_by": "rank" if by_rank else "recent",
        "event_context": {"before_limit": 1, "after_limit": 1, "include_profile": True},
    }
    return {"search_categories": {"room_events": events}}


def _filled(term: str, shift: int) -> str:
    """The term with words near the places that it names."""
    for place in sorted(TERM_PLACES, reverse=True):
        term = term.replace(f"{{{place}}}", word(place + shift * max(place, 1) // 20))
    return term


TERM_PLACES = (0, 2, 5, 10, 11, 20, 30, 40, 100, 150, 300, 400, 700, 1000, 3000, 5000, 20000)


async def _searched(user: Connection, repeats: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    for shift in range(repeats):
        for name, term in TERMS.items():
            for by_rank in (False, True):
                at = time.perf_counter()
                reply = await user.ok("POST", PATH, _body(_filled(term, shift % 20), by_rank))
                times.setdefault(name, []).append((time.perf_counter() - at) * 1000)
                found = reply["search_categories"]["room_events"]["count"]
                assert found or name in MAY_BE_UNSAID, name
    return times


def _percentile(times: list[float], percent: float) -> float:
    return sorted(times)[min(int(len(times) * percent / 100), len(times) - 1)]


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    count = int(1_000_000 * scale)
    async with hearth() as server:
        people = await scenes.users(server, MEMBERS)
        rooms = [await scenes.room(people[0], people[1:]) for _ in range(ROOMS)]
        quiet = await _sends(people[0], rooms[0], 100)
        await _said(server, rooms, count)
        seconds, busy = await _indexed(server, people[0], rooms[0])
        sizes = await _sizes(server)
        await _searched(people[1], 1)
        before, began = server.cpu(), time.perf_counter()
        times = await _searched(people[1], 20)
        wall = time.perf_counter() - began
        every = [one for some in times.values() for one in some]
        cpu = (server.cpu() - before).per(len(every))
    print(f"indexed {count} messages in {seconds:.0f} s ({count / seconds:.0f} a second)")
    print(
        f"a send, median: {_percentile(quiet, 50):.1f} ms; while that goes on {_percentile(busy, 50):.1f} ms"
    )
    print(f"MiB: {sizes}")
    print(f"{'search, ms':<20}{'median':>10}{'p99':>10}{'longest':>10}")
    for name, some in [*times.items(), ("all", every)]:
        print(f"{name:<20}{_percentile(some, 50):>10.1f}{_percentile(some, 99):>10.1f}{max(some):>10.1f}")
    print(
        f"CPU of a search: server {cpu.server:.1f} ms, PostgreSQL {cpu.postgres:.1f} ms; {len(every) / wall:.0f} a second"
    )
    return {
        "messages": count,
        "rooms": ROOMS,
        "indexed_per_second": round(count / seconds),
        "median_ms": round(_percentile(every, 50), 2),
        "p99_ms": round(_percentile(every, 99), 2),
        "longest_ms": round(max(every), 2),
        "by_kind_p99_ms": {name: round(_percentile(some, 99), 2) for name, some in times.items()},
        "server_cpu_ms": round(cpu.server, 2),
        "postgres_cpu_ms": round(cpu.postgres, 2),
        "send_ms": {"quiet": round(_percentile(quiet, 50), 2), "indexing": round(_percentile(busy, 50), 2)},
        "index_mib": sizes,
    }
