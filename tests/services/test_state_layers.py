"""Reading the state through layers gives what a plain dictionary would have."""

from __future__ import annotations

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.events import StateKey
from protocol.ids import EventID
from storage.database import Database
from storage.journal import Change, Journal, Note
from storage.state import EMPTY, FANOUT, Snapshot, next_snapshot, snapshots, state_ids_at, state_ids_of_keys

ROOM = "!room:one.test"

keys = st.sampled_from([("m.room.member", f"@{n}:one.test") for n in range(12)] + [("m.room.name", "")])
steps = st.dictionaries(keys, st.booleans(), min_size=1, max_size=5)
histories = st.lists(steps, min_size=1, max_size=90)

_numbers = itertools.count(1)


async def _nobody(_: Note) -> None:
    pass


async def _write(
    journal: Journal, history: list[dict[StateKey, bool]]
) -> list[tuple[Snapshot, dict[StateKey, EventID]]]:
    """Each snapshot with what a dictionary says; changes of one batch build on each other, as in a busy room."""
    snapshot, model, written, waiting = EMPTY, dict[StateKey, EventID](), [], []
    for step in history:
        changes = {key: EventID(f"${next(_numbers)}") if there else None for key, there in step.items()}
        number, layer = await journal.ids.next(), await journal.ids.next()
        snapshot, rows = next_snapshot(snapshot, ROOM, changes, number, layer)
        waiting.append(journal.enqueue(Change(rows=tuple(rows))))
        model = {**model, **changes}  # type: ignore[dict-item]
        model = {key: event_id for key, event_id in model.items() if event_id is not None}
        written.append((snapshot, model))
    for done in waiting:
        await done
    return written


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
async def test_every_snapshot_reads_as_the_dictionary_was(
    database: Database, history: list[dict[StateKey, bool]]
) -> None:
    written = await _write(Journal(database, _nobody), history)

    async with database.read() as tx:
        for snapshot, model in written[:: max(1, len(written) // 8)] + written[-1:]:
            assert await state_ids_at(tx, snapshot.snapshot) == model
        asked = [("m.room.member", "@1:one.test"), ("m.room.name", ""), ("m.room.topic", "")]
        numbers = [snapshot.snapshot for snapshot, _ in written]
        found = await state_ids_of_keys(tx, numbers, asked)
        assert found == {
            snapshot.snapshot: {key: model[key] for key in asked if key in model}
            for snapshot, model in written
        }
        assert await snapshots(tx, numbers) == {snapshot.snapshot: snapshot for snapshot, _ in written}


@given(sizes=st.lists(st.integers(1, 3000), max_size=400))
def test_a_snapshot_has_few_layers(sizes: list[int]) -> None:
    snapshot = EMPTY
    for number, size in enumerate(sizes, 1):
        changes: dict[StateKey, EventID | None] = {("t", str(n)): EventID("$e") for n in range(size)}
        snapshot, _ = next_snapshot(snapshot, ROOM, changes, number, number)

        assert sum(snapshot.sizes) == sum(sizes[:number])
        assert len(snapshot.layers) == len(snapshot.sizes) < FANOUT * 8


def test_ten_thousand_joins_make_few_layers_and_few_copies() -> None:
    snapshot, copied = EMPTY, 0
    for number in range(1, 10_001):
        before = snapshot
        snapshot, _ = next_snapshot(
            snapshot, ROOM, {("m.room.member", str(number)): EventID("$e")}, number, number
        )
        kept = len(snapshot.layers) - 1
        copied += sum(before.sizes[kept:])

    assert len(snapshot.layers) <= 5 * FANOUT
    assert copied <= 5 * 10_000
