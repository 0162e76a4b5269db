"""Cross-signing keys and signatures (§Cross-signing)."""

from typing import Any

from client_api import ClientCall
from client_api.interactive import operation_of
from protocol.ids import parse_user_id
from protocol.matrix_error import BadJson
from services.keys import cross_signing, signatures
from services.keys.usage import Usage
from web.endpoint import KEYS, Auth, endpoint
from web.reply import Json

MAX_BODY = 1024 * 1024


@endpoint("POST", "/_matrix/client/v3/keys/device_signing/upload", auth=Auth.USER, limit=KEYS)
async def upload_cross_signing_keys(call: ClientCall) -> Json:
    """Publishes the user's cross-signing keys; others than the first ones want the user's password."""
    found = {usage: call.fields.object(f"{usage}_key", None) for usage in Usage}
    given = {usage: json for usage, json in found.items() if json is not None}
    operation = operation_of(call)
    await cross_signing.upload_cross_signing_keys(call.tenant, call.requester, given, operation)
    return {}


@endpoint("POST", "/_matrix/client/v3/keys/signatures/upload", auth=Auth.USER, limit=KEYS, max_body=MAX_BODY)
async def upload_cross_signing_signatures(call: ClientCall) -> Json:
    """Publishes signatures; `failures` are those that were not taken."""
    uploaded = {
        parse_user_id(user_id): _objects(user_id, keys) for user_id, keys in call.json_object().items()
    }
    failures = await signatures.upload_signatures(call.tenant, call.requester.user_id, uploaded)
    return {
        "failures": {
            user_id: {name: error.body() for name, error in keys.items()}
            for user_id, keys in failures.items()
        }
    }


def _objects(name: str, value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(json, dict) for json in value.values()):
        raise BadJson(f"{name} must map key IDs to objects")
    return value
