"""The stage m.login.recaptcha: the provider says whether somebody has solved its riddle."""

from __future__ import annotations

from urllib.parse import urlencode

from protocol.matrix_error import CaptchaInvalid, CaptchaNeeded
from services.outside import Asked
from services.settings import Captcha
from services.tenant import Tenant

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
MAX_RESPONSE = 16 * 1024


async def check_captcha(tenant: Tenant, captcha: Captcha, response: str) -> None:
    """Raises CaptchaNeeded, CaptchaInvalid, or OutsideFailed where the provider does not answer."""
    if not response:
        raise CaptchaNeeded
    if len(response) > MAX_RESPONSE:
        raise CaptchaInvalid
    form = urlencode({"secret": captcha.secret, "response": response}, errors="replace").encode()
    answer = await tenant.outside.ask(Asked("POST", captcha.verify_url, _HEADERS, form))
    if (answer.json() or {}).get("success") is not True:
        raise CaptchaInvalid
