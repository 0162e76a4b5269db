"""The front door: one function takes every request from its host to its response.

There is one handler for everything, on aiohttp's low-level server: no dispatcher, no middlewares. Read
`Site.answer`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiohttp import web

from protocol.matrix_error import GuestAccessForbidden, MatrixError, MissingToken, NotFound
from web.call import Call
from web.connection import Server, last_of
from web.cors import PREFLIGHT_HEADERS
from web.endpoint import Auth, Body, Endpoint
from web.errors import internal_error, matrix_error, refusal
from web.limits import Crowd, Limit
from web.receive import read_body
from web.respond import Torn, respond
from web.router import Router
from web.sockets import ClientLeft

T = TypeVar("T")
R = TypeVar("R")

CUT_OFF = 499
"""The status told of calls whose client left, or whose stream broke, before the response was whole."""

Authenticate = Callable[[Call[T, Any]], Awaitable[R]]
"""Says who asks, by `call.endpoint.auth`: reads `call.access_token()` or, for Auth.SERVER, the signature over
`call.target` and `call.body`; raises UnknownToken, UserLocked, Unauthorized... It is not asked where there is no
token, and guests are turned away after it.
"""


@dataclass(frozen=True, slots=True)
class Served:
    """One request and how it ended, for logs and metrics; `endpoint` is None where there is none."""

    tenant: Any
    requester: Any
    endpoint: Endpoint | None
    method: str
    path: str
    """Without its query, where tokens may stand."""
    remote: str
    status: int
    errcode: str | None
    seconds: float
    failure: BaseException | None
    """The server's own mistake, with its traceback."""

    def __str__(self) -> str:
        name = self.endpoint.name if self.endpoint else "-"
        said = f" {self.errcode}" if self.errcode else ""
        return f"{self.method} {self.path} {name} {self.status}{said} {self.seconds * 1000:.1f} ms"


class Site(Generic[T, R]):
    """What one listener serves: a table of endpoints, for one or several tenants."""

    def __init__(
        self,
        router: Router,
        tenants: Mapping[str, T],
        default: T | None,
        authenticate: Authenticate[T, R],
        limit: Limit[T, R] | None,
        observe: Callable[[Served], None],
        crowd: Crowd[T, R] | None = None,
        token_in_query: Callable[[T], bool] = lambda _: True,
    ) -> None:
        """`tenants` by Host header, in lower case, with or without port; `default` for all other hosts; and whether a
        tenant takes access tokens from the query.
        """
        self.router = router
        self.tenants = tenants
        self.default = default
        self._authenticate = authenticate
        self._limit = limit
        self._observe = observe
        self._crowd = crowd
        self._token_in_query = token_in_query
        self._time = asyncio.get_running_loop().time

    def server(self) -> Server:
        """What `loop.create_server`, `create_unix_server` or aiohttp's runners ask for."""
        return Server(self.answer)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The whole way of a request: route, host, requester, limit, body, endpoint, reply; errors on the way
        as replies.
        """
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=PREFLIGHT_HEADERS)
        begun = self._time()
        call: Call[T, Any] | None = None
        entered: Any = None
        try:
            call = self._call(request)
            endpoint = call.endpoint
            if endpoint.auth is Auth.SERVER:
                call.body = await read_body(request, endpoint.max_body)  # the signature covers it
            if endpoint.auth is not Auth.NONE:
                call.requester = await self._requester(call)
                entered = self._crowd and self._crowd.enter(call.tenant, call.requester)
            if endpoint.limit is not None and self._limit is not None:
                token = _unasked_token(call) if endpoint.auth is Auth.NONE else None
                await self._limit(call.tenant, call.requester, call.remote, endpoint.limit, token)
            if endpoint.body is Body.JSON and endpoint.auth is not Auth.SERVER:
                call.body = await read_body(request, endpoint.max_body)
            response = last_of(request, await respond(request, await endpoint.serve(call)))
        except Exception as error:  # noqa: BLE001  # the one place where all errors become replies
            return self._refuse(request, call, error, begun)
        finally:
            if entered is not None and self._crowd is not None:
                self._crowd.leave(entered)
        self._observe(self._served(request, call, begun, response.status))
        return response

    def _call(self, request: web.BaseRequest) -> Call[T, Any]:
        target = request.raw_path
        if not target.startswith("/"):  # the absolute form, which proxies use
            target = request.rel_url.raw_path_qs
        match = self.router.find(request.method, target.partition("?")[0])
        tenant = self._tenant(request.host)
        token_in_query = self._token_in_query(tenant)
        return Call(tenant, None, match.endpoint, match.path, target, request, token_in_query=token_in_query)

    def _tenant(self, host: str) -> T:
        if self.tenants:
            host = host.lower()
            tenant = self.tenants.get(host) or self.tenants.get(host.rpartition(":")[0])
            if tenant is not None:
                return tenant
        if self.default is None:
            raise NotFound("This server does not serve this host")
        return self.default

    async def _requester(self, call: Call[T, Any]) -> R | None:
        auth = call.endpoint.auth
        if auth is not Auth.SERVER and call.access_token() is None:
            if auth is Auth.OPTIONAL:
                return None
            raise MissingToken
        requester = await self._authenticate(call)
        if not call.endpoint.guest and getattr(requester, "is_guest", False):
            raise GuestAccessForbidden
        return requester

    def _refuse(
        self, request: web.BaseRequest, call: Call[T, Any] | None, error: Exception, begun: float
    ) -> web.StreamResponse:
        refused = matrix_error(error)
        failure = error.__cause__ if isinstance(error, Torn) else error if refused is None else None
        gone = request.transport is None or request.transport.is_closing()
        left = gone or isinstance(failure, ClientLeft)  # the kernel may know before the event loop
        if left or isinstance(error, Torn):
            # All that can be said is the end of the connection; and who left is not our failure.
            failure = None if left and isinstance(failure, ConnectionError) else failure
            self._observe(self._served(request, call, begun, CUT_OFF, None, failure))
            raise ConnectionResetError("The response was cut off") from error
        refused = refused or internal_error()
        self._observe(self._served(request, call, begun, refused.status, refused.errcode, failure))
        return last_of(request, refusal(refused))

    def _served(
        self,
        request: web.BaseRequest,
        call: Call[T, Any] | None,
        begun: float,
        status: int,
        errcode: str | None = None,
        failure: BaseException | None = None,
    ) -> Served:
        return Served(
            tenant=call and call.tenant,
            requester=call and call.requester,
            endpoint=call.endpoint if call else None,
            method=request.method,
            path=request.raw_path.partition("?")[0],
            remote=request.remote or "",
            status=status,
            errcode=errcode,
            seconds=self._time() - begun,
            failure=failure,
        )


def _unasked_token(call: Call[Any, Any]) -> str | None:
    """The token that a request shows to an endpoint that does not look at it; None also for what cannot be one."""
    try:
        return call.access_token()
    except MatrixError:
        return None
