"""Devices' keys: upload, query, claim, and whose have changed (§Key management API)."""

from typing import Any

from client_api import ClientCall
from protocol.ids import parse_user_id
from protocol.matrix_error import BadJson
from services.keys import claim, query, upload
from services.keys.device_lists import changes_between
from services.keys.usage import Usage
from services.sync.token import parse_token
from web.body import Fields
from web.endpoint import KEYS, Auth, endpoint
from web.reply import Json

MAX_BODY = 1024 * 1024


@endpoint("POST", "/_matrix/client/v3/keys/upload", auth=Auth.USER, guest=True, limit=KEYS, max_body=MAX_BODY)
async def upload_keys(call: ClientCall) -> Json:
    """How many one-time keys the device has now."""
    fields = call.fields
    uploaded = upload.KeysUpload(
        device_keys=fields.object("device_keys", None),
        one_time_keys=fields.object("one_time_keys", {}),
        fallback_keys=fields.object("fallback_keys", {}),
    )
    return {"one_time_key_counts": await upload.upload_keys(call.tenant, call.requester, uploaded)}


@endpoint("POST", "/_matrix/client/v3/keys/query", auth=Auth.USER, guest=True, limit=KEYS, max_body=MAX_BODY)
async def query_keys(call: ClientCall) -> Json:
    """The keys of the users' devices, and the users' own."""
    call.fields.duration("timeout", 0)
    asked = call.fields.object("device_keys")
    wanted = {parse_user_id(user_id): Fields(asked).strings(user_id, []) for user_id in asked}
    found = await query.query_keys(call.tenant, call.requester.user_id, wanted)
    return {
        "device_keys": found.device_keys,
        "master_keys": found.cross_signing[Usage.MASTER],
        "self_signing_keys": found.cross_signing[Usage.SELF_SIGNING],
        "user_signing_keys": found.cross_signing[Usage.USER_SIGNING],
        "failures": found.failures,
    }


@endpoint("POST", "/_matrix/client/v3/keys/claim", auth=Auth.USER, guest=True, limit=KEYS, max_body=MAX_BODY)
async def claim_keys(call: ClientCall) -> Json:
    """A key for each of the devices."""
    call.fields.duration("timeout", 0)
    asked = call.fields.object("one_time_keys")
    claims = {parse_user_id(user_id): _texts(user_id, devices) for user_id, devices in asked.items()}
    claimed = await claim.claim_keys(call.tenant, claims)
    return {"one_time_keys": claimed.one_time_keys, "failures": claimed.failures}


@endpoint("GET", "/_matrix/client/v3/keys/changes", auth=Auth.USER, limit=KEYS)
async def get_keys_changes(call: ClientCall) -> Json:
    """Whose devices have changed between two points of /sync, and whose are of no interest any more."""
    since, upto = parse_token(call.query_text("from")), parse_token(call.query_text("to"))
    changed, left = await changes_between(call.tenant, call.requester.user_id, since, upto)
    return {"changed": changed, "left": left}


def _texts(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise BadJson(f"{name} must map device IDs to algorithms")
    return value
