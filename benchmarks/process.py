"""CPU time and memory of processes, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def children(pid: int) -> list[int]:
    """The process and all that it started and that still run."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents.setdefault(int(_stat(int(folder.name))[1]), []).append(int(folder.name))
            except (OSError, IndexError):
                continue
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def cpu_ms(pids: list[int]) -> float:
    """CPU milliseconds that these processes have used, with the children that they have outlived."""
    total = 0.0
    for pid in pids:
        try:
            fields = _stat(pid)
        except OSError:
            continue
        total += sum(int(value) for value in fields[11:15]) * _TICK_MS
    return total


def rss_kib(pid: int) -> int:
    """Memory of one process that is in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU milliseconds of the server and of its PostgreSQL."""

    server: float
    postgres: float

    def __sub__(self, other: Cpu) -> Cpu:
        return Cpu(self.server - other.server, self.postgres - other.postgres)

    def per(self, operations: int) -> Cpu:
        """For one operation."""
        return Cpu(self.server / operations, self.postgres / operations)

    @property
    def total(self) -> float:
        """Both together."""
        return self.server + self.postgres
