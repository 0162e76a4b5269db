"""A person as a provider describes them, and the templates that make a user of the description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PLACE = re.compile(r"\{([^{}|]+)(?:\|(localpart|lower))?\}")
MAX_SUBJECT = 1024
MAX_NAME = 256


@dataclass(frozen=True, slots=True)
class Person:
    """`subject` is the provider's own name for them, which never changes; `email_verified`: the provider vouches for it."""

    subject: str
    attributes: Mapping[str, str]
    email_verified: bool = False


def fill(template: str | None, attributes: Mapping[str, str]) -> str | None:
    """The template with the person's attributes; None where one of them is missing or empty."""
    if template is None:
        return None
    named = [match[1] for match in _PLACE.finditer(template)]
    if not all(attributes.get(name) for name in named):
        return None
    return _PLACE.sub(lambda match: _shown(attributes[match[1]], match[2]), template).strip() or None


def mistake_in(template: str) -> str | None:
    """What is wrong with a template, in words."""
    rest = _PLACE.sub("", template)
    if "{" in rest or "}" in rest:
        return "names attributes as {name}, {name|lower} or {name|localpart}"
    return None


def texts(said: Mapping[str, object]) -> dict[str, str]:
    """Attributes as text: the first of several values; what is no text, number or truth value is left out."""
    found = {}
    for name, value in said.items():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, bool):
            found[name] = "true" if first else "false"
        elif isinstance(first, str | int | float):
            found[name] = str(first).replace("\0", "")
    return found


def _shown(value: str, how: str | None) -> str:
    if how == "localpart":
        return value.partition("@")[0]
    return value.lower() if how == "lower" else value
