"""What a client says of itself when it registers, checked as the specification asks (§OAuth 2.0 API, «Client metadata»)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from services.oauth.errors import OAuthError

CODE, REFRESH = "authorization_code", "refresh_token"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS = (CODE, REFRESH, DEVICE_CODE)

MAX_URI, MAX_NAME, MAX_REDIRECTS = 2000, 255, 20
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PAGES = ("logo_uri", "tos_uri", "policy_uri")
# They go into headers and pages: no blank, no quotation mark, nothing that could end either.
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")


def checked_metadata(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is registered of it; what we do not know is dropped. Raises OAuthError."""
    client_uri = said.get("client_uri")
    host = _web_host("client_uri", client_uri)
    # «It MUST NOT use a user or password ... This URI is a common base for all the other URIs in the metadata»
    pages = {name: said[name] for name in _PAGES if said.get(name) is not None}
    for name, uri in pages.items():
        _check_common_base(name, _web_host(name, uri), host)
    grants = [grant for grant in _strings(said, "grant_types", [CODE]) if grant in GRANTS]
    redirects = _redirect_uris(said, host, needed=CODE in grants)
    if said.get("token_endpoint_auth_method", "none") != "none":
        raise _wrong("Clients have no secret here: token_endpoint_auth_method must be none")
    return {
        "client_name": _name(said, host),
        "client_uri": client_uri,
        **pages,
        "application_type": _application_type(said),
        "redirect_uris": redirects,
        # Tokens live for minutes: who cannot refresh could do nothing with them.
        "grant_types": [*grants, REFRESH] if REFRESH not in grants else grants,
        "response_types": ["code"] if CODE in grants else [],
        "token_endpoint_auth_method": "none",
    }


def is_uri(text: str) -> bool:
    """Is it a URI with a scheme, and with nothing in it that could end a header or an attribute?"""
    try:
        return _URI.fullmatch(text) is not None and urlsplit(text).port != 0
    except ValueError:
        return False


def is_loopback(parts: SplitResult) -> bool:
    """Is it a program on the user's own machine that listens there?"""
    return parts.scheme == "http" and parts.hostname in LOOPBACK


def _wrong(description: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", description)


def _strings(said: Mapping[str, Any], name: str, default: list[str]) -> list[str]:
    value = said.get(name, default)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _wrong(f"{name} must be a list of strings")
    return list(dict.fromkeys(value))


def _name(said: Mapping[str, Any], host: str) -> str:
    name = said.get("client_name", host)
    if not isinstance(name, str) or len(name) > MAX_NAME:
        raise _wrong(f"client_name must be a string of at most {MAX_NAME} characters")
    return "".join(letter for letter in name if letter.isprintable()).strip() or host


def _application_type(said: Mapping[str, Any]) -> str:
    kind = said.get("application_type", "web")
    if kind not in ("web", "native"):
        raise _wrong("application_type must be web or native")
    return str(kind)


def _split(name: str, uri: Any, error: str = "invalid_client_metadata") -> SplitResult:
    if not isinstance(uri, str) or len(uri) > MAX_URI or not is_uri(uri):
        raise OAuthError(error, f"{name} must be a URI")
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        raise OAuthError(error, f"{name} must not name a user or a password")
    return parts


def _web_host(name: str, uri: Any) -> str:
    parts = _split(name, uri)
    if parts.scheme != "https" or not parts.hostname:
        raise _wrong(f"{name} must be an https URL")
    return parts.hostname


def _check_common_base(name: str, host: str, base: str, error: str = "invalid_client_metadata") -> None:
    if host != base and not host.endswith("." + base):
        raise OAuthError(error, f"{name} must be on the host of client_uri, or below it")


def _redirect_uris(said: Mapping[str, Any], host: str, *, needed: bool) -> list[str]:
    uris = _strings(said, "redirect_uris", [])
    if (needed and not uris) or len(uris) > MAX_REDIRECTS:
        raise OAuthError("invalid_redirect_uri", f"There must be 1 to {MAX_REDIRECTS} redirect_uris")
    for uri in uris:
        _check_redirect_uri(uri, host, native=_application_type(said) == "native")
    return uris


def _check_redirect_uri(uri: str, host: str, *, native: bool) -> None:
    parts = _split("A redirect URI", uri, "invalid_redirect_uri")
    if "#" in uri:
        raise OAuthError("invalid_redirect_uri", "A redirect URI must not have a fragment")
    if parts.scheme == "https" and parts.hostname:
        _check_common_base("A redirect URI", parts.hostname, host, "invalid_redirect_uri")
    elif not native:
        raise OAuthError("invalid_redirect_uri", "A web client's redirect URI must be an https URL")
    elif parts.scheme in ("http", "https"):
        if not is_loopback(parts) or parts.netloc.rpartition("]")[2].count(":"):
            message = "http is for localhost, 127.0.0.1 and [::1], without a port"
            raise OAuthError("invalid_redirect_uri", message)
    else:
        _check_private_scheme(uri, parts, host)


def _check_private_scheme(uri: str, parts: SplitResult, host: str) -> None:
    """«The scheme MUST be prefixed with the client URI hostname in reverse-DNS notation», and no authority follows."""
    base = ".".join(reversed(host.split(".")))
    if parts.scheme != base and not parts.scheme.startswith(base + "."):
        message = f"The scheme of a redirect URI must begin with {base}, the reverse of client_uri"
        raise OAuthError("invalid_redirect_uri", message)
    if uri[len(parts.scheme) + 1 :].startswith("//"):
        message = "A redirect URI with a scheme of its own must not have an authority"
        raise OAuthError("invalid_redirect_uri", message)
