"""What this machine can do at best: HTTP, hashing, signing and commits, and how near our bare endpoint comes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from nacl.signing import SigningKey

from benchmarks.http import Connection
from benchmarks.peers import GENERATOR_CORE, SERVER_CORE, free_port, pin
from benchmarks.process import cpu_ms
from storage.embedded.postgres import EmbeddedPostgres

_PARALLEL = 16


async def _requests_per_cpu_second(kind: str, count: int) -> float:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.noop", kind, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=lambda: pin(SERVER_CORE))
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        connections = [Connection(port) for _ in range(_PARALLEL)]
        body = {"msgtype": "m.text", "body": "hello"}

        async def ask(connection: Connection, times: int) -> None:
            for number in range(times):
                await connection.ok("PUT", f"/_matrix/client/v3/rooms/!room:x/noop/{number}", body)

        await asyncio.gather(*(ask(connection, 50) for connection in connections))
        before = cpu_ms([process.pid])
        await asyncio.gather(*(ask(connection, count // _PARALLEL) for connection in connections))
        return count / (cpu_ms([process.pid]) - before) * 1000
    finally:
        process.kill()
        process.wait()


def _times_per_second(run: Callable[[], object]) -> float:
    times, began = 0, time.process_time()
    while (spent := time.process_time() - began) < 0.5:
        for _ in range(100):
            run()
        times += 100
    return times / spent


async def _commit_ms() -> float:
    """CPU milliseconds, here and in PostgreSQL, of a transaction that writes one row."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(Path(folder) / "pg")
        connection = await asyncpg.connect(**await postgres.start())
        try:
            await connection.execute("CREATE TABLE t (id int, data bytea)")
            backend = await connection.fetchval("SELECT pg_backend_pid()")
            mine, theirs = time.process_time(), cpu_ms([backend])
            for number in range(2000):
                await connection.execute("INSERT INTO t VALUES ($1, $2)", number, b"x" * 800)
            return ((time.process_time() - mine) * 1000 + cpu_ms([backend]) - theirs) / 2000
        finally:
            await connection.close()
            await postgres.stop()


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    os.sched_setaffinity(0, {GENERATOR_CORE})
    count = int(20_000 * scale)
    constant = await _requests_per_cpu_second("aiohttp", count)
    ours = await _requests_per_cpu_second("hearth", count)
    event = {
        "type": "m.room.message",
        "content": {"body": "x" * 100},
        "hashes": {"sha256": "y" * 43},
        "depth": 7,
    }
    key, message = SigningKey.generate(), b"m" * 600
    figures = {
        "aiohttp_constant_per_cpu_second": round(constant),
        "noop_endpoint_per_cpu_second": round(ours),
        "noop_over_constant": round(ours / constant, 2),
        "canonical_json_per_second": round(
            _times_per_second(lambda: orjson.dumps(event, option=orjson.OPT_SORT_KEYS))
        ),
        "ed25519_sign_per_second": round(_times_per_second(lambda: key.sign(message))),
        "commit_of_one_row_ms": round(await _commit_ms(), 3),
    }
    for name, value in figures.items():
        print(f"{name:<40}{value:>14}")
    return figures
