"""Starting PostgreSQL's programs as the right account, on a folder that it may not be able to walk to."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage.embedded import launch
from storage.embedded.account import Account
from storage.embedded.errors import EmbeddedPostgresError


@dataclass(frozen=True, slots=True)
class Entrance:
    """The name by which a program finds the folder, and the file descriptors it must be given for that."""

    path: str
    descriptors: tuple[int, ...] = ()


@contextmanager
def entrance(folder: Path, account: Account) -> Iterator[Entrance]:
    """The folder as the account sees it.

    Below /root, or in a temporary folder of root's, an unprivileged account cannot walk the path. It is given
    the open folder instead: /proc/self/fd/N leads there whatever the folders above say.
    """
    if account.reaches(folder):
        yield Entrance(str(folder))
        return
    if not Path("/proc/self/fd").is_dir():
        raise EmbeddedPostgresError(
            f"PostgreSQL may not run as root, and its account (uid {account.uid}) cannot reach {folder}:"
            " choose a data folder elsewhere (--data), such as one in /var/lib."
        )
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Entrance(f"/proc/self/fd/{descriptor}", (descriptor,))
    finally:
        os.close(descriptor)


def start_program(
    account: Account, command: Sequence[str], descriptors: tuple[int, ...], log: Path
) -> subprocess.Popen[bytes]:
    """Starts a program that ends with us; what it says goes to the end of the log.

    To be called in a thread that lives as long as the program: Linux takes its end for the parent's.
    """
    launcher = [
        sys.executable,
        "-I",
        "-S",
        launch.__file__,
        str(account.uid),
        str(account.gid),
        str(os.getpid()),
    ]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*launcher, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "1"},
            pass_fds=descriptors,
            start_new_session=True,  # a Ctrl-C in the terminal is for the server, which then stops PostgreSQL
        )
