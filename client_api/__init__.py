"""The client-server API: a module a spec file, a function an operation."""

from services.requester import Requester
from services.tenant import Tenant
from web.call import Call

ClientCall = Call[Tenant, Requester]
"""A request with an access token."""

AnonymousCall = Call[Tenant, None]
"""A request to an endpoint that asks for no token."""

AnyonesCall = Call[Tenant, Requester | None]
"""A request to an endpoint with Auth.OPTIONAL."""
