"""A PostgreSQL of our own in a folder: made, started, watched, recovered and stopped by this process.

It is a child that listens on a Unix socket inside the folder and nowhere else. When it dies it is started
again; when this process dies it is told so by the kernel (launch.py), and one that is left all the same is
stopped at the next start (orphan.py). A lock file keeps a second server off the folder.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import asyncpg

from storage.embedded.account import Account, account_for
from storage.embedded.binaries import Binaries, binaries_for, reachable
from storage.embedded.cluster import DATABASE, SUPERUSER, Layout, make_cluster, prepare_folder, write_settings
from storage.embedded.errors import EmbeddedPostgresError
from storage.embedded.orphan import stop_orphan
from storage.embedded.programs import entrance, start_program

SOCKET_PATH_LIMIT = 103 - len("/.s.PGSQL.5432")
"""Bytes of a folder's path: the shortest limit of a Unix socket's path is macOS's."""
LEFT_OVER = "pre-existing shared memory"
"""PostgreSQL says this as long as children of a killed server have not noticed its end."""
NOT_YET = (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError)

Report = Callable[[str], None]


def _silent(_: str) -> None:
    pass


class EmbeddedPostgres:
    """PostgreSQL in a folder. `report` is told, in sentences, what happens to it out of turn."""

    def __init__(
        self, folder: Path, *, durable: bool = True, max_connections: int = 50, report: Report = _silent
    ) -> None:
        self._layout = Layout(folder.absolute())
        self._durable = durable  # False only in tests: a power failure then loses the data
        self._max_connections = max_connections
        self._report = report
        self._lock: IO[bytes] | None = None
        self._short: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The server's process, None when it does not run."""
        return self._process.pid if self._process else None

    async def start(self) -> dict[str, str]:
        """Makes the folder if need be, starts PostgreSQL, waits until it answers; what asyncpg.connect needs.

        Raises EmbeddedPostgresError when another process has the folder, or PostgreSQL cannot run here.
        """
        account = account_for(self._layout.folder)
        prepare_folder(self._layout, account)
        self._lock = _locked(self._layout)
        try:
            binaries = await self._made(account)
            started = await self._started(account, binaries)
        except BaseException:
            await self.stop()
            raise
        self._watch = asyncio.create_task(
            self._supervise(account, binaries, started), name="embedded PostgreSQL"
        )
        return self.address()

    async def stop(self) -> None:
        """Ends PostgreSQL with a checkpoint, so that the next start is quick, and frees the folder."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
            self._watch = None
        if self._process is not None:
            await _end(self._process)
            self._process = None
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)
            self._short = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def address(self) -> dict[str, str]:
        """What asyncpg.connect needs, whether or not PostgreSQL runs."""
        sockets = self._layout.sockets
        if len(os.fsencode(sockets)) > SOCKET_PATH_LIMIT:
            if self._short is None:
                self._short = Path(tempfile.mkdtemp(prefix="hearth-"))
                (self._short / "s").symlink_to(sockets)
            sockets = self._short / "s"
        return {"host": str(sockets), "user": SUPERUSER, "database": DATABASE}

    def is_served(self) -> bool:
        """Whether a process, this or another one, runs PostgreSQL on the folder now."""
        try:
            _locked(self._layout).close()
        except FileNotFoundError:
            return False
        except EmbeddedPostgresError:
            return True
        return False

    async def _made(self, account: Account) -> Binaries:
        """A folder that PostgreSQL can be started on, and the programs that fit it."""
        binaries = reachable(binaries_for(self._layout.major()), account)
        if self._layout.major() is None:
            await make_cluster(self._layout, account, binaries, self._durable)
        elif await stop_orphan(self._layout.cluster):
            self._report("A PostgreSQL that an earlier server left behind was stopped.")
        write_settings(self._layout, account, binaries.major, self._max_connections, self._durable)
        return binaries

    async def _started(self, account: Account, binaries: Binaries) -> asyncio.Future[int]:
        """A PostgreSQL that answers; the future is its exit status. Raises with the log's last lines."""
        for attempt in range(100):
            with entrance(self._layout.folder, account) as folder:
                # The socket's folder is relative to the cluster, where PostgreSQL works: never too long.
                command = [binaries.program("postgres"), "-D", f"{folder.path}/cluster", "-k", "../socket"]
                command += ["-c", "listen_addresses=", "-p", "5432"]
                self._process = start_program(account, command, folder.descriptors, self._layout.log)
            ended = _end_of(self._process)
            if await self._answers(ended):
                return ended
            if LEFT_OVER not in self._layout.log_tail():
                break
            await asyncio.sleep(0.02 * (attempt + 1))
        self._process = None
        raise EmbeddedPostgresError(f"PostgreSQL does not start:\n{self._layout.log_tail()}")

    async def _answers(self, ended: asyncio.Future[int]) -> bool:
        """Waits until it takes connections, which after a crash may be long; False when it ended instead."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + 10
        while not ended.done():
            try:
                connection = await _connect(self.address())
            except NOT_YET:
                await asyncio.wait([ended], timeout=0.01)
            else:
                await connection.close()
                return True
            if loop.time() > patience:
                self._report("PostgreSQL is still recovering.")
                patience += 10
        return False

    async def _supervise(self, account: Account, binaries: Binaries, ended: asyncio.Future[int]) -> None:
        """Starts PostgreSQL again whenever it ends by itself; slower when that happens again and again."""
        loop = asyncio.get_running_loop()
        pause = 0.0
        while True:
            since = loop.time()
            status = await ended
            self._process = None
            self._report(f"PostgreSQL ended unexpectedly ({_meaning(status)}); it is started again.")
            pause = 0.0 if loop.time() - since > 60 else min(30.0, pause * 2 + 0.1)
            ended = await self._started_after_all(account, binaries, pause)
            self._report("PostgreSQL is back.")

    async def _started_after_all(
        self, account: Account, binaries: Binaries, pause: float
    ) -> asyncio.Future[int]:
        """As _started, again and again: a full disk may be emptied."""
        while True:
            await asyncio.sleep(pause)
            try:
                return await self._started(account, binaries)
            except (EmbeddedPostgresError, OSError) as error:
                self._report(str(error))
                pause = min(30.0, pause * 2 + 0.1)


def _locked(layout: Layout) -> IO[bytes]:
    """The folder's lock, ours until it is closed; raises when another process has it."""
    lock = layout.lock.open("r+b" if layout.lock.exists() or not layout.folder.exists() else "a+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise EmbeddedPostgresError(
            f"Another server is running on {layout.folder}: stop it, or choose another data folder (--data)."
        ) from None
    return lock


async def _connect(where: dict[str, str]) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(
        host=where["host"], user=where["user"], database=where["database"], timeout=10
    )


def _end_of(process: subprocess.Popen[bytes]) -> asyncio.Future[int]:
    """The process's exit status, waited for in a thread, so that no event loop must know of children."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def tell(status: int) -> None:
        if not ended.done():
            ended.set_result(status)

    def wait() -> None:
        status = process.wait()
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, status)

    threading.Thread(target=wait, name="embedded PostgreSQL's end", daemon=True).start()
    return ended


async def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks for a fast shutdown, then insists."""
    for stop, patience in ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            return
        process.send_signal(stop)
        try:
            await asyncio.to_thread(process.wait, patience)
        except subprocess.TimeoutExpired:
            continue


def _meaning(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
