"""Locking and suspending accounts (§Server administration, «Account locking», «Account suspension»)."""

from client_api import ClientCall
from services.accounts.standing import change_standing, standing_for
from web.endpoint import Auth, endpoint
from web.reply import Json

_LOCK = "/_matrix/client/v1/admin/lock/{userId}"
_SUSPEND = "/_matrix/client/v1/admin/suspend/{userId}"


@endpoint("GET", _LOCK, auth=Auth.USER)
async def get_admin_lock_user(call: ClientCall) -> Json:
    """Whether the account is locked."""
    return {"locked": (await standing_for(call.tenant, call.requester, call.user_id())).locked}


@endpoint("PUT", _LOCK, auth=Auth.USER)
async def set_admin_lock_user(call: ClientCall) -> Json:
    """Locks the account, or frees it."""
    locked = call.flag("locked")
    await change_standing(call.tenant, call.requester, call.user_id(), locked=locked)
    return {"locked": locked}


@endpoint("GET", _SUSPEND, auth=Auth.USER)
async def get_admin_suspend_user(call: ClientCall) -> Json:
    """Whether the account is suspended."""
    return {"suspended": (await standing_for(call.tenant, call.requester, call.user_id())).suspended}


@endpoint("PUT", _SUSPEND, auth=Auth.USER)
async def set_admin_suspend_user(call: ClientCall) -> Json:
    """Suspends the account, or frees it."""
    suspended = call.flag("suspended")
    await change_standing(call.tenant, call.requester, call.user_id(), suspended=suspended)
    return {"suspended": suspended}
