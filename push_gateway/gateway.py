"""The gateway: who may ask, which application a device has, and what the homeserver is told of how it ended."""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Final

from protocol.matrix_error import Forbidden, LimitExceeded, MatrixError
from push_gateway.notification import Device, Notification
from push_gateway.observations import ProviderBack, ProviderFails, PushNotDelivered, digest_of
from push_gateway.outcome import Delivered, Dropped, Failed, Outcome, Rejected, Unreachable
from push_gateway.ports import Deliverer, Uses
from push_gateway.settings import App, Rate, Settings

BAD_GATEWAY: Final = 502
MAX_PUSHKEY: Final = 4_096
MAX_TOLD: Final = 100_000
"""Pushes that are remembered, so that a homeserver's second try does not ring twice."""
TOLD_FOR: Final = 3_600_000
WAITING: Final = 20
"""Times as many pushes as may be under way at once may wait; more are told to come back."""
BUSY_PAUSE: Final = 1_000
UNKNOWN: Final = "-"


class NotDelivered(MatrixError):
    """A provider fails; the homeserver is to try again."""

    status, usual_message = BAD_GATEWAY, "The push provider does not take pushes at the moment"

    def __init__(self, pause: int | None) -> None:
        super().__init__()
        self._pause = pause

    @property
    def retry_after_ms(self) -> int | None:
        """As the provider says."""
        return self._pause


class Gateway:
    """Pushes to the devices of the applications that were configured."""

    def __init__(self, settings: Settings, deliverers: Mapping[str, Deliverer], uses: Uses) -> None:
        """`deliverers` by the app's `id`."""
        self.settings = settings
        self.pushes: Counter[tuple[str, str, str]] = Counter()
        """How many ended how: app, provider, outcome."""
        self._deliverers = deliverers
        self._uses = uses
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._under_way = 0
        self._told: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._failing: set[str] = set()

    @property
    def under_way(self) -> int:
        """How many pushes are being made, or wait."""
        return self._under_way

    async def notify(self, notification: Notification, devices: Sequence[Device]) -> list[str]:
        """The pushkeys that are valid no more; raises NotDelivered or LimitExceeded when it is to be tried again."""
        if self._under_way + len(devices) > self.settings.concurrency * WAITING:
            raise LimitExceeded(BUSY_PAUSE, "Too many pushes are under way")
        self._take_all(devices)
        outcomes = await asyncio.gather(*(self.push(notification, device) for device in devices))
        failed = [one for one in outcomes if isinstance(one, Failed)]
        if failed:
            raise NotDelivered(max((one.pause for one in failed if one.pause is not None), default=None))
        return [
            device.pushkey
            for device, outcome in zip(devices, outcomes, strict=True)
            if isinstance(outcome, Rejected)
        ]

    async def push(self, notification: Notification, device: Device) -> Outcome:
        """How one push ended; one that was delivered already is not repeated."""
        app = self.app_of(device.app_id)
        if app is None or not 0 < len(device.pushkey) <= MAX_PUSHKEY:
            outcome: Outcome = Rejected("there is no such app here" if app is None else "this is no pushkey")
            self._happened(None, device, outcome)
            return outcome
        key = (device.app_id, device.pushkey, notification.event_id or "")
        if notification.event_id is not None and self._told.get(key, 0) > self._uses.now():
            return Delivered()
        self._under_way += 1
        try:
            async with self._slots:
                outcome = await self._deliverers[app.id].push(notification, device)
        except Unreachable as error:
            outcome = Failed(str(error))
        finally:
            self._under_way -= 1
        if isinstance(outcome, Delivered) and notification.event_id is not None:
            self._remember(key)
        self._happened(app, device, outcome)
        return outcome

    def app_of(self, app_id: str) -> App | None:
        """The first application whose ID or pattern this is."""
        return next((app for app in self.settings.apps if fnmatchcase(app_id, app.id)), None)

    def check(self, address: str, secret: str | None) -> None:
        """May this homeserver ask? Raises Forbidden or LimitExceeded."""
        settings = self.settings
        if settings.homeservers and not _is_within(address, settings):
            raise Forbidden("This push gateway does not serve you")
        if settings.secret is not None and not hmac.compare_digest(
            settings.secret.encode(), (secret or "").encode("utf-8", "replace")
        ):
            raise Forbidden("This push gateway asks for a secret")
        self._take(f"address:{address}", settings.per_address)

    async def close(self) -> None:
        """Ends all connections."""
        for deliverer in self._deliverers.values():
            await deliverer.close()

    def _take_all(self, devices: Sequence[Device]) -> None:
        for device in devices:
            self._take(
                f"pushkey:{digest_of(device.app_id)}:{digest_of(device.pushkey)}", self.settings.per_pushkey
            )

    def _take(self, key: str, rate: Rate) -> None:
        wait = self._uses.buckets.take_now(key, rate.per_second, rate.burst, self._uses.now())
        if wait > 0:
            raise LimitExceeded(wait)

    def _remember(self, key: tuple[str, str, str]) -> None:
        now = self._uses.now()
        self._told[key] = now + TOLD_FOR
        while self._told and (len(self._told) > MAX_TOLD or next(iter(self._told.values())) <= now):
            self._told.popitem(last=False)

    def _happened(self, app: App | None, device: Device, outcome: Outcome) -> None:
        name, provider = (app.id, app.provider.value) if app else (UNKNOWN, UNKNOWN)
        what = type(outcome).__name__.lower()
        self.pushes[name, provider, what] += 1
        if isinstance(outcome, Rejected | Dropped):
            shown = digest_of(device.pushkey)
            self._uses.observe(PushNotDelivered(device.app_id, provider, shown, what, outcome.reason))
        elif isinstance(outcome, Failed) and name not in self._failing:
            self._failing.add(name)
            self._uses.observe(ProviderFails(name, provider, outcome.reason))
        if isinstance(outcome, Delivered) and name in self._failing:
            self._failing.discard(name)
            self._uses.observe(ProviderBack(name, provider))


def _is_within(address: str, settings: Settings) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return any((mapped or ip) in network for network in settings.homeservers)
