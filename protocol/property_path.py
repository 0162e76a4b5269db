"""Dot-separated property paths (§Dot-separated property paths): `content.m\\.relates_to` and what stands there."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from protocol.json import JsonObject

Path: TypeAlias = tuple[str, ...]


class Absent:
    """Stands for: there is nothing at this path (null would be something)."""


ABSENT: Final = Absent()


def parse_path(text: str) -> Path:
    """The keys that lead to the property; `\\.` is a dot in a key and `\\\\` a backslash, others stay as they are."""
    if "\\" not in text:
        return tuple(text.split("."))
    keys, key, at = [], "", 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] in (".", "\\"):
            key += text[at + 1]
            at += 2
            continue
        if text[at] == ".":
            keys.append(key)
            key = ""
        else:
            key += text[at]
        at += 1
    return (*keys, key)


def value_at(json: object, path: Path) -> object:
    """What stands at the path inside nested JSON objects; ABSENT where there is nothing."""
    for key in path:
        if not isinstance(json, Mapping) or key not in json:
            return ABSENT
        json = json[key]
    return json


def pruned(json: Mapping[str, object], paths: tuple[Path, ...]) -> JsonObject:
    """Only what stands at the paths, at the same places; the original is left as it is."""
    kept: JsonObject = {}
    for path in sorted(paths, key=len):
        _keep(kept, json, path)
    return kept


def _keep(kept: JsonObject, source: Mapping[str, object], path: Path) -> None:
    value = value_at(source, path)
    if value is ABSENT:
        return
    for key in path[:-1]:
        source = source[key]  # type: ignore[assignment]  # value_at has found objects all the way
        below = kept.setdefault(key, {})
        if below is source:  # a shorter path has kept it whole
            return
        kept = below
    kept[path[-1]] = value
