"""Writes down what was delivered or could not be: whatever gathers while one write is under way goes into the next."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from protocol.ids import ServerName
from services.observations import BackgroundFailure
from services.servers.destinations import set_delivered, set_failed
from services.tenant import Tenant

_PAUSE = 1000  # ms, when the database is away
_LINGER = 0.2  # seconds in which more may be delivered that is written down together

Mail = tuple[int, int]


class Delivered:
    """The writer of one process. Nobody waits for it: what is lost is delivered again, and does no harm twice."""

    def __init__(self, tenant: Tenant, process: str) -> None:
        self._tenant = tenant
        self._process = process
        self._positions: dict[ServerName, int] = {}
        self._mail: dict[ServerName, Mail] = {}
        self._failures: dict[ServerName, tuple[int, int]] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def note(self, server: ServerName, position: int, mail: Mail | None) -> None:
        """The server has everything up to this position, and up to this place in its outbox."""
        self._positions[server] = position
        if mail is not None:
            self._mail[server] = mail
            self._hurry.set()
        self._begin()

    async def failed(self, server: ServerName, now: int, pause: int) -> None:
        """Returns when it is written that the server could not be reached, and is to be left alone for so long (ms)."""
        self._failures[server] = (now, pause)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(written)
        self._hurry.set()
        self._begin()
        await written

    def _begin(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._write(), name="what was delivered")

    async def written(self) -> None:
        """Returns when all that was noted is written, or could not be."""
        if (task := self._task) is not None:
            self._hurry.set()
            await asyncio.wait([task])

    async def _write(self) -> None:
        try:
            while self._positions or self._failures:
                await self._linger()
                positions, self._positions = self._positions, {}
                mail, self._mail = self._mail, {}
                failures, self._failures = self._failures, {}
                waiting, self._waiting = self._waiting, []
                try:
                    await self._write_down(positions, mail, failures)
                except Exception as error:  # noqa: BLE001 - it goes on
                    self._tenant.observe(BackgroundFailure("what was delivered", error))
                    self._positions = positions | self._positions
                    self._mail = mail | self._mail
                    self._failures = failures | self._failures
                    self._waiting += waiting
                    await self._tenant.clock.sleep(_PAUSE)
                else:
                    for one in waiting:
                        if not one.done():
                            one.set_result(None)
        finally:
            self._task = None

    async def _linger(self) -> None:
        """Returns when somebody waits for what is to be written, or it has gathered for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                await self._hurry.wait()
        self._hurry.clear()

    async def _write_down(
        self,
        positions: dict[ServerName, int],
        mail: dict[ServerName, Mail],
        failures: dict[ServerName, tuple[int, int]],
    ) -> None:
        # What was delivered first: a server has failed after that.
        if positions:
            places = [(server, *place) for server, place in mail.items()]
            await set_delivered(self._tenant, self._process, positions, places)
        if failures:
            await set_failed(self._tenant, self._process, failures)
