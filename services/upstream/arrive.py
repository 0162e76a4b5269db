"""A person whom a provider has proved becomes a user: the one they are already, one that may be theirs, or a new one."""

from __future__ import annotations

from protocol.ids import UserID
from protocol.matrix_error import Exclusive, Forbidden, InvalidUsername, UserInUse
from services.accounts.names import meant_user_ids, new_user_id
from services.profiles import set_profile_field
from services.requester import Requester
from services.tenant import Tenant
from services.upstream.attempts import Naming, begin_naming, take_naming
from services.upstream.person import MAX_NAME, Person, fill
from services.upstream.picture import take_picture
from services.upstream.settings import Mapping
from storage.accounts import Account, get_account, insert_account
from storage.threepids import Threepid, insert_threepid
from storage.upstream import insert_link, linked_user


async def arrive(
    tenant: Tenant, provider: str, mapping: Mapping, person: Person, onward: str, browser: str
) -> UserID | str:
    """The user; or the secret of a question for a name, where the person chooses one. Raises Forbidden."""
    known = await known_user(tenant, provider, person.subject)
    if known is not None:
        return known
    localpart = (fill(mapping.localpart, person.attributes) or "").lower()
    mine = await _existing(tenant, provider, mapping, person.subject, localpart)
    if mine is not None:
        return mine
    naming = _naming(mapping, person, localpart, onward)
    _check_may_register(mapping)
    if not mapping.choose_localpart and localpart:
        try:
            return await _make(tenant, provider, naming, localpart)
        except (UserInUse, InvalidUsername, Exclusive):
            pass  # they choose another
    return await begin_naming(tenant, provider, browser, naming)


async def arrive_unasked(tenant: Tenant, provider: str, mapping: Mapping, person: Person) -> UserID:
    """The same where nobody can be asked for a name; raises Forbidden, UserInUse, InvalidUsername, Exclusive."""
    known = await known_user(tenant, provider, person.subject)
    localpart = (fill(mapping.localpart, person.attributes) or "").lower()
    found = known or await _existing(tenant, provider, mapping, person.subject, localpart)
    if found is not None:
        return found
    _check_may_register(mapping)
    return await _make(tenant, provider, _naming(mapping, person, localpart, ""), localpart)


async def choose_name(
    tenant: Tenant, provider: str, browser: str, secret: str, localpart: str
) -> tuple[UserID, str] | tuple[None, str]:
    """The new user, and where they go on; or None and the secret of the next try, since the name cannot be had."""
    naming = await take_naming(tenant, provider, browser, secret)
    try:
        return await _make(tenant, provider, naming, localpart), naming.onward
    except (UserInUse, InvalidUsername, Exclusive):
        return None, await begin_naming(tenant, provider, browser, naming)


async def known_user(tenant: Tenant, provider: str, subject: str) -> UserID | None:
    """Who the person is here."""
    async with tenant.database.read() as tx:
        user_id = await linked_user(tx, provider, subject)
    return None if user_id is None else UserID(user_id)


def _naming(mapping: Mapping, person: Person, localpart: str, onward: str) -> Naming:
    name = fill(mapping.display_name, person.attributes)
    # Only what the provider vouches for: others find the user by it, and a new password is mailed there.
    email = fill(mapping.email, person.attributes) if person.email_verified else None
    picture = fill(mapping.picture, person.attributes)
    return Naming(person.subject, name and name[:MAX_NAME], email, localpart, onward, picture)


def _check_may_register(mapping: Mapping) -> None:
    if not mapping.registration:
        raise Forbidden("You have no account here, and none can be made this way")


async def _existing(
    tenant: Tenant, provider: str, mapping: Mapping, subject: str, localpart: str
) -> UserID | None:
    """The account that has the person's name, where the operator says that it is theirs; it is linked from now on."""
    if not mapping.allow_existing or not localpart:
        return None
    async with tenant.database.transaction() as tx:
        account = await get_account(tx, *meant_user_ids(tenant, localpart.removeprefix("@")))
        if account is None or account.deactivated or account.is_guest or account.appservice is not None:
            return None
        if await insert_link(tx, provider, subject, account.user_id, tenant.clock.now()):
            return UserID(account.user_id)
    return await known_user(tenant, provider, subject)


class _LinkedMeanwhile(Exception):
    """Another request of the same person was faster."""


async def _make(tenant: Tenant, provider: str, naming: Naming, localpart: str) -> UserID:
    """The new user; raises InvalidUsername, Exclusive or UserInUse."""
    user_id, now = new_user_id(tenant, localpart), tenant.clock.now()
    try:
        async with tenant.database.transaction() as tx:
            if not await insert_account(tx, Account(user_id, None, now)):
                raise UserInUse
            if not await insert_link(tx, provider, naming.subject, user_id, now):
                raise _LinkedMeanwhile
            if naming.email is not None and "@" in naming.email:
                await insert_threepid(tx, user_id, Threepid("email", naming.email.casefold(), now, now))
    except _LinkedMeanwhile:
        known = await known_user(tenant, provider, naming.subject)
        assert known is not None  # links are never taken away
        return known
    if naming.display_name is not None:
        await set_profile_field(tenant, Requester(user_id), "displayname", naming.display_name)
    if naming.picture is not None:
        await take_picture(tenant, user_id, naming.picture)
    return user_id
