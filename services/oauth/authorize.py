"""The authorisation endpoint: what a client wants, and what it is told (RFC 6749 §4.1, RFC 7636)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from protocol.ids import UserID
from services.accounts.tokens import new_token
from services.oauth.clients import Client, find_client
from services.oauth.errors import NotToBeRedirected, OAuthError
from services.oauth.scope import Scope, parse_scope
from services.settings import SECOND
from services.tenant import Tenant
from storage.oauth.codes import Code, insert_code

CODE_LIFETIME = 60 * SECOND
CODE = "htc_"

Query = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user is to be asked, and where the answer goes."""

    client: Client
    redirect_uri: str
    mode: str
    state: str | None
    fields: Mapping[str, str]

    def answer(self, **said: str) -> str:
        """The URI to which the browser is sent with the answer."""
        fields = dict(said) if self.state is None else {**said, "state": self.state}
        if self.mode == "fragment":
            return f"{self.redirect_uri}#{urlencode(fields)}"
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{urlencode(fields)}"

    def refusal(self, error: OAuthError) -> str:
        """The same, for an error."""
        return self.answer(**error.body())


async def what_is_asked(tenant: Tenant, query: Query) -> Asked:
    """Who asks, and where the answer will go; raises NotToBeRedirected."""
    for name in ("client_id", "redirect_uri"):
        if len(query.get(name, ())) != 1:
            raise NotToBeRedirected(f"The application has not said its {name}.")
    async with tenant.database.read() as tx:
        client = await find_client(tx, query["client_id"][0])
    if client is None:
        raise NotToBeRedirected("The application is not known here. It may have to register again.")
    redirect_uri = query["redirect_uri"][0]
    if not client.has_redirect_uri(redirect_uri):
        raise NotToBeRedirected("The application wants to go on at an address that is not its own.")
    fields = {name: values[0] for name, values in query.items()}
    mode = "fragment" if fields.get("response_mode") == "fragment" else "query"
    return Asked(client, redirect_uri, mode, fields.get("state"), fields)


def check_asked(tenant: Tenant, asked: Asked, query: Query) -> Scope:
    """What would be granted; raises OAuthError for a request that the user need not be bothered with."""
    if any(len(values) > 1 for values in query.values()):
        raise OAuthError("invalid_request", "A parameter is there more than once")
    if asked.fields.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "The response_type must be code")
    if asked.fields.get("response_mode", "query") not in ("query", "fragment"):
        raise OAuthError("invalid_request", "The response_mode must be query or fragment")
    scope = parse_scope(asked.fields.get("scope", ""))
    from services.oauth.judge import Facts, judge_authorization  # see there why here

    judge_authorization(Facts(asked.fields, asked.client, tenant.clock.now()))
    return scope


async def grant(tenant: Tenant, asked: Asked, scope: Scope, user_id: UserID) -> str:
    """The user has said yes: the URI that takes the code to the client."""
    code = new_token(tenant.random, CODE)
    kept = Code(
        code_id=code.digest,
        client_id=asked.client.client_id,
        user_id=user_id,
        device_id=scope.device_id,
        scope=scope.text,
        redirect_uri=asked.redirect_uri,
        challenge=asked.fields["code_challenge"],
        expires=tenant.clock.now() + CODE_LIFETIME,
    )
    async with tenant.database.read() as tx:
        await insert_code(tx, kept)
    return asked.answer(code=code.secret)
