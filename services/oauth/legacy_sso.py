"""Where old clients want to have their login token (§Legacy API, «SSO client login»)."""

from __future__ import annotations

from urllib.parse import urlsplit

from protocol.ids import UserID
from services.accounts.login import make_login_token
from services.oauth.metadata import MAX_URI, is_uri
from services.tenant import Tenant

# What a browser would run, or read from its own machine, instead of going there.
_NOT_ELSEWHERE = (
    "javascript:",
    "data:",
    "vbscript:",
    "blob:",
    "file:",
    "about:",
    "view-source:",
    "filesystem:",
)
_TOKEN = "loginToken"


def is_target(uri: str) -> bool:
    """Can a browser be sent there with a token?"""
    return len(uri) <= MAX_URI and is_uri(uri) and not uri.lower().startswith(_NOT_ELSEWHERE)


def is_trusted(tenant: Tenant, uri: str) -> bool:
    """Has the operator said that the client there may have tokens of users who are not asked?"""
    asked = urlsplit(uri)
    for known in map(urlsplit, tenant.settings.upstream.trusted_clients):
        same_place = (known.scheme, known.netloc) == (asked.scheme, asked.netloc)
        folder = known.path if known.path.endswith("/") else f"{known.path}/"
        climbs = ".." in asked.path or "%2e" in asked.path.lower()  # browsers take both for a way up
        if same_place and f"{asked.path}/".startswith(folder) and not climbs:
            return True
    return False


async def with_login_token(tenant: Tenant, uri: str, user_id: UserID) -> str:
    """The URI, with a token that logs the user in: «any existing loginToken query parameters» are removed."""
    rest, hash_mark, fragment = uri.partition("#")
    path, _, query = rest.partition("?")
    kept = [pair for pair in query.split("&") if pair and pair.partition("=")[0] != _TOKEN]
    token = await make_login_token(tenant, user_id)
    return f"{path}?{'&'.join([*kept, f'{_TOKEN}={token}'])}{hash_mark}{fragment}"
