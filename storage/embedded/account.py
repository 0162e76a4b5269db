"""Whom PostgreSQL runs as: ourselves, or, since it refuses to run as root, an unprivileged account."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from storage.embedded.errors import EmbeddedPostgresError

PREFERRED = ("hearth", "postgres", "nobody")
"""The accounts that are looked for when root starts PostgreSQL on a new folder."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of this machine to which the PostgreSQL processes and their files belong."""

    uid: int
    gid: int

    def owns(self, path: Path) -> bool:
        """Whether the file belongs to the account."""
        return path.stat().st_uid == self.uid

    def reaches(self, path: Path) -> bool:
        """Whether the account can walk down to the path and read it; going by permission bits only."""
        path = path.resolve()
        return all(self._has(folder, 0o1) for folder in path.parents) and self._has(path, 0o5)

    def _has(self, path: Path, bits: int) -> bool:
        about = path.stat()
        if about.st_uid == self.uid:
            return about.st_mode >> 6 & bits == bits
        if about.st_gid == self.gid:
            return about.st_mode >> 3 & bits == bits
        return about.st_mode & bits == bits


def account_for(folder: Path) -> Account:
    """Whom to run PostgreSQL as on this folder: for root its owner, or an unprivileged account."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "PostgreSQL refuses to run as root, and this machine has no unprivileged account for it: make one"
        f" (useradd --system hearth), or start the server as another user. Looked for {', '.join(PREFERRED)}."
    )
