"""The journal: order, preconditions, groups, and one bad row that harms nobody else."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from storage.database import Database
from storage.feed import Feed, Subscriber
from storage.journal import Change, Duplicate, HeadMove, Journal, JournalUnavailable, Note, Row, Stale
from storage.statement import Rows
from tests.fixtures.postgres import NewDatabase

# Not registered: a test's own statements.
_EVENT = Rows("""
    INSERT INTO events (position, event_id, room_id, txn_digest, depth, origin_server_ts, standing, type, sender, json)
    SELECT p, e, r, t, 1, 0, 0, 'm.room.message', '@a:x', '{}'
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) AS v (p, e, r, t)
""")
_DATA = Rows(
    """
    INSERT INTO account_data (position, user_id, room_id, type, content)
    SELECT p, u, '', t, c FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) AS v (p, u, t, c)
    ON CONFLICT (user_id, room_id, type) DO UPDATE SET position = excluded.position, content = excluded.content
    """,
    key=(0, 1),
)


class Process:
    """One process's journal and feed on a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.feed = Feed(database)
        self.notes: list[Note] = []
        self.journal = Journal(database, self._committed)

    async def _committed(self, note: Note) -> None:
        self.notes.append(note)
        self.feed.arrived(note)


@pytest.fixture
async def process(database: Database) -> Process:
    made = Process(database)
    await made.feed.start()
    return made


def said(room_id: str, expected: int, event_id: str, txn: str | None = None) -> Change:
    digest = None if txn is None else hashlib.sha256(txn.encode()).digest()
    head = HeadMove(room_id, expected, "12", expected + 1, f'["{event_id}"]', 1, expected, 1, 0)
    return Change((Row(_EVENT, (event_id, room_id, digest)),), ("e" + room_id,), head, digest)


def data(user_id: str, kind: str, content: bytes) -> Change:
    return Change((Row(_DATA, (user_id, kind, content)),), ("a" + user_id,))


async def events(database: Database, room_id: str) -> list[str]:
    async with database.read() as tx:
        rows = await tx.fetch("SELECT event_id FROM events WHERE room_id = $1 ORDER BY position", room_id)
        return [row["event_id"] for row in rows]


async def test_what_waits_together_is_committed_together_and_in_order(process: Process) -> None:
    before = process.database.statements_run
    sent = [process.journal.enqueue(said("!r", number, f"$e{number}")) for number in range(50)]
    positions = [position for one in await asyncio.gather(*sent) for position in one]
    assert positions == list(range(1, 51))
    assert await events(process.database, "!r") == [f"$e{number}" for number in range(50)]
    assert process.notes == [Note(1, 50, ("e!r",))]
    assert process.database.statements_run - before == 4  # claim, head, events, and the test's own


async def test_positions_are_left_free_below_a_change_that_wants_it(process: Process) -> None:
    changes = [said("!r", 0, "$a"), replace(said("!r", 1, "$b"), reserved=100), said("!r", 2, "$c")]
    told: list[int] = []
    changes = [replace(change, after=told.append) for change in changes]
    sent = [process.journal.enqueue(*changes[:2]), process.journal.enqueue(changes[2])]
    assert await asyncio.gather(*sent) == [[1, 102], [103]]
    assert told == [1, 102, 103]
    assert process.notes == [Note(1, 103, ("e!r",))]
    assert process.feed.position == 103
    async with process.database.read() as tx:
        rows = await tx.fetch("SELECT position FROM events ORDER BY position")
        assert [row["position"] for row in rows] == told
        assert await tx.fetchval("SELECT position FROM rooms") == 103
    assert await process.journal.append(data("@a:x", "m.t", b"{}")) == [104]


async def test_a_change_built_on_an_old_head_is_stale_and_leaves_nothing(process: Process) -> None:
    await process.journal.append(said("!r", 0, "$first"))
    with pytest.raises(Stale):
        await process.journal.append(said("!r", 0, "$again"))
    with pytest.raises(Stale):
        await process.journal.append(said("!r", 5, "$ahead"))
    assert await events(process.database, "!r") == ["$first"]
    assert await process.journal.append(data("@a:x", "m.t", b"{}")) == [2]


