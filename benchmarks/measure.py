"""Running an operation many times, and what each cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.peers import Server
from benchmarks.process import Cpu


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one operation: CPU milliseconds; and how many were done in a second of wall time."""

    operations: int
    cpu: Cpu
    rate: float

    def row(self, name: str) -> str:
        """A line of the table."""
        return (
            f"{name:<34}{self.operations:>8}{self.cpu.server:>12.3f}{self.cpu.postgres:>12.3f}"
            f"{self.cpu.total:>12.3f}{self.rate:>12.1f}"
        )

    def figures(self) -> dict[str, float]:
        """For the JSON line."""
        return {
            "server_ms": round(self.cpu.server, 4),
            "postgres_ms": round(self.cpu.postgres, 4),
            "total_ms": round(self.cpu.total, 4),
            "per_second": round(self.rate, 1),
        }


HEADER = f"{'operation':<34}{'count':>8}{'server ms':>12}{'postgres ms':>12}{'both ms':>12}{'per second':>12}"


async def measure(
    server: Server, operations: int, parallel: int, run: Callable[[int, int], Awaitable[object]]
) -> Cost:
    """Runs `run(worker, number)` `operations` times in all, in `parallel` workers."""
    numbers = iter(range(operations))

    async def worker(me: int) -> None:
        for number in numbers:
            await run(me, number)

    before, began = server.cpu(), time.perf_counter()
    await asyncio.gather(*(worker(me) for me in range(parallel)))
    wall = time.perf_counter() - began
    return Cost(operations, (server.cpu() - before).per(operations), operations / wall)


async def gather_bounded(count: int, parallel: int, make: Callable[[int], Awaitable[object]]) -> list[object]:
    """`make(0)` ... `make(count - 1)`, so many at a time, their results in order."""
    results: list[object] = [None] * count
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            results[number] = await make(number)

    await asyncio.gather(*(worker() for _ in range(parallel)))
    return results
