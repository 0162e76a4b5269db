"""Whether an identity server still stands by the key with which it signed a third-party invite."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

from protocol.json import JsonObject
from protocol.matrix_error import Forbidden
from services.outside import Asked, OutsideFailed
from services.tenant import Tenant

MAX_URL = 2048
MAX_KEYS = 5  # that are asked about
SECONDS = 10.0


async def check_key_is_valid(tenant: Tenant, keys: Sequence[JsonObject]) -> None:
    """Raises Forbidden where all of the keys have been revoked, OutsideFailed where nobody says of any that it has not.

    «That homeserver must validate that the public key used for signing is still valid, by checking key_validity_url»;
    a key that names none cannot be revoked. Not to be called under a room's lock.
    """
    silent: OutsideFailed | None = None
    for key in keys[:MAX_KEYS]:
        try:
            if "key_validity_url" not in key or await _is_valid(tenant, key):
                return
        except OutsideFailed as error:
            silent = error
    if silent is not None:
        raise silent
    if keys:
        raise Forbidden("The key that signed this third-party invite has been revoked")


async def _is_valid(tenant: Tenant, key: JsonObject) -> bool:
    """«The URL must return a JSON object containing a boolean property named valid.»"""
    url = key["key_validity_url"]
    if not isinstance(url, str) or len(url) > MAX_URL:
        raise OutsideFailed("the key of the third-party invite names no URL that could be asked")
    url += f"{'&' if '?' in url else '?'}public_key={quote(key['public_key'], safe='')}"
    try:
        async with asyncio.timeout(SECONDS):
            said = (await tenant.outside.ask(Asked("GET", url, {"Accept": "application/json"}))).json()
    except TimeoutError:
        raise OutsideFailed("the identity server of the third-party invite did not answer in time") from None
    valid = said.get("valid") if said is not None else None
    if not isinstance(valid, bool):
        raise OutsideFailed("the identity server of the third-party invite answered nonsense")
    return valid
