"""How a settings class is declared, and read: every field has a kind, a sentence and a default."""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, Field, dataclass
from typing import Any, TypeVar

from homeserver.config_kinds import Kind
from homeserver.config_source import Item, Problem

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Listed:
    """Any number of values or of groups of settings."""

    of: Kind[Any] | type


Shape = Kind[Any] | Listed | type


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a setting; `example` is shown where the default shows nothing."""

    shape: Shape
    sentence: str
    optional: bool
    example: str | None


def setting(
    shape: Shape, sentence: str, default: Any = MISSING, *, optional: bool = False, example: str | None = None
) -> Any:
    """A field of a settings class; without a default it must be said, and a class is its own default."""
    about = {"about": About(shape, sentence, optional, example)}
    if default is MISSING and isinstance(shape, type) and not optional:
        return dataclasses.field(default_factory=shape, metadata=about)
    return dataclasses.field(default=default, metadata=about)


def about(field: Field[Any]) -> About:
    """What was declared with `setting`."""
    known: About = field.metadata["about"]
    return known


def default_of(field: Field[Any]) -> Any:
    """The field's default; MISSING when it must be said."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def read(cls: type[S], item: Item, name: str, problems: list[Problem], default: S | None = None) -> S | None:
    """The settings of a class, from `default` where they are not said; None when something had to be said."""
    if not isinstance(item.value, dict):
        if item.value is not None:
            problems.append(Problem(item.place, f"{name} must have settings of its own, with names"))
        return default if default is not None else _of_defaults(cls, item, name, problems)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = item.value.keys() - fields.keys()
    problems += [_unknown(field, item.value[field], name, list(fields)) for field in unknown]
    values: dict[str, Any] = {}
    for field in fields.values():
        fallback = default_of(field) if default is None else getattr(default, field.name)
        if field.name in item.value:
            values[field.name] = _read_field(
                field, item.value[field.name], _join(name, field.name), problems, fallback
            )
        else:
            values[field.name] = fallback
    missing = [field for field, value in values.items() if value is MISSING]
    unsaid = [_join(name, field) for field in missing if field not in item.value]
    problems += [Problem(item.place, f"{field} is missing") for field in unsaid]
    return None if missing else cls(**values)


def _of_defaults(cls: type[S], item: Item, name: str, problems: list[Problem]) -> S | None:
    return read(cls, Item(item.place, {}), name, problems)


def _read_field(field: Field[Any], item: Item, name: str, problems: list[Problem], fallback: Any) -> Any:
    known = about(field)
    if item.value is None and known.optional:
        return None
    if isinstance(known.shape, Listed):
        return _read_list(known.shape, item, name, problems)
    if isinstance(known.shape, type):
        read_section = read(known.shape, item, name, problems, fallback)
        return fallback if read_section is None else read_section
    return _read_scalar(known.shape, item, name, problems, fallback)


def _read_list(shape: Listed, item: Item, name: str, problems: list[Problem]) -> tuple[Any, ...]:
    if not isinstance(item.value, list):
        problems.append(Problem(item.place, f"{name} must be a list"))
        return ()
    values: list[Any] = []
    for number, below in enumerate(item.value, 1):
        below_name = f"{name}[{number}]"
        if isinstance(shape.of, type):
            values.append(read(shape.of, below, below_name, problems))
        else:
            values.append(_read_scalar(shape.of, below, below_name, problems, None))
    return tuple(value for value in values if value is not None)


def _read_scalar(kind: Kind[Any], item: Item, name: str, problems: list[Problem], fallback: Any) -> Any:
    if isinstance(item.value, list | dict):
        problems.append(Problem(item.place, f"{name} must be {kind.what}"))
        return fallback
    try:
        return kind.parse(item.value)
    except ValueError:
        said = "nothing" if item.value is None else repr(item.value)
        problems.append(Problem(item.place, f"{name} must be {kind.what}, not {said}"))
        return fallback


def _unknown(unknown: str, item: Item, name: str, known: list[str]) -> Problem:
    import difflib  # for mistakes only

    close = difflib.get_close_matches(unknown, known, n=1, cutoff=0.5)
    hint = f": did you mean {close[0]}?" if close else f"; there are: {', '.join(known)}"
    return Problem(item.place, f"there is no setting {_join(name, unknown)}{hint}")


def _join(name: str, below: str) -> str:
    return f"{name}.{below}" if name else below
