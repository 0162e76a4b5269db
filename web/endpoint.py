"""How an endpoint is declared: method, path, who may call it, how often, and with what body."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any, TypeVar

from web.reply import Json, Reply
from web.socket import Upgrade

DEFAULT_MAX_BODY = 256 * 1024
"""Bytes. An event is at most 64 KiB; JSON escapes may blow it up by a factor."""


class Auth(Enum):
    """What a request must show before its endpoint is called."""

    NONE = "none"
    OPTIONAL = "optional"
    """An access token is looked at if there is one; without one `call.requester` is None."""
    USER = "user"
    """An access token of a user, or of an application service acting for one."""
    APPSERVICE = "appservice"
    """The token of an application service, for itself."""
    SERVER = "server"
    """Another server's signature over the request (X-Matrix)."""


class Body(Enum):
    """What becomes of the request's body before its endpoint is called."""

    JSON = "json"
    """It is read whole, up to `max_body`, and parsed when the endpoint asks for it."""
    STREAM = "stream"
    """It is left to the endpoint, which reads `call.chunks()`."""


@dataclass(frozen=True, slots=True)
class RateClass:
    """Endpoints whose requests are counted together."""

    name: str


MESSAGES = RateClass("messages")
LOGIN = RateClass("login")
REGISTRATION = RateClass("registration")
JOINS = RateClass("joins")
INVITES = RateClass("invites")
MEDIA = RateClass("media")
EPHEMERAL = RateClass("ephemeral")
KEYS = RateClass("keys")
GENERAL = RateClass("general")

RATE_CLASSES = (MESSAGES, LOGIN, REGISTRATION, JOINS, INVITES, MEDIA, EPHEMERAL, KEYS, GENERAL)

Serve = Callable[[Any], Awaitable[Json | Reply | Upgrade]]
"""An endpoint's function. What its call's tenant and requester are is settled by the assembly."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One declared endpoint: `path` is the specification's, `also` are further ones that lead here."""

    method: str
    path: str
    auth: Auth
    serve: Serve
    limit: RateClass | None = None
    guest: bool = False
    body: Body = Body.JSON
    max_body: int = DEFAULT_MAX_BODY
    also: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths that lead here."""
        return (self.path, *self.also)

    @property
    def name(self) -> str:
        """The function's name, for people who read logs and tables."""
        return getattr(self.serve, "__name__", "?")


S = TypeVar("S", bound=Callable[[Any], Awaitable[Any]])

_DECLARED = "__endpoints__"


def endpoint(
    method: str,
    path: str,
    *,
    auth: Auth,
    limit: RateClass | None = None,
    guest: bool = False,
    body: Body = Body.JSON,
    max_body: int = DEFAULT_MAX_BODY,
    also: Sequence[str] = (),
) -> Callable[[S], S]:
    """Declare the function as an endpoint and return it unchanged; several declarations on one function add
    up.

    In paths, `{name}` stands for one segment that is not empty; the endpoint finds it decoded in
    `call.path["name"]`.
    """

    def declare(serve: S) -> S:
        declared = Endpoint(method.upper(), path, auth, serve, limit, guest, body, max_body, tuple(also))
        setattr(serve, _DECLARED, (declared, *getattr(serve, _DECLARED, ())))
        return serve

    return declare


def routes_of(module: ModuleType) -> list[Endpoint]:
    """The endpoints that are declared in the module itself (not those that it imported), in the order of the
    file.
    """
    return [
        declared
        for value in vars(module).values()
        if getattr(value, "__module__", None) == module.__name__
        for declared in getattr(value, _DECLARED, ())
    ]


def routes_under(package: ModuleType) -> list[Endpoint]:
    """The endpoints of all modules of a package, however deep; it imports them."""
    found = routes_of(package)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        found.extend(routes_of(importlib.import_module(module.name)))
    return found
