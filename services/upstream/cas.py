"""Logging in with a CAS server (CAS Protocol 3.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from protocol.matrix_error import Forbidden
from services.oauth.urls import page
from services.outside import Asked, OutsideFailed
from services.tenant import Tenant
from services.upstream.attempts import Attempt
from services.upstream.person import MAX_SUBJECT, Person
from services.upstream.settings import CasProvider

NAMESPACE = "{http://www.yale.edu/tp/cas}"
MAX_TICKET = 1024
OK = 200


def login_url(tenant: Tenant, provider: CasProvider, state: str, attempt: Attempt) -> str:
    """Where to send the browser."""
    query = {"service": _service(tenant, provider, state)}
    if attempt.again:
        query["renew"] = "true"
    return f"{provider.url.rstrip('/')}/login?{urlencode(query)}"


async def person_of(
    tenant: Tenant, provider: CasProvider, state: str, attempt: Attempt, answer: Mapping[str, str]
) -> Person:
    """Who has come back with this ticket; raises Forbidden or OutsideFailed."""
    ticket = answer.get("ticket", "")
    if not 0 < len(ticket) <= MAX_TICKET:
        raise Forbidden(f"{provider.face.name} does not let you in")
    # «service: MUST be identical»: the state in it binds the ticket to this login.
    query = {"service": _service(tenant, provider, state), "ticket": ticket}
    if attempt.again:
        query["renew"] = "true"
    url = f"{provider.url.rstrip('/')}/p3/serviceValidate?{urlencode(query)}"
    answered = await tenant.upstream.ask(Asked("GET", url, {"Accept": "application/xml"}))
    if answered.status != OK:
        raise OutsideFailed(f"{provider.face.name} answered {answered.status}")
    return _read(provider, answered.body)


def _service(tenant: Tenant, provider: CasProvider, state: str) -> str:
    return f"{page(tenant, f'upstream/{provider.face.id}/callback')}?{urlencode({'state': state})}"


def _read(provider: CasProvider, body: bytes) -> Person:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        raise OutsideFailed(f"{provider.face.name} does not speak CAS") from None
    success = (
        root.find(f"{NAMESPACE}authenticationSuccess") if root.tag == f"{NAMESPACE}serviceResponse" else None
    )
    if success is None:
        raise Forbidden(f"{provider.face.name} does not let you in")
    user = (success.findtext(f"{NAMESPACE}user") or "").strip()
    if not 0 < len(user) <= MAX_SUBJECT:
        raise Forbidden(f"{provider.face.name} does not say who you are")
    attributes = _attributes(success)
    _check_required(provider, attributes)
    first = {name: values[0] for name, values in attributes.items()}
    return Person(user, {**first, "user": user}, email_verified=True)


def _attributes(success: Any) -> dict[str, list[str]]:
    """All values of each name."""
    found: dict[str, list[str]] = {}
    for element in success.findall(f"{NAMESPACE}attributes/*"):
        name = str(element.tag).rpartition("}")[2]
        found.setdefault(name, []).append((element.text or "").strip())
    return found


def _check_required(provider: CasProvider, attributes: Mapping[str, list[str]]) -> None:
    for name, value in provider.required:
        said = attributes.get(name, [])
        if not said or (value is not None and value not in said):
            raise Forbidden(f"{provider.face.name} knows you, but you may not log in here")
