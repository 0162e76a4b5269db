"""Signing events as a policy server (§Policy Servers), which this server is not."""

from __future__ import annotations

from federation import ServerCall
from protocol.matrix_error import Unrecognized
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/policy/v1/sign", auth=Auth.SERVER, limit=GENERAL)
async def ask_policy_server_to_sign(call: ServerCall) -> Json:
    """«M_UNRECOGNIZED: The server is not a Policy Server.»"""
    raise Unrecognized("This server is not a policy server")
