"""Writes down what has been delivered: whatever gathers while one write is under way goes into the next."""

from __future__ import annotations

import asyncio

from protocol.ids import ServerName
from services.observations import BackgroundFailure
from services.servers.destinations import set_delivered
from services.tenant import Tenant

_PAUSE = 1000  # ms, when the database is away

Mail = tuple[int, int]


class Delivered:
    """The writer of one process. Nobody waits for it: what is lost is delivered again, and does no harm twice."""

    def __init__(self, tenant: Tenant, process: str) -> None:
        self._tenant = tenant
        self._process = process
        self._positions: dict[ServerName, int] = {}
        self._mail: dict[ServerName, Mail] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, server: ServerName, position: int, mail: Mail | None) -> None:
        """The server has everything up to this position, and up to this place in its outbox."""
        self._positions[server] = position
        if mail is not None:
            self._mail[server] = mail
        if self._task is None:
            self._task = asyncio.create_task(self._write(), name="what was delivered")

    async def written(self) -> None:
        """Returns when all that was noted is written, or could not be."""
        if (task := self._task) is not None:
            await asyncio.wait([task])

    async def _write(self) -> None:
        try:
            while self._positions:
                positions, self._positions = self._positions, {}
                mail, self._mail = self._mail, {}
                try:
                    places = [(server, *place) for server, place in mail.items()]
                    await set_delivered(self._tenant, self._process, positions, places)
                except Exception as error:  # noqa: BLE001 - it goes on
                    self._tenant.observe(BackgroundFailure("what was delivered", error))
                    self._positions = positions | self._positions
                    self._mail = mail | self._mail
                    await self._tenant.clock.sleep(_PAUSE)
        finally:
            self._task = None
