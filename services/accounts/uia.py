"""User-interactive authentication (§User-Interactive Authentication API): stages, one request at a time.

A session is bound to the user, the method, the path and the body of the first request that has one, so that what was
agreed to cannot be exchanged for something else. Passwords in the body are left out: nothing of them is kept here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import orjson

from protocol.ids import UserID
from protocol.matrix_error import BadJson, Forbidden, InteractiveAuthNeeded, LimitExceeded, MatrixError
from services.accounts.uia_lifetime import uia_lifetime
from services.accounts.uia_stages import SomebodyElse, Stage, check_stage, params_of
from services.oauth.approval import refuse_oauth
from services.requester import Requester
from services.tenant import Tenant
from services.upstream.proof import with_providers
from storage.uia import UiaSession as UiaSession
from storage.uia import bind_body, complete_stage, delete_session, get_session, insert_session

SESSION_LENGTH = 32
_NOT_BOUND = frozenset({"auth", "password", "new_password"})

Flows = tuple[tuple[Stage, ...], ...]

PASSWORD: Flows = ((Stage.PASSWORD,),)


@dataclass(frozen=True, slots=True)
class Operation:
    """What is asked for: the request's method, path and JSON object, with its `auth` where the client has come so far."""

    method: str
    path: str
    body: Mapping[str, Any]

    def digest(self) -> bytes:
        """What the session is bound to; empty when the body says nothing yet, as in a question for the flows."""
        bound = {name: value for name, value in self.body.items() if name not in _NOT_BOUND}
        return sha256(orjson.dumps(bound, option=orjson.OPT_SORT_KEYS)).digest() if bound else b""


async def require_uia(
    tenant: Tenant, requester: Requester | None, operation: Operation, flows: Flows
) -> Mapping[str, str]:
    """What the stages have shown (`user_id`, `registration_token`), once a flow is complete; the session ends with it.

    Raises InteractiveAuthNeeded with what is left to do, and with the error of the stage that has failed; Unrecognized for
    sessions that came through OAuth, whose place for this is the account page.
    """
    refuse_oauth(requester)
    user_id = None if requester is None else requester.user_id
    flows = await with_providers(tenant, user_id, flows)
    said = _auth_of(operation.body)
    if said is None:
        raise _needed(tenant, flows, await _begin(tenant, user_id, operation))
    session = await _continued(tenant, user_id, operation, said, flows)
    session = await _tried(tenant, user_id, session, said, flows)
    if not any(set(flow) <= set(session.completed) for flow in flows):
        raise _needed(tenant, flows, session)
    async with tenant.database.read() as tx:
        if not await delete_session(tx, session.session):
            raise Forbidden("This authentication has been used already")
    return session.facts


def _auth_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    said = body.get("auth")
    if said is None:
        return None
    if not isinstance(said, dict):
        raise BadJson("auth must be an object")
    for name in ("type", "session"):
        if not isinstance(said.get(name, ""), str):
            raise BadJson(f"auth.{name} must be a string")
    return said


def _purpose(user_id: UserID | None, operation: Operation) -> str:
    return f"{user_id or ''} {operation.method} {operation.path}"


async def _begin(tenant: Tenant, user_id: UserID | None, operation: Operation) -> UiaSession:
    name = tenant.random.token(SESSION_LENGTH)
    session = UiaSession(name, _purpose(user_id, operation), operation.digest(), (), {})
    async with tenant.database.read() as tx:
        await insert_session(tx, session, tenant.clock.now())
    return session


async def _continued(
    tenant: Tenant, user_id: UserID | None, operation: Operation, said: Mapping[str, Any], flows: Flows
) -> UiaSession:
    """The session that the client goes on with; one that names none begins one and passes its first stage at once."""
    if "session" not in said:
        return await _begin(tenant, user_id, operation)
    session = await find_session(tenant, said["session"])
    if session is None:
        fresh = await _begin(tenant, user_id, operation)
        raise _needed(tenant, flows, fresh, Forbidden("The authentication session is unknown or has expired"))
    body = operation.digest()
    if session.purpose != _purpose(user_id, operation) or session.body not in (b"", body):
        raise Forbidden("The authentication session was begun for something else")
    if session.body != body:
        async with tenant.database.read() as tx:
            await bind_body(tx, session.session, body)
    return session


def path_of(session: UiaSession) -> str:
    """The path of the request that the session is for."""
    return session.purpose.rpartition(" ")[2]


def user_of(session: UiaSession) -> UserID | None:
    """Who has begun it; None for nobody in particular."""
    user_id = session.purpose.partition(" ")[0]
    return UserID(user_id) if user_id else None


async def find_session(tenant: Tenant, name: str) -> UiaSession | None:
    """The session of the name, if it is not too old."""
    if "\0" in name:
        return None
    async with tenant.database.read() as tx:
        return await get_session(tx, name, tenant.clock.now() - uia_lifetime(tenant))


async def _tried(
    tenant: Tenant, user_id: UserID | None, session: UiaSession, said: Mapping[str, Any], flows: Flows
) -> UiaSession:
    """The session with the stage passed that the client tries now, if it tries one."""
    stage = said.get("type")
    # «auth: {session}» alone asks whether a stage has been passed elsewhere, such as on the fallback page.
    if stage is None or stage in session.completed:
        return session
    try:
        offered = {one for flow in flows for one in flow}
        facts = await check_stage(tenant, user_id, stage, said, offered, path_of(session))
    except (LimitExceeded, SomebodyElse):
        raise  # the former says when to come back, and nothing about the stage
    except MatrixError as failed:
        raise _needed(tenant, flows, session, failed) from None
    return await pass_stage(tenant, session, stage, facts)


async def pass_stage(tenant: Tenant, session: UiaSession, stage: str, facts: Mapping[str, str]) -> UiaSession:
    """The session, in which the stage is now passed."""
    async with tenant.database.read() as tx:
        await complete_stage(tx, session.session, stage, facts)
    return replace(session, completed=(*session.completed, stage), facts={**session.facts, **facts})


def _needed(
    tenant: Tenant, flows: Flows, session: UiaSession, failed: MatrixError | None = None
) -> InteractiveAuthNeeded:
    stages = {
        "flows": [{"stages": list(flow)} for flow in flows],
        "params": params_of(tenant, flows),
        "session": session.session,
        "completed": list(session.completed),
    }
    return InteractiveAuthNeeded(stages, failed)
