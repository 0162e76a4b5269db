"""Pushers (§Push Notifications)."""

from client_api import ClientCall
from protocol.matrix_error import MissingParam
from services.push.pushers import DEVICE_ID, ENABLED, Pusher, check_key, delete_pusher, pushers_of, set_pusher
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/client/v3/pushers", auth=Auth.USER)
async def get_pushers(call: ClientCall) -> Json:
    """The user's pushers."""
    return {"pushers": await pushers_of(call.tenant, call.requester.user_id)}


@endpoint("POST", "/_matrix/client/v3/pushers/set", auth=Auth.USER, limit=GENERAL)
async def post_pusher(call: ClientCall) -> Json:
    """Makes, changes or (`kind` null) deletes a pusher."""
    app_id, pushkey = call.text("app_id"), call.text("pushkey")
    if "kind" not in call.json_object():
        raise MissingParam("kind is missing")
    if call.text("kind", None) is None:
        check_key(app_id, pushkey)
        await delete_pusher(call.tenant, call.requester.user_id, app_id, pushkey)
        return {}
    pusher = Pusher(
        app_id,
        pushkey,
        call.text("kind"),
        call.text("app_display_name"),
        call.text("device_display_name"),
        call.text("lang"),
        call.object("data"),
        call.text("profile_tag", None),
        call.flag(ENABLED, True),
        call.text(DEVICE_ID, None),
    )
    await set_pusher(call.tenant, call.requester, pusher, append=call.flag("append", False))
    return {}
