"""Registering through the client API (§Legacy API, «Account registration and management»)."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import UserID
from protocol.matrix_error import Exclusive, Forbidden, GuestAccessForbidden, InvalidUsername
from services.accounts.create import Shows, check_free, create_account, made_up_localpart
from services.accounts.names import new_user_id
from services.accounts.passwords import check_strength
from services.accounts.uia import Flows, Operation, require_uia
from services.accounts.uia_email import shown_of
from services.accounts.uia_stages import Stage
from services.accounts.upgrade_guest import guest_of, upgrade_guest
from services.appservices.registry import Appservice
from services.mail.outbox import may_send
from services.settings import EmailAtRegistration, MailKind, RegistrationMode
from services.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Registration:
    """What somebody asks for; without a name one is made up."""

    username: str | None
    password: str | None
    guest_token: str | None = None  # of the guest that is to become the user


async def register_user(tenant: Tenant, wanted: Registration, operation: Operation) -> UserID:
    """The new user. Raises what create_account raises, Forbidden when nobody may, or InteractiveAuthNeeded."""
    flows = flows_of(tenant)
    localpart, guest = None if wanted.username is None else wanted.username.lower(), None
    # What would be refused in the end is refused before anybody goes through the stages for nothing.
    if wanted.guest_token is not None:
        guest = await guest_of(tenant, wanted.guest_token, localpart)
    elif localpart is not None:
        await check_available(tenant, localpart)
    if wanted.password is not None:
        check_strength(tenant.settings.passwords, wanted.password)
    shown = await require_uia(tenant, None, operation, flows)
    shows = Shows(shown.get("registration_token"), shown_of(shown, tenant.clock.now()))
    if guest is not None:
        return await upgrade_guest(tenant, guest, wanted.password, shows)
    return await create_account(tenant, localpart, wanted.password, shows=shows)


async def register_guest(tenant: Tenant) -> UserID:
    """A new guest; raises GuestAccessForbidden where there are none."""
    if not tenant.settings.registration.guests:
        raise GuestAccessForbidden("There is no guest access here")
    return await create_account(tenant, None, None, is_guest=True)


async def register_for_appservice(tenant: Tenant, appservice: Appservice, username: str | None) -> UserID:
    """A new user of the application service; raises Exclusive, InvalidUsername or UserInUse."""
    localpart = made_up_localpart(tenant) if username is None else username.lower()
    user_id = new_user_id(tenant, localpart, appservice)
    if not appservice.may_act_for(user_id):
        raise Exclusive("This name is not in the namespace of the application service")
    return await create_account(tenant, localpart, None, appservice=appservice)


async def check_available(tenant: Tenant, localpart: str) -> None:
    """Raises InvalidUsername, Exclusive or UserInUse."""
    if not localpart:
        raise InvalidUsername("A user name cannot be empty")
    await check_free(tenant, new_user_id(tenant, localpart))


def flows_of(tenant: Tenant) -> Flows:
    """How somebody can register; raises Forbidden when nobody can."""
    registration = tenant.settings.registration
    if registration.mode is RegistrationMode.CLOSED:
        raise Forbidden("Registration is closed")
    stages: tuple[Stage, ...] = (Stage.TERMS,) if registration.terms else ()
    if registration.captcha is not None:
        stages = (Stage.CAPTCHA, *stages)
    if registration.mode is RegistrationMode.TOKEN:
        stages = (Stage.REGISTRATION_TOKEN, *stages)
    without, with_email = stages or (Stage.DUMMY,), (*stages, Stage.EMAIL)
    if not may_send(tenant, MailKind.VERIFICATION):
        return (without,)
    match registration.email:
        case EmailAtRegistration.REQUIRED:
            return (with_email,)
        case EmailAtRegistration.OPTIONAL:
            return (without, with_email)
        case EmailAtRegistration.NONE:
            return (without,)
