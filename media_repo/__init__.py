"""The content repository: files that users upload, and smaller pictures of them."""

from services.requester import Requester
from services.tenant import Tenant
from web.call import Call

ClientCall = Call[Tenant, Requester]
