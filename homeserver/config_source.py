"""Where settings come from: a YAML file, the environment, the command line; each value knows its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import yaml

PREFIX = "HEARTH_"
SEPARATOR = "__"

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands, and what is wrong."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has every mistake that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(slots=True)
class Item:
    """A value that stands somewhere: a scalar, a list of items, or items by name."""

    place: str
    value: Scalar | list[Item] | dict[str, Item]


@dataclass(slots=True)
class Source:
    """All that was said, laid over one another: the file, then the environment, then the command line."""

    root: Item
    problems: list[Problem] = field(default_factory=list)

    def put(self, path: tuple[str, ...], item: Item) -> None:
        """Says one setting; what was said of it before is forgotten. A number is a place in a list, from 0."""
        at = self.root
        for name, next_name in pairwise(path):
            below = _below(at, name)
            container = list if next_name.isdecimal() else dict
            if below is None or not isinstance(below.value, container):
                below = Item(item.place, container())
                _set_below(at, name, below)
            at = below
        _set_below(at, path[-1], item)

    def put_environment(self, environment: Mapping[str, str]) -> None:
        """Says what variables such as HEARTH_DATABASE__URL say; their values are YAML."""
        for name in sorted(environment):
            if name.startswith(PREFIX):
                path = tuple(name.removeprefix(PREFIX).lower().split(SEPARATOR))
                self.put(path, self._item(environment[name], f"environment variable {name}"))

    def _item(self, text: str, place: str) -> Item:
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            self.problems.append(Problem(place, f"is not YAML: {_reason(error)}"))
            return Item(place, None)
        return self._converted(node, place, False)

    def _converted(self, node: yaml.Node | None, place: str, lines: bool) -> Item:
        """`lines`: whether the node's line is worth telling."""
        if node is None:
            return Item(place, None)
        here = f"{place}:{node.start_mark.line + 1}" if lines else place
        if isinstance(node, yaml.SequenceNode):
            return Item(here, [self._converted(below, place, lines) for below in node.value])
        if isinstance(node, yaml.MappingNode):
            return Item(here, self._mapping(node, place, lines))
        return Item(here, self._scalar(node, here))

    def _mapping(self, node: yaml.MappingNode, place: str, lines: bool) -> dict[str, Item]:
        items: dict[str, Item] = {}
        for key, below in node.value:
            item = self._converted(below, place, lines)
            if lines:
                item.place = f"{place}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(Problem(item.place, "a setting's name must be text"))
            elif key.value in items:
                self.problems.append(
                    Problem(item.place, f"{key.value} is said twice, before at {items[key.value].place}")
                )
            else:
                items[key.value] = item
        return items

    def _scalar(self, node: yaml.Node, here: str) -> Scalar:
        try:
            value = yaml.SafeLoader("").construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            self.problems.append(Problem(here, f"cannot be read: {error}"))
            return None
        return value if isinstance(value, str | int | float | bool | None) else str(node.value)


def source_of(path: Path | None) -> Source:
    """What the file says; nothing when there is none. Raises ConfigError when it is not YAML at all."""
    source = Source(Item("configuration", {}))
    if path is None:
        return source
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), f"cannot be read: {error}")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError([Problem(place, f"is not YAML: {_reason(error)}")]) from None
    root = source._converted(node, str(path), True)
    if root.value is None:
        return source
    if not isinstance(root.value, dict):
        raise ConfigError([Problem(root.place, "must have settings with names")])
    source.root = root
    return source


def _below(item: Item, name: str) -> Item | None:
    if isinstance(item.value, list):
        return item.value[int(name)] if int(name) < len(item.value) else None
    return item.value.get(name) if isinstance(item.value, dict) else None


def _set_below(item: Item, name: str, below: Item) -> None:
    if isinstance(item.value, list):
        item.value[int(name) : int(name) + 1] = [below]  # past the end: appended
    else:
        assert isinstance(item.value, dict)
        item.value[name] = below


def _reason(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error)
