"""The folder of an embedded PostgreSQL: what lies where, how it is made, and the settings it runs with."""

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from storage.embedded.account import Account
from storage.embedded.binaries import Binaries
from storage.embedded.errors import EmbeddedPostgresError
from storage.embedded.programs import entrance, start_program

SUPERUSER = "hearth"
DATABASE = "postgres"
"""Made by initdb itself; another one would cost the first start a moment and give nothing."""

SETTINGS = """\
# Written anew at each start. Your own settings go to postgresql.conf, below the include; they win.
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = {max_connections}
shared_buffers = 64MB
wal_level = minimal
max_wal_senders = 0
max_wal_size = 512MB
checkpoint_timeout = 15min
random_page_cost = 1.1
max_parallel_workers_per_gather = 0
jit = off
log_min_messages = warning
log_checkpoints = off
log_line_prefix = '%m [%p] '
fsync = {on}
synchronous_commit = on
full_page_writes = {on}
"""
SINCE_18 = "io_method = sync\n"
"""No idle I/O worker processes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The names inside the folder."""

    folder: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data directory; it is whole as soon as it has this name."""
        return self.folder / "cluster"

    @property
    def sockets(self) -> Path:
        """Where the server listens."""
        return self.folder / "socket"

    @property
    def lock(self) -> Path:
        """Held by the one process that runs PostgreSQL here."""
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """What PostgreSQL says."""
        return self.folder / "postgresql.log"

    def major(self) -> int | None:
        """The PostgreSQL version of the data; None when there is none yet."""
        try:
            return int((self.cluster / "PG_VERSION").read_text().split(".")[0])
        except FileNotFoundError:
            return None

    def log_tail(self) -> str:
        """The last lines of the log, for an error message."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
        except FileNotFoundError:
            return "(it said nothing)"


def prepare_folder(layout: Layout, account: Account) -> None:
    """Makes the folder, closed to all but PostgreSQL's account; raises when it belongs to somebody else."""
    layout.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    layout.sockets.mkdir(mode=0o700, exist_ok=True)
    if layout.log.exists() and layout.log.stat().st_size > 4 * 1024 * 1024:
        layout.log.rename(layout.log.with_suffix(".log.1"))
    if os.geteuid() == 0:
        layout.log.touch(mode=0o600)
        layout.lock.touch(mode=0o600)
        for path in (layout.folder, layout.sockets, layout.log, layout.lock):
            os.chown(path, account.uid, account.gid)
    elif not account.owns(layout.folder):
        raise EmbeddedPostgresError(
            f"{layout.folder} belongs to another user (uid {layout.folder.stat().st_uid}): start the server"
            " as that user, or as root."
        )


async def make_cluster(layout: Layout, account: Account, binaries: Binaries, durable: bool) -> None:
    """Makes an empty cluster, on disk and whole before it has its name; raises with what initdb said."""
    fresh = layout.folder / "cluster.new"
    shutil.rmtree(fresh, ignore_errors=True)
    locale = ["--locale=C"]
    if binaries.major >= 17:  # sorts by code point like C, and knows the letters of all languages
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    with entrance(layout.folder, account) as folder:
        command = [binaries.program("initdb"), "-D", f"{folder.path}/{fresh.name}", "-U", SUPERUSER]
        # Trust: nobody but the account and root can open the folder of the socket.
        command += ["-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions", *locale]
        initdb = start_program(account, command, folder.descriptors, layout.log)
    if await asyncio.to_thread(initdb.wait) != 0:
        raise EmbeddedPostgresError(f"PostgreSQL could not be set up:\n{layout.log_tail()}")
    if durable:
        await asyncio.to_thread(os.sync)
    fresh.rename(layout.cluster)
    if durable:
        _sync_folder(layout.folder)


def write_settings(layout: Layout, account: Account, major: int, max_connections: int, durable: bool) -> None:
    """Writes our settings beside the administrator's, which come after them."""
    text = SETTINGS.format(max_connections=max_connections, on="on" if durable else "off")
    ours = layout.cluster / "hearth.conf"
    ours.write_text(text + (SINCE_18 if major >= 18 else ""))
    theirs = layout.cluster / "postgresql.conf"
    include = f"include '{ours.name}'\n"
    if not theirs.read_text().startswith(include):
        theirs.write_text(f"{include}\n# Your own settings, if any, follow.\n")
    if os.geteuid() == 0:
        for path in (ours, theirs):
            os.chown(path, account.uid, account.gid)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
