"""Logging in with an OpenID provider: authorization code, PKCE, nonce (OpenID Connect Core §3.1)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

from protocol.json import JsonObject
from protocol.matrix_error import Forbidden
from services.oauth.urls import page
from services.outside import Asked
from services.settings import SECOND
from services.tenant import Tenant
from services.upstream.attempts import Attempt
from services.upstream.discovery import JSON, Metadata, ask_json, metadata_of
from services.upstream.id_token import LEEWAY, check_id_token
from services.upstream.person import MAX_SUBJECT, Person, texts
from services.upstream.settings import ClientAuth, OidcProvider

FORM = "application/x-www-form-urlencoded"


def callback(tenant: Tenant, provider: OidcProvider) -> str:
    """Where the provider sends browsers back to: an address for each, so that none can pass on what another has said."""
    return page(tenant, f"upstream/{provider.face.id}/callback")


async def authorization_url(tenant: Tenant, provider: OidcProvider, state: str, attempt: Attempt) -> str:
    """Where to send the browser; raises OutsideFailed."""
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    metadata = await metadata_of(tenant, provider)
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": callback(tenant, provider),
        "scope": " ".join(provider.scopes),
        "state": state,
        "nonce": attempt.nonce,
        "code_challenge": create_s256_code_challenge(attempt.verifier),
        "code_challenge_method": "S256",
    }
    if attempt.again:
        query |= {"prompt": "login", "max_age": "0"}
    joint = "&" if "?" in metadata.authorization_endpoint else "?"
    return f"{metadata.authorization_endpoint}{joint}{urlencode(query)}"


async def person_of(
    tenant: Tenant, provider: OidcProvider, attempt: Attempt, answer: Mapping[str, str]
) -> Person:
    """Who has come back with this answer; raises Forbidden or OutsideFailed."""
    metadata = await metadata_of(tenant, provider)
    issuer = answer.get("iss")
    # «clients MUST extract the value of the iss parameter ... and compare» (RFC 9207 §2.4)
    if issuer != provider.issuer and (issuer is not None or metadata.names_itself):
        raise Forbidden("Another provider has answered")
    if "error" in answer or not answer.get("code"):
        why = answer.get("error_description") or answer.get("error") or "it does not say why"
        raise Forbidden(f"{provider.face.name} does not let you in: {why[:200]}")
    tokens = await _tokens(tenant, provider, metadata, attempt, answer["code"])
    access_token, id_token = tokens.get("access_token"), tokens.get("id_token")
    if not isinstance(id_token, str) or not isinstance(access_token, str | None):
        raise Forbidden(f"{provider.face.name} does not say who you are")
    claims = dict(await check_id_token(tenant, provider, id_token, attempt.nonce, access_token))
    _check_fresh(provider, attempt, claims)
    if provider.userinfo and access_token is not None and metadata.userinfo_endpoint is not None:
        claims |= await _userinfo(tenant, provider, metadata.userinfo_endpoint, access_token, claims)
    return _person(claims)


async def _tokens(
    tenant: Tenant, provider: OidcProvider, metadata: Metadata, attempt: Attempt, code: str
) -> JsonObject:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback(tenant, provider),
        "code_verifier": attempt.verifier,
    }
    headers, secret = {**JSON, "Content-Type": FORM}, provider.client_secret or ""
    if provider.client_auth is ClientAuth.BASIC:
        # Both are form-encoded first (RFC 6749 §2.3.1).
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(secret)}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    else:
        form["client_id"] = provider.client_id
    if provider.client_auth is ClientAuth.POST:
        form["client_secret"] = secret
    asked = Asked("POST", metadata.token_endpoint, headers, urlencode(form).encode())
    return await ask_json(tenant, provider, asked)


async def _userinfo(
    tenant: Tenant, provider: OidcProvider, url: str, access_token: str, claims: Mapping[str, Any]
) -> JsonObject:
    headers = {**JSON, "Authorization": f"Bearer {access_token}"}
    said = await ask_json(tenant, provider, Asked("GET", url, headers))
    # «The sub Claim in the UserInfo Response MUST be verified to exactly match» (§5.3.2)
    if said.get("sub") != claims["sub"]:
        raise Forbidden(f"{provider.face.name} speaks of somebody else")
    return said


def _check_fresh(provider: OidcProvider, attempt: Attempt, claims: Mapping[str, Any]) -> None:
    """Raises Forbidden where the provider says that it has not asked, as we wanted it to."""
    asked = claims.get("auth_time")
    if attempt.again and isinstance(asked, int | float) and asked < attempt.begun // SECOND - LEEWAY:
        raise Forbidden(f"{provider.face.name} has not asked who you are")


def _person(claims: Mapping[str, Any]) -> Person:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or "\0" in subject:
        raise Forbidden("The provider does not say who you are")
    return Person(subject, texts(claims), claims.get("email_verified") in (True, "true"))
