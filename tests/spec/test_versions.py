"""The versions of the specification that are advertised, and the tests that show that what they changed holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from client_api.versions import VERSIONS
from tests.spec.facts import lines

TESTS = Path(__file__).parents[1]
FIRST = 13  # v1.13: of what came before, the routes are all there is to tell


def _changes() -> Iterator[tuple[str, str, str]]:
    """Version, file and name of a test, of each line."""
    for line in lines("changes.txt"):
        version, _, file, name = re.fullmatch(r"(v1\.\d+)  (.+)  ([\w/]+\.py)::(\w+)", line).groups()  # type: ignore[union-attr]
        yield version, file, name


def test_versions_have_no_gap() -> None:
    newest = max(int(version.removeprefix("v1.")) for version in VERSIONS if version.startswith("v1."))
    assert [version for version in VERSIONS if version.startswith("v1.")] == [
        f"v1.{n}" for n in range(1, newest + 1)
    ]


def test_every_later_version_says_what_it_changed_and_how_that_is_shown() -> None:
    told = {version for version, _, _ in _changes()}
    assert told == {v for v in VERSIONS if v.startswith("v1.") and int(v.removeprefix("v1.")) >= FIRST}


def test_the_tests_that_show_it_are_there() -> None:
    missing = [
        f"{file}::{name}"
        for _, file, name in _changes()
        if not re.search(rf"^(async )?def {name}\(", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert not missing
