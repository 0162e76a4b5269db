"""Writes `config.sample.yaml` and the reference in docs/operations from the declared settings."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any

from homeserver.config import Config
from homeserver.config_kinds import Kind
from homeserver.config_schema import Listed, about, default_of

SAMPLE_HEAD = """\
# Every setting of Hearth with its default. A server needs none of them: say only what should be different.
# Each can be said by an environment variable too: database.url is HEARTH_DATABASE__URL.
# `scripts/configuration` writes this file; do not edit it.
"""
REFERENCE_HEAD = """\
# Configuration

Hearth needs no configuration: `hearth serve` alone serves `localhost:8008` from `./data`. What should be different
stands in a YAML file (`hearth serve --config FILE`); `config.sample.yaml` has every setting with its default. Over
the file go environment variables: `HEARTH_`, then the setting's name in capitals, with two underscores for a dot;
their values are YAML (`HEARTH_REGISTRATION__TOKENS='[spring, autumn]'`). Over these go the options of the command
line. All mistakes are told at once, each with its file and line, and then nothing is started.

Several servers in one process stand in `tenants`. What one does not say there is as said for all; a group that it does
say (`media`, `mail`, `guards`...) is its own as a whole: what is left out in it has its default, not what is said for
all. The process has, for all tenants together, its listeners, data folder, database, Redis, log and push gateway; and
how hashes are made, tokens last, requests are limited, and other servers are reached is the same for all: these are
promises of the machine and its network, not of a name.

Durations are written `500ms`, `30s`, `5m`, `2h`, `7d`; sizes `500K`, `50M`, `2G`.

`scripts/configuration` writes this page from the code; do not edit it.

| setting | must be | default | |
|---|---|---|---|
"""


def sample() -> str:
    """The text of config.sample.yaml."""
    return SAMPLE_HEAD + "".join(_section(Config, Config(), 0, blank=True))


def reference() -> str:
    """The text of docs/operations/configuration.md."""
    return REFERENCE_HEAD + "".join(_rows(Config, Config(), ""))


def main() -> None:
    """Writes both files."""
    root = Path(__file__).resolve().parent.parent
    (root / "config.sample.yaml").write_text(sample())
    (root / "docs" / "operations" / "configuration.md").write_text(reference())


def _section(cls: type, value: Any, depth: int, blank: bool = False) -> Iterator[str]:
    indent = "  " * depth
    for field in dataclasses.fields(cls):
        known = about(field)
        default = default_of(field) if value is None else getattr(value, field.name)
        if blank:
            yield "\n"
        for line in textwrap.wrap(known.sentence, 110 - len(indent) - 2):
            yield f"{indent}# {line}\n"
        shape = known.shape
        if isinstance(shape, type) and default is not None:
            if depth:
                yield f"{indent}{field.name}: {_in_one_line(shape, default)}\n"
            else:
                yield f"{indent}{field.name}:\n"
                yield from _section(shape, default, depth + 1)
        elif isinstance(shape, Listed) and isinstance(shape.of, type):
            yield from _groups(field, shape.of, default, depth)
        else:
            yield f"{indent}{field.name}: {_shown(shape, default)}\n"
            if known.example is not None and isinstance(shape, Kind):
                yield f"{indent}# {field.name}: {known.example}\n"


def _groups(field: Field[Any], of: type, default: tuple[Any, ...], depth: int) -> Iterator[str]:
    """A list of groups of settings; an empty one is followed by what could stand in it, as a comment."""
    indent = "  " * depth
    if not default:
        yield f"{indent}{field.name}: []\n"
        text = "".join(_section(of, None, depth + 1)) if depth == 0 else ""
        lines = [f"# {field.name}:", "#   -"] if text else []
        lines += [f"#   {line}" for line in text.splitlines()]
        yield "".join(f"{indent}{line}\n" for line in lines)
        return
    yield f"{indent}{field.name}:\n"
    for value in default:
        yield f"{indent}  -\n"
        yield from _section(of, value, depth + 2)


def _in_one_line(cls: type, value: Any) -> str:
    shown = [f"{f.name}: {_shown(about(f).shape, getattr(value, f.name))}" for f in dataclasses.fields(cls)]
    return "{" + ", ".join(shown) + "}"


def _shown(shape: Any, value: Any) -> str:
    if value is MISSING:
        return "..."
    if value is None:
        return "null"
    if isinstance(shape, Listed) and isinstance(shape.of, Kind):
        return f"[{', '.join(shape.of.show(item) for item in value)}]"
    return str(shape.show(value))


def _rows(cls: type, value: Any, prefix: str) -> Iterator[str]:
    for field in dataclasses.fields(cls):
        known, name = about(field), f"{prefix}{field.name}"
        default = default_of(field) if value is None else getattr(value, field.name)
        shape = known.shape
        if isinstance(shape, type):
            yield f"| **`{name}`** | | | {known.sentence} |\n"
            if value is not None and not known.optional:
                yield from _rows(shape, default, f"{name}.")
        elif isinstance(shape, Listed) and isinstance(shape.of, type):
            yield f"| **`{name}`** | a list of | | {known.sentence} |\n"
            yield from _rows(shape.of, default[0] if default else None, f"{name}[].")
        else:
            what = f"a list of: {shape.of.what}" if isinstance(shape, Listed) else shape.what  # type: ignore[union-attr]
            shown = "(must be said)" if default is MISSING else f"`{_shown(shape, default)}`"
            yield f"| `{name}` | {what}{' or null' if known.optional else ''} | {shown} | {known.sentence} |\n"


if __name__ == "__main__":
    main()
