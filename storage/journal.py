"""The journal: the one writer of everything that clients see through /sync.

Theory of operation. Changes from any number of requests gather in a queue. One task takes what is waiting, in the
order of arrival, and commits it in ONE transaction:

1. `UPDATE journal SET position = position + n`. Its row lock is held until the commit, so the batches of all
   processes run one after another, and the order of commits *is* the order of positions: whoever can see position P
   sees everything at or below P (but for history, which is no news: it goes to positions that were left free for it).
2. The heads of the rooms concerned are moved, each only if its `version` is still what the writer built on.
3. One multi-row statement a table, however many changes.
4. A synchronous commit. Only then are the callers answered and the waiting readers woken.

Preconditions are not asked for beforehand. When a head did not move, or a transaction ID was there already, the
transaction is rolled back (its positions with it), the losers are told `Stale` or `Duplicate`, and the others are
written again. When PostgreSQL refuses a batch for another reason, it is halved until the one bad group is alone.

A caller builds on what is still on its way: the second event of a room expects the version that the first one will
make. In one batch such a chain is followed in memory and only its end is written.

While a batch commits the next one gathers: under load the batches grow and the cost of a change falls.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import islice

import asyncpg

from storage.database import Database, Tx
from storage.ids import Ids
from storage.statement import Each, Rows, sql

MAX_CHANGES = 500
MAX_BYTES = 8 * 1024 * 1024


class Stale(Exception):
    """The room's head was not what the change was built on: load it again and build anew."""


class Duplicate(Exception):
    """The device has sent this transaction before; `event_id` is what came of it then."""

    def __init__(self, event_id: str) -> None:
        super().__init__(event_id)
        self.event_id = event_id


class JournalUnavailable(Exception):
    """The database went away. The change may or may not have been written: ask again with the same transaction ID."""