async def test_of_two_processes_that_build_on_one_head_one_wins(
    new_database: NewDatabase, process: Process
) -> None:
    other = Process(process.database)
    await process.journal.append(said("!r", 0, "$first"))
    attempts = [p.journal.append(said("!r", 1, f"${n}")) for n, p in enumerate([process, other] * 5)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 9
    assert len(await events(process.database, "!r")) == 2


async def test_the_second_of_two_equal_transactions_learns_the_first_event_id(process: Process) -> None:
    other = Process(process.database)
    await process.journal.append(said("!r", 0, "$first", "txn"))
    with pytest.raises(Duplicate) as error:
        await process.journal.append(said("!r", 1, "$second", "txn"))
    assert error.value.event_id == "$first"
    twice = [
        process.journal.append(said("!a", 0, "$a", "new")),
        other.journal.append(said("!b", 0, "$b", "new")),
    ]
    twice.append(process.journal.append(said("!c", 0, "$c", "new")))
    outcomes = await asyncio.gather(*twice, return_exceptions=True)
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 1
    winner = "$abc"[0] + "abc"[next(n for n, outcome in enumerate(outcomes) if isinstance(outcome, list))]
    assert {outcome.event_id for outcome in outcomes if isinstance(outcome, Duplicate)} == {winner}


async def test_a_group_is_written_whole_or_not_at_all(process: Process) -> None:
    await process.journal.append(said("!r", 0, "$first"))
    with pytest.raises(Stale):
        await process.journal.append(said("!new", 0, "$new"), said("!r", 9, "$wrong"))
    assert await events(process.database, "!new") == []
    assert await process.journal.append(
        said("!new", 0, "$n0"), said("!new", 1, "$n1"), said("!r", 1, "$r1")
    ) == [2, 3, 4]


async def test_a_row_that_postgresql_refuses_harms_no_neighbour(process: Process) -> None:
    changes = [data(f"@u{number}:x", "m.t", b"{}") for number in range(20)]
    changes[7] = Change((Row(_DATA, ("@bad\0:x", "m.t", b"{}")),))
    changes[13] = said("!r", 0, "$one")
    sent = [process.journal.enqueue(change) for change in changes]
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, list)] == [7]
    async with process.database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM account_data") == 18


async def test_the_last_of_several_changes_to_one_thing_wins(process: Process) -> None:
    sent = [process.journal.enqueue(data("@a:x", "m.t", b"%d" % number)) for number in range(9)]
    await asyncio.gather(*sent)
    async with process.database.read() as tx:
        row = await tx.fetchrow("SELECT position, content FROM account_data")
    assert row is not None
    assert (row["position"], row["content"]) == (9, b"8")


async def test_positions_of_many_writers_are_a_single_order_without_gaps(process: Process) -> None:
    processes = [process, Process(process.database), Process(process.database)]

    async def write(me: int) -> list[int]:
        return [(await processes[me % 3].journal.append(data(f"@{me}:x", "t", b"{}")))[0] for _ in range(20)]

    lists = await asyncio.gather(*(write(me) for me in range(9)))
    assert all(mine == sorted(mine) for mine in lists)
    assert sorted(position for mine in lists for position in mine) == list(range(1, 181))


async def test_after_hooks_run_before_the_caller_goes_on_and_before_anybody_is_woken(
    process: Process,
) -> None:
    order: list[str] = []
    process.feed.subscribe(Subscriber(lambda position, topics: order.append("woken"), lambda position: None))
    change = said("!r", 0, "$e")
    seen = Change(
        change.rows, change.wake, change.head, after=lambda position: order.append(f"after {position}")
    )
    await process.journal.append(seen)
    order.append("answered")
    await process.journal.flushed()
    assert order[0] == "after 1"
    assert sorted(order) == ["after 1", "answered", "woken"]


async def test_a_database_that_is_gone_is_said_so_and_the_journal_goes_on_afterwards(
    process: Process,
) -> None:
    await process.journal.append(said("!r", 0, "$first"))
    await process.database.close()
    with pytest.raises(JournalUnavailable):
        await process.journal.append(said("!r", 1, "$second"))
    with pytest.raises(JournalUnavailable):
        await process.journal.append(said("!r", 1, "$second"))


async def test_the_feed_keeps_early_notes_until_the_missing_one_comes(process: Process) -> None:
    told: list[tuple[int, tuple[str, ...]]] = []
    resets: list[int] = []
    process.feed.subscribe(
        Subscriber(lambda position, topics: told.append((position, topics)), resets.append)
    )
    process.feed.arrived(Note(3, 4, ("b",)))
    assert (process.feed.position, told) == (0, [])
    process.feed.arrived(Note(1, 2, ("a",)))
    process.feed.arrived(Note(1, 2, ("a",)))
    assert (process.feed.position, told, resets) == (4, [(2, ("a",)), (4, ("b",))], [])


async def test_the_feed_resets_to_the_database_when_a_note_is_lost(process: Process) -> None:
    other = Process(process.database)
    await other.journal.append(said("!r", 0, "$lost"))
    reset = asyncio.get_running_loop().create_future()
    process.feed.subscribe(Subscriber(lambda position, topics: None, reset.set_result))
    await other.journal.append(said("!r", 1, "$known"))
    process.feed.arrived(Note(2, 2, ("e!r",)))
    assert process.feed.position == 0
    assert await asyncio.wait_for(reset, 10) == 2
    assert process.feed.position == 2


async def test_the_same_version_by_other_events_is_stale(process: Process) -> None:
    await process.journal.append(said("!r", 0, "$ours"))
    await process.journal.append(
        said("!r", 1, "$others")
    )  # another process, which has come as far as we thought we had
    change = said("!r", 2, "$built on what never was")
    assert change.head is not None
    phantom = replace(change, head=replace(change.head, based_on='["$never"]'))
    with pytest.raises(Stale):
        await process.journal.append(phantom)
    with pytest.raises(Stale):
        await process.journal.append(
            said("!r", 2, "$next"), replace(phantom, head=replace(phantom.head, expected=3))
        )
    await process.journal.append(replace(change, head=replace(change.head, based_on='["$others"]')))
    assert (await events(process.database, "!r"))[:2] == ["$ours", "$others"]
