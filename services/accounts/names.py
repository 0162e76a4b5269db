"""Names of accounts: which may be registered, and which account somebody means."""

from __future__ import annotations

from protocol.ids import UserID, fits, is_valid_new_localpart
from protocol.matrix_error import Exclusive, InvalidUsername
from services.appservices.registry import Appservice
from services.tenant import Tenant


def new_user_id(tenant: Tenant, localpart: str, appservice: Appservice | None = None) -> UserID:
    """The user ID that the name would get. Raises InvalidUsername, or Exclusive for a name reserved for another."""
    user_id = UserID(f"@{localpart}:{tenant.name}")
    if not is_valid_new_localpart(localpart):
        raise InvalidUsername("A user name consists of a-z, 0-9 and ._=-/+")
    if not fits(user_id):
        raise InvalidUsername("The user name is too long")
    owner = tenant.appservices.owner_of_user(user_id)
    if owner is not None and owner is not appservice:
        raise Exclusive
    return user_id


def meant_user_ids(tenant: Tenant, name: str) -> tuple[str, ...]:
    """The local user IDs that a localpart or a full user ID may mean, the likeliest first; none for another server's.

    Accounts that are made today are in lower case, older ones may not be.
    """
    localpart = name
    if name.startswith("@"):
        localpart, _, server = name[1:].partition(":")
        if server != tenant.name:
            return ()
    spellings = dict.fromkeys((localpart, localpart.lower()))
    return tuple(f"@{spelling}:{tenant.name}" for spelling in spellings)
