"""The embedded PostgreSQL: made, killed, recovered, taken over and stopped."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from storage.embedded import binaries as binaries_module
from storage.embedded.account import account_for
from storage.embedded.binaries import Binaries, binaries_for, installed, reachable
from storage.embedded.cluster import Layout
from storage.embedded.errors import EmbeddedPostgresError
from storage.embedded.postgres import EmbeddedPostgres
from storage.embedded.programs import entrance, start_program

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up its rights")


@asynccontextmanager
async def running(folder: Path, told: list[str] | None = None) -> AsyncIterator[EmbeddedPostgres]:
    """A server on the folder, stopped at the end."""
    server = EmbeddedPostgres(folder, report=(told if told is not None else []).append)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def run(server: EmbeddedPostgres, statement: str) -> object:
    """One statement on a connection of its own."""
    where: dict[str, Any] = dict(server.address())
    connection = await asyncpg.connect(**where)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:1]


async def until_gone(pid: int) -> None:
    """Returns when the process, which is not our child, is no more."""
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        await asyncio.sleep(0.02)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that every account can walk to."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def test_what_was_committed_is_there_at_the_next_start(tmp_path: Path) -> None:
    async with running(tmp_path / "pg") as server:
        pid = server.pid
        assert pid
        await run(server, "CREATE TABLE kept AS SELECT 7 AS number")
    assert not is_alive(pid)
    assert not (tmp_path / "pg" / "cluster" / "postmaster.pid").exists()

    async with running(tmp_path / "pg") as server:
        assert await run(server, "SELECT number FROM kept") == 7


async def test_it_commits_durably_and_listens_on_its_socket_only(tmp_path: Path) -> None:
    async with running(tmp_path / "pg") as server:
        settings = ("fsync", "full_page_writes", "synchronous_commit", "listen_addresses", "wal_level", "jit")
        shown = [await run(server, f"SHOW {setting}") for setting in settings]
        assert shown == ["on", "on", "on", "", "minimal", "off"]
        assert await run(server, "SELECT lower('ÄÖ') || current_setting('server_encoding')") == "äöUTF8"
        assert (tmp_path / "pg").stat().st_mode & 0o777 == 0o700


async def test_it_comes_back_after_a_kill(tmp_path: Path) -> None:
    told: list[str] = []
    async with running(tmp_path / "pg", told) as server:
        await run(server, "CREATE TABLE kept AS SELECT 7 AS number")
        killed = server.pid
        assert killed
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(30):
            while "PostgreSQL is back." not in told:
                await asyncio.sleep(0.01)
        assert told[0] == "PostgreSQL ended unexpectedly (killed by SIGKILL); it is started again."
        assert server.pid != killed
        assert await run(server, "SELECT number FROM kept") == 7


async def test_a_second_server_on_the_folder_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path / "pg") as server:
        second = EmbeddedPostgres(tmp_path / "pg")
        assert second.is_served()
        with pytest.raises(EmbeddedPostgresError, match="Another server is running"):
            await second.start()
        assert await run(server, "SELECT 1") == 1
    assert not second.is_served()


async def test_a_server_that_was_left_behind_is_stopped_first(tmp_path: Path) -> None:
    async with running(tmp_path / "pg") as server:
        await run(server, "CREATE TABLE kept AS SELECT 7 AS number")
    layout, told = Layout(tmp_path / "pg"), list[str]()
    account = account_for(layout.folder)
    with entrance(layout.folder, account) as folder:
        program = reachable(binaries_for(layout.major()), account).program("postgres")
        command = [program, "-D", f"{folder.path}/cluster", "-k", "../socket"]
        left_behind = start_program(account, command, folder.descriptors, layout.log)
    async with asyncio.timeout(10):
        while not (layout.sockets / ".s.PGSQL.5432").exists():
            await asyncio.sleep(0.01)

    async with running(layout.folder, told) as server:
        assert told == ["A PostgreSQL that an earlier server left behind was stopped."]
        assert left_behind.wait(1) == 0
        assert server.pid != left_behind.pid
        assert await run(server, "SELECT number FROM kept") == 7


async def test_a_pid_file_that_names_some_other_program_does_not_matter(tmp_path: Path) -> None:
    async with running(tmp_path / "pg"):
        pass
    (tmp_path / "pg" / "cluster" / "postmaster.pid").write_text(f"{os.getpid()}\n/elsewhere\n")
    async with running(tmp_path / "pg") as server:
        assert await run(server, "SELECT 1") == 1


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from typing import Any
from storage.embedded.postgres import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    await server.start()
    print(server.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's end")
async def test_it_ends_when_its_server_is_killed(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(tmp_path / "pg"), cwd=root, stdout=subprocess.PIPE
    )
    told, _ = await killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    await until_gone(int(told))
    async with running(tmp_path / "pg") as server:
        assert await run(server, "SELECT 1") == 1


async def test_a_path_that_is_too_long_for_a_socket_is_no_trouble(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 20) / ("longer-" * 10)
    async with running(folder) as server:
        assert len(server.address()["host"]) < 100
        assert await run(server, "SELECT 1") == 1


@as_root
async def test_roots_server_runs_as_somebody_else(open_folder: Path, tmp_path: Path) -> None:
    for folder in (open_folder / "pg", tmp_path / "pg"):
        (tmp_path).chmod(0o700)  # no way in for others
        async with running(folder) as server:
            assert Path(f"/proc/{server.pid}").stat().st_uid != 0
            assert (folder / "cluster").stat().st_uid == folder.stat().st_uid != 0
            assert await run(server, "SELECT 1") == 1


@as_root
async def test_programs_in_a_closed_folder_are_copied_where_they_can_be_run(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = installed()[0]
    tmp_path.chmod(0o700)
    site, closed = newest.root.parents[1], tmp_path / "site-packages"
    for folder in (newest.root, site / f"{binaries_module.WHEEL}.libs"):
        shutil.copytree(folder, closed / folder.relative_to(site), symlinks=True)
    hidden = Binaries(closed / newest.root.relative_to(site), newest.version)
    monkeypatch.setattr(binaries_module, "CACHE", open_folder / "cache")
    account = account_for(tmp_path / "nothing there")

    usable = reachable(hidden, account)
    assert usable.root.is_relative_to(open_folder / "cache" / f"postgresql-{newest.version}")
    told = subprocess.run([usable.program("initdb"), "--version"], user=account.uid, group=account.gid)
    assert told.returncode == 0

    monkeypatch.setattr(binaries_module, "installed", lambda: [hidden])
    async with running(tmp_path / "pg") as server:
        assert await run(server, "SELECT 1") == 1


def test_data_of_a_version_that_is_not_installed_is_refused() -> None:
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 9; the installed wheel brings"):
        binaries_for(9)


def test_the_newest_programs_are_chosen_for_new_data_and_their_own_for_old() -> None:
    versions = [binaries.major for binaries in installed()]
    assert binaries_for(None).major == max(versions)
    assert [binaries_for(major).major for major in versions] == versions


async def test_a_start_that_fails_says_what_postgresql_said(tmp_path: Path) -> None:
    async with running(tmp_path / "pg"):
        pass
    (tmp_path / "pg" / "cluster" / "postgresql.conf").open("a").write("shared_buffers = nonsense\n")
    server = EmbeddedPostgres(tmp_path / "pg")
    with pytest.raises(EmbeddedPostgresError, match='invalid value for parameter "shared_buffers"'):
        await server.start()
    assert not server.is_served()
