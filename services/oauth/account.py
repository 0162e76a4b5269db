"""What the account pages show and do that no endpoint does: sessions with their clients, and another password."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import DeviceID
from services.accounts.devices import Device, find_device, list_devices
from services.accounts.login import by_password
from services.accounts.passwords import check_strength, hash_password
from services.oauth.browsers import Browser
from services.oauth.clients import find_client
from services.tenant import Tenant
from storage.accounts import get_account, set_password
from storage.oauth.sessions import clients_of_devices


@dataclass(frozen=True, slots=True)
class Session:
    """A device, and the name of the client that it got in with, where it came through OAuth."""

    device: Device
    client: str | None

    @property
    def name(self) -> str:
        """What the user knows it by."""
        return self.device.display_name or self.client or self.device.device_id


async def sessions_of(tenant: Tenant, browser: Browser) -> list[Session]:
    """All devices of the user, the last seen first."""
    devices = await list_devices(tenant, browser.requester)
    names = await _client_names(tenant, browser)
    found = [Session(device, names.get(device.device_id)) for device in devices]
    return sorted(found, key=lambda session: session.device.last_seen_ts or 0, reverse=True)


async def session_of(tenant: Tenant, browser: Browser, device_id: str) -> Session:
    """One of them; raises NotFound."""
    device = await find_device(tenant, browser.requester, DeviceID(device_id))
    return Session(device, (await _client_names(tenant, browser)).get(device_id))


async def has_password(tenant: Tenant, browser: Browser) -> bool:
    """Does the user log in with a password?"""
    async with tenant.database.read() as tx:
        account = await get_account(tx, browser.user_id)
    return account is not None and account.password_hash is not None


async def replace_password(tenant: Tenant, browser: Browser, old: str, new: str) -> None:
    """The new password is good, and all other browsers are signed out; raises Forbidden, WeakPassword."""
    await by_password(tenant, browser.user_id, old)
    check_strength(tenant.settings.passwords, new)
    password_hash = await hash_password(tenant, new)
    async with tenant.database.read() as tx:
        await set_password(tx, browser.user_id, password_hash)


async def _client_names(tenant: Tenant, browser: Browser) -> dict[str, str]:
    names = {}
    async with tenant.database.read() as tx:
        clients = await clients_of_devices(tx, browser.user_id)
        for client_id in set(clients.values()):
            client = await find_client(tx, client_id)
            names[client_id] = client.name if client else client_id
    return {device_id: names[client_id] for device_id, client_id in clients.items()}
