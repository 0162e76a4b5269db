"""Which versions of the specification, and which features beside it, this server supports."""

from client_api import AnyonesCall
from web.endpoint import Auth, endpoint
from web.reply import Json

VERSIONS = (
    # Old clients and bots look for the r0 versions only.
    "r0.5.0",
    "r0.6.0",
    "r0.6.1",
    "v1.1",
    "v1.2",
    "v1.3",
    "v1.4",
    "v1.5",
    "v1.6",
    "v1.7",
    "v1.8",
    "v1.9",
    "v1.10",
    "v1.11",
    "v1.12",
)
"""A version comes here when nothing that clients ask for by it is missing; tests/spec/not_yet.txt says what is."""

UNSTABLE_FEATURES: dict[str, bool] = {
    "org.matrix.simplified_msc3575": True,  # sliding sync, MSC4186
}
"""What is served under an unstable name, for all users."""


@endpoint("GET", "/_matrix/client/versions", auth=Auth.OPTIONAL, guest=True)
async def get_versions(call: AnyonesCall) -> Json:
    """The versions of the specification that clients may rely on."""
    return {"versions": list(VERSIONS), "unstable_features": UNSTABLE_FEATURES}
