"""The rules of the house that no other tool keeps: sizes, names, first sentences, and what may be compared."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "homeserver", "federation", "client_api", "media_repo", "push_gateway", "services", "web", "storage", "protocol",
)  # fmt: skip
LONGEST_FILE, LONGEST_FUNCTION = 400, 80
GOOD_FILE, GOOD_FUNCTION = 100, 20
FORBIDDEN_NAMES = re.compile(
    r"(^|_)(utils?|helpers?|managers?|handlers?|handle|process|impl)(_|$)|(Manager|Handler|Impl)$"
)
ALLOWED_NAMES = {"handle_error"}
"""Methods that a library calls by their name."""
FROM_ELSEWHERE = ("/work/", "/tmp/", "pypi.org", "registry.npmjs.org", "proxy.golang.org")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files() -> list[Path]:
    """Every Python file of ours that is not a test."""
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


@cache
def tree(file: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(file.read_text())


def functions() -> Iterator[tuple[str, int]]:
    """Each function's place and its length in lines, without decorators."""
    for file in files():
        for node in ast.walk(tree(file)):
            if isinstance(node, Function) and node.end_lineno:
                yield f"{place(file)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def place(file: Path) -> str:
    """Its path in the repository."""
    return str(file.relative_to(ROOT))


def test_files_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    lengths = {place(file): len(file.read_text().splitlines()) for file in files()}
    long = [name for name, length in lengths.items() if length > GOOD_FILE]
    with capsys.disabled():
        longest = max(lengths, key=lambda name: lengths[name])
        print(
            f"\n{len(lengths)} files, {sum(lengths.values())} lines; {len(long)} of more than {GOOD_FILE} lines;"
            f" the longest: {longest} ({lengths[longest]})"
        )
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_functions_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    lengths = dict(functions())
    good = sum(length <= GOOD_FUNCTION for length in lengths.values())
    with capsys.disabled():
        longest = max(lengths, key=lambda name: lengths[name])
        print(
            f"\n{len(lengths)} functions, {good / len(lengths):.0%} within {GOOD_FUNCTION} lines;"
            f" the longest: {longest} ({lengths[longest]})"
        )
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_every_file_opens_with_a_sentence() -> None:
    silent = [place(file) for file in files() if not (ast.get_docstring(tree(file)) or "").split("\n")[0]]
    assert silent == []


def test_nothing_is_called_what_anything_could_be_called() -> None:
    found = []
    for file in files():
        names = {file.stem, *file.relative_to(ROOT).parts[:-1]}
        names |= {node.name for node in ast.walk(tree(file)) if isinstance(node, Function | ast.ClassDef)}
        found += [f"{place(file)}: {name}" for name in names if FORBIDDEN_NAMES.search(name)]
    assert [name for name in found if name.rsplit(" ", 1)[1] not in ALLOWED_NAMES] == []


def test_room_versions_are_asked_what_they_can_do_not_who_they_are() -> None:
    versions = re.compile(r"\b(room_)?version\.id\s*(==|!=|in\b|not in\b|<|>)")
    found = [
        f"{place(file)}:{number}"
        for file in files()
        if place(file) != "protocol/room_versions.py"
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if versions.search(line)
    ]
    assert found == []


def test_no_import_is_hidden_from_the_floors() -> None:
    """«No `if TYPE_CHECKING` import of our own packages»: import-linter would not see it."""
    found = [
        f"{place(file)}:{node.lineno}"
        for file in files()
        for node in ast.walk(tree(file))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    assert found == []


def test_errors_are_caught_by_name() -> None:
    """A bare except hides mistakes; `except Exception` needs a reason on its line (ruff: BLE001)."""
    found = [
        f"{place(file)}:{node.lineno}"
        for file in files()
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert found == []


def test_every_todo_names_an_issue() -> None:
    todo = re.compile(r"\b(TODO|FIXME|XXX)\b(?!.*#\d+)")
    found = [
        f"{place(file)}:{number}"
        for file in files()
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if todo.search(line)
    ]
    assert found == []


def test_nothing_of_the_workplace_is_in_the_repository() -> None:
    suffixes = {".py", ".md", ".cfg", ".toml", ".yaml", ".sql", ".sh", ".mjs", ".json", ".txt", ""}
    skipped = {
        ".git",
        ".venv",
        "node_modules",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".hypothesis",
        "data",
    }
    found = []
    for file in ROOT.rglob("*"):
        inside = file.relative_to(ROOT).parts
        if (
            skipped & set(inside)
            or not file.is_file()
            or file.suffix not in suffixes
            or file == Path(__file__)
        ):
            continue
        if file.name == "package-lock.json":
            continue
        text = file.read_text(errors="ignore")
        found += [f"{place(file)}: {name}" for name in FROM_ELSEWHERE if name in text]
    assert found == []


def test_ci_runs_what_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "## Test it\n\n```sh\nscripts/test\n```" in readme
    assert "\nscripts/test\n" in (ROOT / ".ci" / "run").read_text()
    programs = [ROOT / ".ci" / "run", *(ROOT / "scripts").iterdir()]
    assert [place(program) for program in programs if not program.stat().st_mode & 0o100] == []
