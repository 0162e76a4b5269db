"""Tokens that a provider has signed: ID tokens (OpenID Connect Core §3.1.3.7) and logout tokens (Back-Channel Logout §2.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocol.matrix_error import Forbidden
from services.settings import SECOND
from services.tenant import Tenant
from services.upstream.discovery import keys_of
from services.upstream.settings import OidcProvider

# Public keys only: with a secret that both know, anybody who learns our configuration could sign.
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
LEEWAY = 60  # seconds
LOGOUT_AGE = 300  # seconds
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True, slots=True)
class _Signed:
    header: Mapping[str, Any]
    claims: Mapping[str, Any]


async def check_id_token(
    tenant: Tenant, provider: OidcProvider, token: str, nonce: str, access_token: str | None
) -> Mapping[str, Any]:
    """What the token says; raises Forbidden unless the provider made it for us, now, and for this login."""
    signed = await _signed(tenant, provider, token)
    _check_claims(tenant, provider, signed, {"nonce": nonce, "access_token": access_token})
    return signed.claims


async def check_logout_token(tenant: Tenant, provider: OidcProvider, token: str) -> str:
    """Whose sessions are to end (the subject); raises Forbidden."""
    signed = await _signed(tenant, provider, token)
    claims = signed.claims
    _check_claims(tenant, provider, signed, {})
    events = claims.get("events")
    if not isinstance(events, dict) or LOGOUT not in events or "nonce" in claims:
        raise Forbidden("This is not a logout token")
    if claims["iat"] < tenant.clock.now() // SECOND - LOGOUT_AGE:
        raise Forbidden("The logout token is too old")
    subject = claims.get("sub")
    if not isinstance(subject, str):
        raise Forbidden("The logout token names nobody")
    return subject


async def _signed(tenant: Tenant, provider: OidcProvider, token: str) -> _Signed:
    """The token, if one of the provider's keys has signed it; an unknown key is looked for once. Raises Forbidden."""
    known = await keys_of(tenant, provider)
    signed = _opened(token, known.keys)
    if signed is None:
        newer = await keys_of(tenant, provider, newer=True)
        signed = None if newer is known else _opened(token, newer.keys)
    if signed is None:
        raise Forbidden(f"What {provider.face.name} says is not signed with its keys")
    return signed


def _opened(token: str, keys: tuple[Mapping[str, Any], ...]) -> _Signed | None:
    # Loaded with the first login: it brings a library of cryptography along.
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key
    from joserfc.jws import extract_compact

    try:
        header = extract_compact(token.encode()).headers()
    except (JoseError, ValueError):
        return None
    for key in keys:
        if key.get("use", "sig") != "sig" or header.get("kid", key.get("kid")) != key.get("kid"):
            continue
        try:
            found = jwt.decode(token, import_key(dict(key)), algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        return _Signed(found.header, found.claims)
    return None


def _check_claims(tenant: Tenant, provider: OidcProvider, signed: _Signed, params: dict[str, Any]) -> None:
    from authlib.oidc.core import CodeIDToken
    from joserfc.errors import JoseError

    options = {
        "iss": {"essential": True, "value": provider.issuer},
        "aud": {"essential": True, "value": provider.client_id},
    }
    params = {**params, "client_id": provider.client_id}
    claims = CodeIDToken(dict(signed.claims), dict(signed.header), options, params)
    if not params.get("nonce"):
        claims.ESSENTIAL_CLAIMS = ["iss", "aud", "iat"]
    try:
        claims.validate(now=tenant.clock.now() // SECOND, leeway=LEEWAY)
    except (JoseError, TypeError, ValueError) as error:
        raise Forbidden(f"What {provider.face.name} says is not for this login: {error}") from None
