"""Finds the endpoint of a request by walking a tree of dicts, one raw path segment at a time.

The cost grows with the segments of the path and not with the number of routes. A literal segment is preferred
to a `{parameter}`; where that leads nowhere, or not with this method, the walk goes back and tries the
parameter. Segments are compared raw and decoded after routing, since `%2F` may be inside a room ID or a state
key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from protocol.matrix_error import InvalidParam, Unrecognized
from web.endpoint import Endpoint

CURRENT, OLD = "/_matrix/client/v3/", "/_matrix/client/r0/"
"""COMPAT: clients and bots from before v1.1 of the specification know the same endpoints by the old name."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a path ends: the endpoint and the names of the path's parameters from left to right."""

    endpoint: Endpoint
    names: tuple[str, ...]


@dataclass(slots=True)
class Node:
    """What may follow after some segments."""

    literals: dict[str, "Node"] = field(default_factory=dict)
    parameter: "Node | None" = None
    leaves: dict[str, Leaf] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """The endpoint that serves a path, and the path's parameters, decoded."""

    endpoint: Endpoint
    path: Mapping[str, str]


class Router:
    """The table of all endpoints of a site."""

    __slots__ = ("_root", "endpoints")

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        """Raises ValueError where two endpoints claim the same method and path."""
        self.endpoints = tuple(endpoints)
        self._root = Node()
        for endpoint in self.endpoints:
            for path in endpoint.paths:
                self._add(endpoint, path)
                if path.startswith(CURRENT):
                    self._add(endpoint, OLD + path.removeprefix(CURRENT))

    def _add(self, endpoint: Endpoint, path: str) -> None:
        node, names = self._root, []
        for segment in path.split("/"):
            if segment.startswith("{") and segment.endswith("}"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, Node())
        if endpoint.method in node.leaves:
            other = node.leaves[endpoint.method].endpoint
            raise ValueError(f"{endpoint.method} {path} is claimed by {other.name} and {endpoint.name}")
        node.leaves[endpoint.method] = Leaf(endpoint, tuple(names))

    def find(self, method: str, path: str) -> Match:
        """The endpoint of a raw path (without query); raises Unrecognized, or InvalidParam where it is not
        UTF-8.
        """
        leaf, values = self._walk(method, path)
        return Match(leaf.endpoint, dict(zip(leaf.names, map(decode_segment, values), strict=True)))

    def _walk(self, method: str, path: str) -> tuple[Leaf, tuple[str, ...]]:
        segments = path.split("/")
        wrong_method = False
        pending: list[tuple[Node, int, tuple[str, ...]]] = [(self._root, 0, ())]
        while pending:
            node, depth, values = pending.pop()
            for at in range(depth, len(segments)):
                segment = segments[at]
                literal = node.literals.get(segment)
                parameter = node.parameter if segment else None
                if literal is not None:
                    if parameter is not None:
                        pending.append((parameter, at + 1, (*values, segment)))
                    node = literal
                elif parameter is not None:
                    values = (*values, segment)
                    node = parameter
                else:
                    break
            else:
                leaf = node.leaves.get(method) or (node.leaves.get("GET") if method == "HEAD" else None)
                if leaf is not None:
                    return leaf, values
                wrong_method = wrong_method or bool(node.leaves)
        if wrong_method:
            raise Unrecognized("This endpoint does not have this method", status=405)
        raise Unrecognized("There is no such endpoint")


def decode_segment(raw: str) -> str:
    """Undo percent-encoding, once; raises InvalidParam for what is not UTF-8 or contains NUL."""
    if "%" not in raw and raw.isascii():
        return raw
    try:
        # The HTTP parser maps bytes that are not UTF-8 to surrogates.
        text = unquote_to_bytes(raw.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidParam("The request's path or query is not UTF-8") from None
    if "\0" in text:
        # No identifier contains it, and PostgreSQL cannot store it.
        raise InvalidParam("The request's path or query contains a NUL character")
    return text
