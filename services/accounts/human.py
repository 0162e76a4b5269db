"""That somebody on our pages has solved the riddle of a captcha, kept from one page to the next."""

from __future__ import annotations

from collections.abc import Mapping

from protocol.matrix_error import CaptchaNeeded
from services.accounts.uia import SESSION_LENGTH, UiaSession, find_session, pass_stage
from services.accounts.uia_stages import Stage, check_stage
from services.oauth.urls import ROOT
from services.tenant import Tenant
from storage.uia import delete_session, insert_session

PURPOSE = f" PAGE {ROOT}/registration"
"""No request of a client has this method: what is shown here is good for our page only, and the other way round."""


async def show_human(tenant: Tenant, said: Mapping[str, str]) -> str:
    """The name of the proof. Raises MissingParam, CaptchaNeeded, CaptchaInvalid, or OutsideFailed."""
    facts = await check_stage(tenant, None, Stage.CAPTCHA, said, {Stage.CAPTCHA})
    session = UiaSession(tenant.random.token(SESSION_LENGTH), PURPOSE, b"", (), {})
    async with tenant.database.read() as tx:
        await insert_session(tx, session, tenant.clock.now())
    return (await pass_stage(tenant, session, Stage.CAPTCHA, facts)).session


async def is_human(tenant: Tenant, proof: str) -> bool:
    """Is it the name of a proof that was not used, and is not too old?"""
    session = await find_session(tenant, proof)
    return session is not None and session.purpose == PURPOSE and Stage.CAPTCHA in session.completed


async def use_proof(tenant: Tenant, proof: str) -> None:
    """It is good for once: raises CaptchaNeeded."""
    if not await is_human(tenant, proof):
        raise CaptchaNeeded
    async with tenant.database.read() as tx:
        if not await delete_session(tx, proof):
            raise CaptchaNeeded