@dataclass(frozen=True, slots=True)
class Row:
    """Values for one row of a journal statement; the position is added by the journal."""

    statement: Rows | Each
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class HeadMove:
    """A room's head, from version `expected` (0: no such room yet) to the next one, which looks like this.

    `based_on` are the forward extremities that it was built on, as text: versions are counted, so that another process may
    have come to the same number by other events. None: only the version counts.
    """

    room_id: str
    expected: int
    room_version: str
    depth: int
    forward_extremities: str
    snapshot: int
    tally: int
    joined: int
    invited: int
    based_on: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Something that /sync will show, or a step of one: rows to write, who is to look again, and what must hold.

    So many positions below its own stay free (`reserved`): for what belongs before it and comes later.
    """

    rows: tuple[Row, ...]
    wake: tuple[str, ...] = ()
    head: HeadMove | None = None
    txn: bytes | None = None
    after: Callable[[int], None] | None = None
    size: int = 256
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """What a process tells the others after a commit: the positions `first` to `last` are taken, look at `topics`."""

    first: int
    last: int
    topics: tuple[str, ...]


@dataclass(slots=True)
class _Group:
    """The changes of one call: written together or not at all."""

    changes: tuple[Change, ...]
    done: asyncio.Future[list[int]]

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(slots=True)
class _Refused(Exception):
    """Some preconditions did not hold: the rooms and the transactions that lost."""

    rooms: frozenset[str] = frozenset()
    txns: dict[bytes, str] = field(default_factory=dict)


class Journal:
    """Appends changes for one tenant in one process. `committed` is told of each commit, in order."""

    def __init__(self, database: Database, committed: Callable[[Note], Awaitable[None]]) -> None:
        self.ids = Ids(database)
        self._database = database
        self._committed = committed
        self._waiting: deque[_Group] = deque()
        self._task: asyncio.Task[None] | None = None

    async def append(self, *changes: Change) -> list[int]:
        """Their positions, once committed. Raises Stale, Duplicate or JournalUnavailable; then nothing was kept."""
        return await asyncio.shield(self.enqueue(*changes))

    def enqueue(self, *changes: Change) -> asyncio.Future[list[int]]:
        """Puts the changes into the queue, in the order of the calls; the future is that of `append`."""
        group = _Group(changes, asyncio.get_running_loop().create_future())
        self._waiting.append(group)
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return group.done

    async def flushed(self) -> None:
        """Returns when nothing is waiting or on its way."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch = self._take()
                try:
                    await self._commit(batch)
                except BaseException as error:
                    _fail_all(batch, JournalUnavailable(repr(error)))
                    raise
        finally:
            self._task = None
            _fail_all(list(self._waiting), JournalUnavailable("the journal was stopped"))
            self._waiting.clear()

    def _take(self) -> list[_Group]:
        """The next batch: bounded, and never twice the same transaction ID (the second will find the first's row)."""
        batch: list[_Group] = []
        changes = size = 0
        txns: set[bytes] = set()
        while self._waiting:
            group = self._waiting[0]
            changes += len(group.changes)
            size += sum(change.size for change in group.changes)
            digests = {change.txn for change in group.changes if change.txn is not None}
            if batch and (changes > MAX_CHANGES or size > MAX_BYTES or txns & digests):
                break
            txns |= digests
            batch.append(self._waiting.popleft())
        return batch

    async def _commit(self, batch: list[_Group]) -> None:
        while batch := _chained(batch):
            try:
                last = await self._write(batch)
            except _Refused as refused:
                batch = _without_losers(batch, refused)
            except asyncpg.IntegrityConstraintViolationError:
                losers = await self._losers(batch)
                if not losers.txns:
                    await self._bisect(batch)
                    return
                batch = _without_losers(batch, losers)
            except (
                asyncpg.PostgresConnectionError,
                asyncpg.InterfaceError,
                asyncpg.OperatorInterventionError,
                OSError,
            ) as error:
                _fail_all(batch, JournalUnavailable(str(error)))
                return
            except (asyncpg.PostgresError, ValueError) as error:
                await self._bisect(batch, error)
                return
            else:
                await self._tell(batch, last)
                return

    async def _bisect(self, batch: list[_Group], error: Exception | None = None) -> None:
        """One bad row harms nobody else: halve the batch until it is alone."""
        if len(batch) == 1:
            batch[0].fail(error or Stale())
            return
        middle = len(batch) // 2
        await self._commit(batch[:middle])
        await self._commit(batch[middle:])

    async def _write(self, batch: list[_Group]) -> int:
        changes = [change for group in batch for change in group.changes]
        async with self._database.transaction() as tx:
            last = await _claim(tx, _width(changes))
            placed = _placed(changes, last)
            await _move_heads(tx, placed)
            await _write_rows(tx, placed)
        return last

    async def _losers(self, batch: list[_Group]) -> _Refused:
        """Looks up which transactions were there before."""
        async with self._database.read() as tx:
            return await _look_up_losers(tx, [change for group in batch for change in group.changes])

    async def _tell(self, batch: list[_Group], last: int) -> None:
        changes = [change for group in batch for change in group.changes]
        placed = _placed(changes, last)
        for position, change in placed:
            if change.after is not None:
                change.after(position)
        topics = tuple(dict.fromkeys(topic for change in changes for topic in change.wake))
        positions = iter([position for position, _ in placed])
        for group in batch:
            mine = list(islice(positions, len(group.changes)))
            if not group.done.done():
                group.done.set_result(mine)
        await self._committed(Note(last - _width(changes) + 1, last, topics))


def _width(changes: list[Change]) -> int:
    """How many positions the changes take."""
    return len(changes) + sum(change.reserved for change in changes)


def _placed(changes: list[Change], last: int) -> list[tuple[int, Change]]:
    """Each change with its position; the last one has `last`."""
    placed = []
    position = last - _width(changes)
    for change in changes:
        position += change.reserved + 1
        placed.append((position, change))
    return placed


def _fail_all(batch: list[_Group], error: Exception) -> None:
    for group in batch:
        group.fail(error)


def _chained(batch: list[_Group]) -> list[_Group]:
    """Those groups whose head moves follow on each other; the others are told that they are stale."""
    heads: dict[str, tuple[int, str | None]] = {}
    kept = []
    for group in batch:
        moves = [change.head for change in group.changes if change.head is not None]
        mine = dict(heads)
        for move in moves:
            version, extremities = mine.setdefault(move.room_id, (move.expected, move.based_on))
            is_same = None in (extremities, move.based_on) or extremities == move.based_on
            if version != move.expected or not is_same:
                group.fail(Stale())
                break
            mine[move.room_id] = (move.expected + 1, move.forward_extremities)
        else:
            heads = mine
            kept.append(group)
    return kept


