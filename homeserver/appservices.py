"""Registration files of application services, as bridges and bots write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from protocol.ids import UserID
from services.appservices.registry import Appservice, Appservices, Namespace, Namespaces


class RegistrationError(Exception):
    """A registration file cannot be used; the text says which and why."""


def load_appservices(files: Iterable[Path], server_name: str) -> Appservices:
    """All of them; raises RegistrationError for the first that is wrong, or two that have an ID or token in common."""
    known: list[Appservice] = []
    for file in files:
        one = _load(file, server_name)
        for other in known:
            if one.id == other.id or one.as_token == other.as_token:
                raise RegistrationError(
                    f"{file}: another application service has this id or as_token: {other.id}"
                )
        known.append(one)
    return Appservices(known)


def _load(file: Path, server_name: str) -> Appservice:
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(said, dict):
            raise TypeError("must have settings with names")
        return Appservice(
            id=_text(said, "id"),
            url=_url(said),
            as_token=_text(said, "as_token"),
            hs_token=_text(said, "hs_token"),
            sender=UserID(f"@{_text(said, 'sender_localpart')}:{server_name}"),
            namespaces=_namespaces(said.get("namespaces") or {}),
            rate_limited=said.get("rate_limited") is not False,
            protocols=_protocols(said),
            receives_ephemeral=said.get("receive_ephemeral") is True,
            old_ephemeral=said.get("de.sorunome.msc2409.push_ephemeral") is True,
            is_encrypted=said.get("org.matrix.msc3202") is True,
            gives_keys=said.get("org.matrix.msc3983") is True,
            tells_keys=said.get("org.matrix.msc3984") is True,
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, ValueError, re.error) as error:
        raise RegistrationError(f"{file}: {error}") from None


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value:
        raise TypeError(f"{name} must be text")
    return value


def _url(said: Mapping[str, Any]) -> str | None:
    """Where it listens; null (COMPAT: or empty) for one that wants to hear nothing."""
    if not said.get("url"):
        return None
    url = _text(said, "url").rstrip("/")
    if not re.match(r"https?://[^/\s]", url):
        raise ValueError("url must begin with http:// or https://")
    return url


def _protocols(said: Mapping[str, Any]) -> tuple[str, ...]:
    protocols = said.get("protocols") or ()
    if not isinstance(protocols, list | tuple) or not all(isinstance(name, str) for name in protocols):
        raise TypeError("protocols must be a list of names")
    return tuple(protocols)


def _namespaces(said: Any) -> Namespaces:
    if not isinstance(said, dict):
        raise TypeError("namespaces must have users, aliases and rooms")
    return Namespaces(*(_listed(said.get(name) or [], name) for name in ("users", "aliases", "rooms")))


def _listed(said: Any, name: str) -> tuple[Namespace, ...]:
    if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
        raise TypeError(f"namespaces.{name} must be a list of regex and exclusive")
    return tuple(Namespace(re.compile(_text(one, "regex")), one.get("exclusive") is True) for one in said)
