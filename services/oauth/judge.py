"""The rules of OAuth 2.0, as Authlib knows them, asked about facts that are at hand.

Authlib's hooks cannot wait for a database. So what a grant will ask for is loaded before, Authlib decides, and what
follows from its decision is written after; nothing here does I/O. Authlib takes 10 MiB: this module is imported by those
who are asked to decide something, when they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, BaseGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceCodeGrant

from services.oauth.clients import Client
from services.oauth.errors import OAuthError
from storage.oauth.codes import Code
from storage.oauth.device_codes import DeviceCode
from storage.oauth.sessions import OAuthSession

Fields = Mapping[str, str]
PUBLIC = ["none"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What was loaded: the client that the request names, and what its code or token stands for."""

    fields: Fields
    client: Client | None
    now: int
    code: Code | None = None
    session: OAuthSession | None = None
    device_code: DeviceCode | None = None


def judge_authorization(facts: Facts) -> None:
    """May the user be asked? Raises OAuthError; client and redirect URI are known to be right."""
    _judge(facts, _Authorization, lambda grant: grant.validate_consent_request(), _S256(required=True))


def judge_code(facts: Facts) -> None:
    """Is the code the client's, and the verifier the one of its challenge? Raises OAuthError."""
    _judge(facts, _Authorization, lambda grant: grant.validate_token_request(), _S256(required=True))


def judge_refresh(facts: Facts) -> None:
    """Is the refresh token the client's? Raises OAuthError."""
    _judge(facts, _Refresh, lambda grant: grant.validate_token_request())


def judge_device_code(facts: Facts) -> None:
    """Has the user said yes? Raises OAuthError: authorization_pending, slow_down, access_denied, expired_token..."""
    _judge(facts, _Device, lambda grant: grant.validate_token_request())


def _judge(facts: Facts, kind: Any, question: Callable[[Any], None], *extensions: Any) -> None:
    grant = kind(_Request(facts.fields), _Server(facts))
    for extension in extensions:
        extension(grant)
    try:
        question(grant)
    except OAuth2Error as error:
        description = error.get_error_description() or str(error.error)
        raise OAuthError(str(error.error), description, error.status_code) from None


class _Request(OAuth2Request):  # type: ignore[misc]
    """A request as Authlib sees it. That it came over TLS is the listener's business."""

    def __init__(self, fields: Fields) -> None:
        super().__init__("POST", "https://localhost/")
        self.payload = BasicOAuth2Payload(dict(fields))

    @property
    def form(self) -> dict[str, str]:
        return dict(self.payload.data)


class _Server(AuthorizationServer):  # type: ignore[misc]
    """Knows one client: the one that was loaded."""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self.facts = facts

    def query_client(self, client_id: str) -> _PublicClient | None:
        client = self.facts.client
        return _PublicClient(client) if client is not None and client.client_id == client_id else None

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""


class _PublicClient(ClientMixin):  # type: ignore[misc]
    """A client as Authlib sees it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def get_client_id(self) -> str:
        return self.client.client_id

    def get_default_redirect_uri(self) -> None:
        """There is none: clients name the one they mean."""

    def get_allowed_scope(self, scope: str) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        if not self.client.has_redirect_uri(redirect_uri):
            raise InvalidRequestError("The redirect_uri is not one of the client")
        return True

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in PUBLIC

    def check_response_type(self, response_type: str) -> bool:
        return response_type in self.client.metadata["response_types"]

    def check_grant_type(self, grant_type: str) -> bool:
        return self.client.has_grant(grant_type)


class _S256(CodeChallenge):  # type: ignore[misc]
    """PKCE is asked of everybody, by its S256 method."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)
    DEFAULT_CODE_CHALLENGE_METHOD = "S256"

    def validate_code_challenge(self, grant: BaseGrant, redirect_uri: str) -> None:
        if grant.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("code_challenge_method must be S256")
        super().validate_code_challenge(grant, redirect_uri)


@dataclass(frozen=True, slots=True)
class _CodeView:
    """A code as Authlib sees it."""

    code: Code
    code_challenge_method: str = "S256"

    @property
    def code_challenge(self) -> str:
        return self.code.challenge

    def get_redirect_uri(self) -> str:
        return self.code.redirect_uri

    def get_scope(self) -> str:
        return self.code.scope


class _Authorization(AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = PUBLIC

    def query_authorization_code(self, code: str, client: _PublicClient) -> _CodeView | None:
        known: Facts = self.server.facts
        of = known.code
        if of is None or of.client_id != client.get_client_id() or of.used or of.expires <= known.now:
            return None
        return _CodeView(of)


@dataclass(frozen=True, slots=True)
class _SessionView:
    """A refresh token as Authlib sees it."""

    session: OAuthSession

    def check_client(self, client: _PublicClient) -> bool:
        return self.session.client_id == client.get_client_id()

    def get_scope(self) -> str:
        return self.session.scope


class _Refresh(RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = PUBLIC

    def authenticate_refresh_token(self, refresh_token: str) -> _SessionView | None:
        session = self.server.facts.session
        return None if session is None else _SessionView(session)


@dataclass(frozen=True, slots=True)
class _DeviceView:
    """A device code as Authlib sees it."""

    code: DeviceCode
    now: int

    def get_client_id(self) -> str:
        return self.code.client_id

    def get_scope(self) -> str:
        return self.code.scope

    def get_user_code(self) -> str:
        return self.code.user_code

    def is_expired(self) -> bool:
        return self.code.expires <= self.now or self.code.used


class _Device(DeviceCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = PUBLIC

    def query_device_credential(self, device_code: str) -> _DeviceView | None:
        known: Facts = self.server.facts
        return None if known.device_code is None else _DeviceView(known.device_code, known.now)

    def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
        code = self.server.facts.device_code
        return None if code.user_id is None else (code.user_id, not code.denied)

    def should_slow_down(self, credential: _DeviceView) -> bool:
        return credential.now < credential.code.polled + credential.code.pace