def _without_losers(batch: list[_Group], refused: _Refused) -> list[_Group]:
    kept = []
    for group in batch:
        duplicate = next((c.txn for c in group.changes if c.txn is not None and c.txn in refused.txns), None)
        if duplicate is not None:
            group.fail(Duplicate(refused.txns[duplicate]))
        elif any(c.head is not None and c.head.room_id in refused.rooms for c in group.changes):
            group.fail(Stale())
        else:
            kept.append(group)
    return kept


_CLAIM = sql("UPDATE journal SET position = position + $1 RETURNING position")


async def _claim(tx: Tx, count: int) -> int:
    last: int = await tx.fetchval(_CLAIM, count)
    return last


_MOVE_HEADS = sql("""
    UPDATE rooms AS r
    SET version = m.version, depth = m.depth, forward_extremities = m.extremities, snapshot = m.snapshot,
        tally = m.tally, joined = m.joined, invited = m.invited, position = m.position
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
                $8::bigint[], $9::int[], $10::int[], $11::bigint[], $12::text[])
         AS m (room_id, expected, version, room_version, depth, extremities, snapshot, tally, joined, invited, position,
            based_on)
    WHERE r.room_id = m.room_id AND r.version = m.expected
        AND (m.based_on IS NULL OR r.forward_extremities = m.based_on)
    RETURNING r.room_id
""")
_NEW_HEADS = sql("""
    INSERT INTO rooms
        (room_id, version, room_version, depth, forward_extremities, snapshot, tally, joined, invited, position)
    SELECT room_id, version, room_version, depth, extremities, snapshot, tally, joined, invited, position
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
                $8::bigint[], $9::int[], $10::int[], $11::bigint[], $12::text[])
         AS m (room_id, expected, version, room_version, depth, extremities, snapshot, tally, joined, invited, position,
            based_on)
    WHERE m.expected = 0
    ON CONFLICT DO NOTHING
    RETURNING room_id
""")


async def _move_heads(tx: Tx, placed: list[tuple[int, Change]]) -> None:
    """Writes the last head of each room; raises _Refused naming the rooms that another process has moved meanwhile."""
    firsts: dict[str, HeadMove] = {}
    ends: dict[str, tuple[HeadMove, int]] = {}
    for position, change in placed:
        if change.head is not None:
            firsts.setdefault(change.head.room_id, change.head)
            ends[change.head.room_id] = (change.head, position)
    moved: set[str] = set()
    for statement, new in ((_MOVE_HEADS, False), (_NEW_HEADS, True)):
        heads = [
            _columns(move, firsts[move.room_id], position)
            for move, position in ends.values()
            if (firsts[move.room_id].expected == 0) is new
        ]
        if heads:
            moved |= {row["room_id"] for row in await tx.fetch(statement, *zip(*heads, strict=True))}
    if len(moved) < len(ends):
        raise _Refused(rooms=frozenset(ends.keys() - moved))


def _columns(m: HeadMove, first: HeadMove, position: int) -> tuple[object, ...]:
    head = (
        m.room_id,
        first.expected,
        m.expected + 1,
        m.room_version,
        m.depth,
        m.forward_extremities,
        m.snapshot,
    )
    return (*head, m.tally, m.joined, m.invited, position, first.based_on)


async def _write_rows(tx: Tx, placed: list[tuple[int, Change]]) -> None:
    many: dict[Rows, list[tuple[object, ...]]] = {}
    single: list[tuple[Each, tuple[object, ...]]] = []
    for position, change in placed:
        for row in change.rows:
            if isinstance(row.statement, Rows):
                many.setdefault(row.statement, []).append((position, *row.values))
            else:
                single.append((row.statement, (position, *row.values)))
    for statement, values in many.items():
        if statement.key:
            values = list({tuple(value[1 + k] for k in statement.key): value for value in values}.values())
        await tx.execute(statement.text, *zip(*values, strict=True))
    for each, row_values in single:
        await tx.execute(each.text, *row_values)


_DUPLICATES = sql("SELECT txn_digest, event_id FROM events WHERE txn_digest = ANY($1::bytea[])")


async def _look_up_losers(tx: Tx, changes: list[Change]) -> _Refused:
    digests = [change.txn for change in changes if change.txn is not None]
    return _Refused(txns={row["txn_digest"]: row["event_id"] for row in await tx.fetch(_DUPLICATES, digests)})
