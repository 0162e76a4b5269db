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
    "v1.13",
    "v1.14",
    "v1.15",
    "v1.16",
    "v1.17",
    "v1.18",
    "v1.19",
)
"""A version comes here when nothing that clients ask for by it is missing: tests/spec/not_yet.txt says what is, and
tests/spec/changes.txt what came with the later ones and how that is shown.
"""

UNSTABLE_FEATURES: dict[str, bool] = {
    "com.beeper.msc4446": True,  # the fully-read marker may go back
    "fi.mau.msc2815": True,  # what redacted events said, for moderators
    "org.matrix.simplified_msc3575": True,  # sliding sync, MSC4186
    "org.matrix.msc3391": True,  # deletion of account data
    "org.matrix.msc3767.time_and_day": True,  # push rules for hours and days
    "org.matrix.msc3814": True,  # dehydrated devices
    "org.matrix.msc3874": True,  # filters by how an event relates to another one
    "org.matrix.msc3881": True,  # pushers of other devices switched on and off
    "org.matrix.msc3890": True,  # local notification settings go with their device
    "org.matrix.msc3912": True,  # redactions of what relates to an event
    "org.matrix.msc4076": True,  # pushers without a badge
    "org.matrix.msc4143": True,  # RTC transports
    "org.matrix.msc4155": True,  # invites filtered by users and servers
    "org.matrix.msc4293": True,  # what somebody has sent goes with the ban
    "org.matrix.msc4306": True,  # thread subscriptions, with MSC4308
    "org.matrix.msc4380": True,  # invites blocked
    "org.matrix.msc4380.stable": True,
    "uk.half-shot.msc2666.query_mutual_rooms": True,
    "uk.half-shot.msc2666.query_mutual_rooms.stable": True,
    "uk.tcpip.msc4133": True,  # profile fields
    "uk.tcpip.msc4133.stable": True,
}
"""What is served under an unstable name, for all users."""

QR_CODES = ("org.matrix.msc4108", "io.element.msc4388")
"""Mailboxes for a login by QR code, which is for clients that use OAuth."""


@endpoint("GET", "/_matrix/client/versions", auth=Auth.OPTIONAL, guest=True)
async def get_versions(call: AnyonesCall) -> Json:
    """The versions of the specification that clients may rely on."""
    settings = call.tenant.settings
    configured = {"org.matrix.msc4140": settings.delayed_events.enabled}
    configured |= dict.fromkeys(QR_CODES, settings.oauth.enabled)
    return {"versions": list(VERSIONS), "unstable_features": UNSTABLE_FEATURES | configured}
