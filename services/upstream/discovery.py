"""What an OpenID provider tells of itself (OpenID Connect Discovery), and the keys it signs with; both are remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from protocol.json import JsonObject
from services.outside import Asked, OutsideFailed
from services.settings import HOUR, MINUTE
from services.tenant import Tenant
from services.upstream.settings import OidcProvider

KEPT = HOUR
KEYS_ASKED_AGAIN = MINUTE
"""A key that we do not know is looked for at most so often."""
JSON = {"Accept": "application/json"}
OK = 200


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where the provider's endpoints are; `names_itself`: its answers to browsers say who it is (RFC 9207)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    names_itself: bool


@dataclass(frozen=True, slots=True)
class Keys:
    """Its keys (JSON Web Keys), and when they were asked for."""

    keys: tuple[JsonObject, ...]
    asked: int


async def metadata_of(tenant: Tenant, provider: OidcProvider) -> Metadata:
    """As remembered, or as it tells now; raises OutsideFailed, also where it would lead us to hosts that are not its own."""

    async def asked() -> Metadata:
        url = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        return _metadata(provider, await ask_json(tenant, provider, Asked("GET", url, JSON)))

    found: Metadata = await tenant.upstream_known.ask(
        f"metadata {provider.issuer} {provider.hosts}", asked, tenant.clock.now(), lambda _: KEPT
    )
    return found


async def keys_of(tenant: Tenant, provider: OidcProvider, *, newer: bool = False) -> Keys:
    """Its keys; `newer` asks again, unless that was just done. Raises OutsideFailed."""
    name, now = f"keys {provider.issuer} {provider.hosts}", tenant.clock.now()

    async def asked() -> Keys:
        metadata = await metadata_of(tenant, provider)
        said = await ask_json(tenant, provider, Asked("GET", metadata.jwks_uri, JSON))
        keys = said.get("keys")
        if not isinstance(keys, list):
            raise OutsideFailed(f"{provider.face.name} has no keys")
        return Keys(tuple(key for key in keys if isinstance(key, dict)), now)

    known: Keys = await tenant.upstream_known.ask(name, asked, now, lambda _: KEPT)
    if newer and now >= known.asked + KEYS_ASKED_AGAIN:
        tenant.upstream_known.forget(name)
        known = await tenant.upstream_known.ask(name, asked, now, lambda _: KEPT)
    return known


async def ask_json(tenant: Tenant, provider: OidcProvider, asked: Asked) -> JsonObject:
    """The JSON object that the provider answers with; raises OutsideFailed for anything else, and for other hosts."""
    check_host(provider, asked.url)
    answer = await tenant.upstream.ask(asked)
    said = answer.json()
    if answer.status != OK or said is None:
        why = "" if said is None else f": {str(said.get('error', ''))[:100]}"
        raise OutsideFailed(f"{provider.face.name} answered {answer.status}{why}")
    return said


def check_host(provider: OidcProvider, url: str) -> None:
    """Raises OutsideFailed for a URL to which we send nothing: another host, or without TLS where the issuer has it."""
    issuer, parts = urlsplit(provider.issuer), urlsplit(url)
    is_safe = parts.scheme == "https" or parts.scheme == issuer.scheme
    if not is_safe or parts.netloc not in (issuer.netloc, *provider.hosts):
        raise OutsideFailed(
            f"{provider.face.name} leads to {parts.scheme}://{parts.netloc}, which is not configured"
        )


def _metadata(provider: OidcProvider, said: JsonObject) -> Metadata:
    # «The issuer value returned MUST be identical to the Issuer URL that was used as the prefix» (Discovery §4.3)
    if said.get("issuer") != provider.issuer:
        raise OutsideFailed(f"{provider.face.name} calls itself {str(said.get('issuer'))[:200]!r}")
    found: dict[str, Any] = {
        name: said.get(name)
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
    }
    for name, url in found.items():
        if url is None and name == "userinfo_endpoint":
            continue
        if not isinstance(url, str):
            raise OutsideFailed(f"{provider.face.name} does not tell its {name}")
        if name != "authorization_endpoint":
            check_host(provider, url)
    if urlsplit(found["authorization_endpoint"]).scheme not in ("http", "https"):
        raise OutsideFailed(f"{provider.face.name} has no page for browsers")
    return Metadata(**found, names_itself=said.get("authorization_response_iss_parameter_supported") is True)
