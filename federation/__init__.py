"""The server-server API: what other servers ask us (`server/`, `inbound/`), and what we ask and tell them."""

from services.requester import Peer
from services.tenant import Tenant
from web.call import Call

ServerCall = Call[Tenant, Peer]
"""A request that another server has signed."""

AnonymousCall = Call[Tenant, None]
"""A request to an endpoint that asks for no signature."""
