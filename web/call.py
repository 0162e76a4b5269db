"""One request as its endpoint sees it: who asks, what for, and with what."""

from collections.abc import AsyncIterable, Callable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar, cast, overload

from aiohttp import web
from multidict import CIMultiDictProxy

from protocol.errors import InvalidId
from protocol.ids import (
    EventID,
    RoomAlias,
    RoomID,
    ServerName,
    UserID,
    parse_event_id,
    parse_room_alias,
    parse_room_id,
    parse_server_name,
    parse_user_id,
)
from protocol.matrix_error import BadJson, Forbidden, InvalidParam, MissingParam, UnknownToken
from web.body import REQUIRED, Fields, bounded, parse_json
from web.connection import Departure, disconnection
from web.endpoint import Auth, Endpoint
from web.large_body import large_body
from web.query import Query, parse_query
from web.receive import read_chunks

T = TypeVar("T")
R = TypeVar("R")
D = TypeVar("D")
V = TypeVar("V")


class HasUserID(Protocol):
    """Whoever acts for a user."""

    @property
    def user_id(self) -> str: ...


Someone = TypeVar("Someone", bound=HasUserID)

MAX_TXN_ID = 255
MAX_DIGITS = 20

_UNREAD: Final = object()


class Call(Generic[T, R]):
    """A request: `T` is the tenant that is asked, `R` who asks (None for endpoints without authentication).

    The readers raise the error that the client is to see; endpoints let it pass.
    """

    __slots__ = (
        "_fields",
        "_json",
        "_query",
        "_token_in_query",
        "body",
        "endpoint",
        "path",
        "request",
        "requester",
        "target",
        "tenant",
    )

    def __init__(
        self,
        tenant: T,
        requester: R,
        endpoint: Endpoint,
        path: Mapping[str, str],
        target: str,
        request: web.BaseRequest,
        *,
        token_in_query: bool = True,
    ) -> None:
        self.tenant = tenant
        self.requester = requester
        self.endpoint = endpoint
        self.path = path
        """The path's parameters, decoded."""
        self.target = target
        """Path and query as they were sent: what another server has signed."""
        self.request = request
        self.body = b""
        self._token_in_query = token_in_query
        self._query: Query | None = None
        self._json: Any = _UNREAD
        self._fields: Fields | None = None

    # -- who and how

    @property
    def method(self) -> str:
        """GET, PUT, ..."""
        return self.request.method

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The request's headers; names are compared without case."""
        return self.request.headers

    @property
    def remote(self) -> str:
        """The address of the other end of the connection; empty on a Unix socket."""
        return self.request.remote or ""

    @property
    def disconnected(self) -> Departure:
        """Set once the client has gone away. Calls are never cancelled, so those that wait for long wait for
        this too.
        """
        return disconnection(self.request)

    def access_token(self) -> str | None:
        """The token from the Authorization header, from a WebSocket's subprotocols, or, where the tenant takes it from
        there, from the (deprecated) query parameter; None where there is none.
        """
        header = self.headers.get("Authorization")
        if header is None:
            return self._token_of_a_browser() or self._token_of_the_query()
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = token.strip()
        if not token.isascii():
            raise UnknownToken
        return token or None

    def _token_of_the_query(self) -> str | None:
        return self.query_text("access_token", None) or None if self._token_in_query else None

    def _token_of_a_browser(self) -> str | None:
        """Browsers can give a WebSocket no headers, but names of protocols: `access_token.` and the token is one."""
        for protocol in self.headers.get("Sec-WebSocket-Protocol", "").split(","):
            kind, _, token = protocol.strip().partition(".")
            if kind == "access_token":
                return token
        return None

    # -- the body

    def json(self) -> Any:
        """The body's JSON, whatever it is; raises NotJson."""
        if self._json is _UNREAD:
            # Servers sign what they send, down to the last digit.
            self._json = parse_json(self.body, exact=self.endpoint.auth is Auth.SERVER)
        return self._json

    def json_object(self) -> dict[str, Any]:
        """The body's JSON object; raises NotJson, or BadJson for JSON of another kind."""
        value = self.json()
        if not isinstance(value, dict):
            raise BadJson("The body must be a JSON object")
        return cast(dict[str, Any], value)

    def json_object_or_empty(self) -> dict[str, Any]:
        """The same, where the specification lets clients leave the body away."""
        return self.json_object() if self.body else {}

    @property
    def fields(self) -> Fields:
        """The members of the body's JSON object, to be read by name and type; an empty body has none."""
        if self._fields is None:
            self._fields = Fields(self.json_object_or_empty())
        return self._fields

    @overload
    def text(self, name: str) -> str: ...
    @overload
    def text(self, name: str, default: D) -> str | D: ...
    def text(self, name: str, default: Any = REQUIRED) -> Any:
        """A string of the body."""
        return self.fields.text(name, default)

    @overload
    def integer(self, name: str, *, minimum: int | None = None, maximum: int | None = None) -> int: ...
    @overload
    def integer(
        self, name: str, default: D, *, minimum: int | None = None, maximum: int | None = None
    ) -> int | D: ...
    def integer(
        self,
        name: str,
        default: Any = REQUIRED,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> Any:
        """An integer of the body, lowered to `maximum`; raises InvalidParam below `minimum`."""
        return self.fields.integer(name, default, minimum=minimum, maximum=maximum)

    @overload
    def flag(self, name: str) -> bool: ...
    @overload
    def flag(self, name: str, default: D) -> bool | D: ...
    def flag(self, name: str, default: Any = REQUIRED) -> Any:
        """A boolean of the body."""
        return self.fields.flag(name, default)

    @overload
    def strings(self, name: str) -> list[str]: ...
    @overload
    def strings(self, name: str, default: D) -> list[str] | D: ...
    def strings(self, name: str, default: Any = REQUIRED) -> Any:
        """A list of strings of the body."""
        return self.fields.strings(name, default)

    @overload
    def object(self, name: str) -> dict[str, Any]: ...
    @overload
    def object(self, name: str, default: D) -> dict[str, Any] | D: ...
    def object(self, name: str, default: Any = REQUIRED) -> Any:
        """A JSON object of the body."""
        return self.fields.object(name, default)

    def duration(self, name: str, default: int, maximum: int | None = None) -> int:
        """Milliseconds of the body, lowered to `maximum`."""
        return self.fields.duration(name, default, maximum)

    def chunks(self) -> AsyncIterable[bytes]:
        """The body piece by piece, for endpoints with Body.STREAM; raises TooLarge after `max_body` bytes. A large one can
        be poured too, which costs less.
        """
        maximum = self.endpoint.max_body
        return large_body(self.request, maximum) or read_chunks(self.request, maximum)

    # -- the query

    @property
    def query(self) -> Query:
        """All values of each query parameter; raises InvalidParam when they are not UTF-8."""
        if self._query is None:
            self._query = parse_query(self.target.partition("?")[2])
        return self._query

    @overload
    def query_text(self, name: str) -> str: ...
    @overload
    def query_text(self, name: str, default: D) -> str | D: ...
    def query_text(self, name: str, default: Any = REQUIRED) -> Any:
        """The (first) value of a query parameter; raises MissingParam."""
        values = self.query.get(name)
        if values is not None:
            return values[0]
        if default is REQUIRED:
            raise MissingParam(f"{name} is missing")
        return default

    def query_integer(
        self, name: str, default: int, minimum: int | None = None, maximum: int | None = None
    ) -> int:
        """An integer, lowered to `maximum`; raises InvalidParam below `minimum` or for anything else."""
        raw = self.query_text(name, None)
        if raw is None:
            return default
        if len(raw) > MAX_DIGITS or not raw.removeprefix("-").isdecimal() or not raw.isascii():
            raise InvalidParam(f"{name} must be an integer")
        return bounded(name, int(raw), minimum, maximum)

    @overload
    def query_flag(self, name: str) -> bool: ...
    @overload
    def query_flag(self, name: str, default: D) -> bool | D: ...
    def query_flag(self, name: str, default: Any = False) -> Any:
        """`true` or `false`; raises InvalidParam for anything else."""
        raw = self.query_text(name, None)
        if raw is None:
            return default
        if raw not in ("true", "false"):
            raise InvalidParam(f"{name} must be true or false")
        return raw == "true"

    def query_all(self, name: str) -> list[str]:
        """Every value of a parameter that may be repeated."""
        return self.query.get(name, [])

    def query_duration(self, name: str, default: int, maximum: int | None = None) -> int:
        """Milliseconds of the query, lowered to `maximum`."""
        return self.query_integer(name, default, 0, maximum)

    # -- the path

    def room_id(self, name: str = "roomId") -> RoomID:
        """The path's room ID; raises InvalidParam for what is none."""
        return self._identifier(name, parse_room_id)

    def user_id(self, name: str = "userId") -> UserID:
        """The path's user ID; raises InvalidParam for what is none."""
        return self._identifier(name, parse_user_id)

    def event_id(self, name: str = "eventId") -> EventID:
        """The path's event ID; raises InvalidParam for what is none."""
        return self._identifier(name, parse_event_id)

    def room_alias(self, name: str = "roomAlias") -> RoomAlias:
        """The path's room alias; raises InvalidParam for what is none."""
        return self._identifier(name, parse_room_alias)

    def server_name(self, name: str = "serverName") -> ServerName:
        """The path's server name; raises InvalidParam for what is none."""
        return self._identifier(name, parse_server_name)

    def txn_id(self, name: str = "txnId") -> str:
        """The path's transaction ID; raises InvalidParam where it is endless."""
        value = self.path[name]
        if len(value) > MAX_TXN_ID:
            raise InvalidParam(f"A transaction ID has at most {MAX_TXN_ID} characters")
        return value

    def requester_named(self: "Call[T, Someone]", name: str = "userId") -> Someone:
        """The requester, when the path names them; raises Forbidden when it names somebody else."""
        if self.path[name] != self.requester.user_id:
            self.user_id(name)
            raise Forbidden("You may only do this for yourself")
        return self.requester

    def _identifier(self, name: str, parse: Callable[[str], V]) -> V:
        try:
            return parse(self.path[name])
        except InvalidId as error:
            raise InvalidParam(f"{name}: {error}") from None
