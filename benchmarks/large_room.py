"""Joining a room of 20,000 members: until the user can talk, until all are known, and what others notice meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks import scenes
from benchmarks.http import Connection
from benchmarks.peers import Server, Tls, free_port, hearth
from benchmarks.process import rss_kib
from tests.fixtures.certificates import Authority

MEMBERS = 20_000
EVERY = 0.01
"""Seconds between two looks at the server from outside."""
_V3 = "/_matrix/client/v3"


@contextlib.contextmanager
def _resident(tls: Tls, members: int, how: str) -> Iterator[tuple[str, str]]:
    """Another server and its room, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.resident",
        tls.certificate,
        tls.key,
        tls.authority,
        str(members),
        how,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            server, room_id = process.stdout.readline().split()
            yield server, room_id
        finally:
            process.terminate()


async def _waits(ask: Any, took: list[float]) -> None:
    """Asks again and again, until it is cancelled."""
    while True:
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(EVERY)


async def _join(server: Server, resident: str, room_id: str, members: int) -> dict[str, float]:
    """The figures of the first join, and (`again`) those when the user comes back after having left."""
    bob, alice = await server.user(), await server.user()
    elsewhere = await scenes.room(alice, [])
    memory = rss_kib(server.process.pid)
    first = await _enter(server, bob, alice, (resident, room_id, elsewhere), members)
    peak = _peak_kib(server)
    await bob.ok("POST", f"{_V3}/rooms/{quote(room_id, safe='')}/leave", {})
    again = await _enter(server, bob, alice, (resident, room_id, elsewhere), members)
    return {
        **first,
        "memory_before_mib": memory / 1024,
        "memory_peak_mib": peak / 1024,
        **{f"again_{name}": figure for name, figure in again.items()},
    }


async def _enter(
    server: Server, bob: Any, alice: Any, where: tuple[str, str, str], members: int
) -> dict[str, float]:
    resident, room_id, elsewhere = where
    probe, room = Connection(server.port), quote(room_id, safe="")
    loop: list[float] = []
    writes: list[float] = []
    watching = [
        asyncio.create_task(_waits(lambda: probe.ok("GET", "/_matrix/client/versions"), loop)),
        asyncio.create_task(_waits(lambda: scenes.say(alice, elsewhere), writes)),
    ]
    await asyncio.sleep(1)
    loop.clear()
    writes.clear()
    cpu, began = server.cpu(), time.perf_counter()
    await bob.ok("POST", f"{_V3}/join/{room}?via={resident}", {})
    await scenes.say(bob, room)
    talked = time.perf_counter()
    there: dict[str, Any] = {}
    while len(there) < members:
        with contextlib.suppress(Exception):  # it waits a minute, and is asked again
            there = (await bob.ok("GET", f"{_V3}/rooms/{room}/joined_members"))["joined"]
    whole = time.perf_counter()
    for task in watching:
        task.cancel()
    used = server.cpu() - cpu
    return {
        "talk_ms": (talked - began) * 1000,
        "whole_ms": (whole - began) * 1000,
        "others_wait_ms_max": max(loop),
        "others_wait_ms_p99": sorted(loop)[int(len(loop) * 0.99)],
        "others_write_ms_max": max(writes),
        "others_write_ms_p99": sorted(writes)[int(len(writes) * 0.99)],
        "cpu_ms": used.total,
    }


def _peak_kib(server: Server) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if "VmHWM" in line).split()[1])


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures. Nobody runs beside it: the other server is one that only answers."""
    members = int(MEMBERS * scale)
    figures: dict[str, Any] = {}
    for how in ("partial", "whole"):
        with tempfile.TemporaryDirectory(prefix="large-room-bench-") as name:
            Path(name).chmod(0o755)
            authority = Authority(Path(name))
            issued = authority.issue("localhost", "127.0.0.1")
            tls = Tls(free_port(), issued.certificate, issued.key, authority.file)
            with _resident(tls, members, how) as (resident, room_id):
                async with hearth(tls=tls) as server:
                    figures[how] = await _join(server, resident, room_id, members)
    print(f"{'shown':<24}", *(f"{name:>12}" for name in figures))
    for key in figures["partial"]:
        print(f"{key:<24}", *(f"{one[key]:>12.1f}" for one in figures.values()))
    return figures
