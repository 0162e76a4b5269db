"""A PostgreSQL that still runs on the folder because its server was killed: it is stopped first."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

PATIENCE = 30.0
"""Seconds for a fast shutdown with its checkpoint; then it must stop at once and recovers later."""


async def stop_orphan(cluster: Path) -> bool:
    """Whether there was one; it is gone afterwards. A pid file that names some other program is removed."""
    pid_file = cluster / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return False
    if not _is_alive(pid):
        return False  # PostgreSQL sees that itself, and looks for children that may be left
    if not _serves(pid, cluster):
        pid_file.unlink()
        return False
    for stop, patience in ((signal.SIGINT, PATIENCE), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, stop)
        except ProcessLookupError:
            return True
        if await _gone(pid, patience):
            return True
    return True


def _serves(pid: int, cluster: Path) -> bool:
    """Whether that process is a PostgreSQL on this very folder: it works inside it."""
    working_folder = Path(f"/proc/{pid}/cwd")
    if Path("/proc/self/cwd").exists():
        try:
            return working_folder.samefile(cluster)
        except OSError:
            return False
    listed = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "postgres" in listed.stdout and str(cluster) in listed.stdout


async def _gone(pid: int, patience: float) -> bool:
    """Waits for the end of a process that is not our child; only the kernel or polling can tell."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while _is_alive(pid):
        if loop.time() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return False
