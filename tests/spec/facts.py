"""The specification's operations as facts: what must be served, to whom, and whether it is rate-limited.

`endpoints.tsv` is our own copy of these facts, so that the route table is held to them without the specification's
files; `test_facts.py` holds the copy to the files where they are.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from web.endpoint import Auth

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of one API; `guest` is None where the specification has no guests."""

    api: str
    method: str
    path: str
    operation_id: str
    auth: Auth
    guest: bool | None
    rate_limited: bool

    @property
    def line(self) -> str:
        """How not_yet.txt names it."""
        return f"{self.api} {self.method} {self.path}"


def operations() -> list[Operation]:
    """All operations of the APIs that we serve."""
    with (HERE / "endpoints.tsv").open(encoding="utf-8", newline="") as table:
        return [
            Operation(
                api=row["api"],
                method=row["method"],
                path=row["path"],
                operation_id=row["operation"],
                auth=Auth(row["auth"]),
                guest={"yes": True, "no": False, "-": None}[row["guest"]],
                rate_limited=row["rate_limited"] == "yes",
            )
            for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def lines(name: str) -> Iterator[str]:
    """The lines of a list beside this file, without comments."""
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        bare = line.partition("#")[0].strip()
        if bare:
            yield bare
