"""A homeserver that we did not write, running for the tests, and how its program is started and ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from aiohttp import ClientError, ClientSession

from tests.fixtures.client import Client

PASSWORD = "correct horse battery staple"


class Side(Protocol):
    """One of the two servers of a play: ours (tests.fixtures.homeserver.Homeserver) or the other."""

    @property
    def name(self) -> str:
        """Its server name."""

    async def user(self, localpart: str) -> Client:
        """A new user at their first device."""


@dataclass
class Peer:
    """A running server of somebody else's; `name` is localhost and its TLS port."""

    name: str
    session: ClientSession
    log: Path

    @property
    def url(self) -> str:
        """Where clients and servers reach it."""
        return f"https://{self.name}"

    async def user(self, localpart: str) -> Client:
        """A new user at their first device."""
        client = Client(self.session, self.url)
        auth = {"type": "m.login.dummy"}
        body = {"username": localpart, "password": PASSWORD, "device_id": localpart.upper(), "auth": auth}
        said = await client.ok("POST", "register", json=body)
        client.user_id, client.device_id = said["user_id"], said["device_id"]
        client.access_token, client.password = said["access_token"], PASSWORD
        return client


def missing(what: str) -> None:
    """Skips the test loudly, or fails it where everything has to be there (CI)."""
    if "CI" in os.environ:
        pytest.fail(what)
    pytest.skip(what)


@asynccontextmanager
async def running(
    command: Sequence[str], folder: Path, peer: Peer, environment: Mapping[str, str] = os.environ
) -> AsyncIterator[Peer]:
    """The peer while its program runs; returns when it answers, raises RuntimeError with its log when it does not."""
    with peer.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdout=log, stderr=log, env=dict(environment)
        )
    try:
        await _answers(process, peer)
        yield peer
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _answers(process: asyncio.subprocess.Process, peer: Peer) -> None:
    try:
        async with asyncio.timeout(180):
            while process.returncode is None:
                try:
                    async with peer.session.get(f"{peer.url}/_matrix/client/versions") as reply:
                        if reply.status == 200:
                            return
                except ClientError:
                    await asyncio.sleep(0.1)
    except TimeoutError:
        pass
    raise RuntimeError(f"{peer.name} does not answer:\n{peer.log.read_text()[-4000:]}")
