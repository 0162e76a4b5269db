"""The provisioning tool that administrators have, on our endpoint."""

import asyncio
import sys

import pytest

from services.settings import Registration, RegistrationMode
from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, MakeHomeserver

SECRET = "a shared secret"


@pytest.mark.peers
@pytest.mark.parametrize("flag", ["--admin", "--no-admin"])
async def test_an_existing_tool_makes_an_account(make_homeserver: MakeHomeserver, flag: str) -> None:
    pytest.importorskip("synapse")
    registration = Registration(RegistrationMode.CLOSED, shared_secret=SECRET)
    homeserver = await make_homeserver(registration=registration)
    command = [sys.executable, "-m", "synapse._scripts.register_new_matrix_user"]
    command += ["-u", "alice", "-p", PASSWORD, flag, "-k", SECRET, homeserver.url]
    tool = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await tool.communicate()
    assert b"Success" in said, said.decode()
    client = Client(homeserver.session, homeserver.url, "@alice:one.example")
    await client.log_in(PASSWORD)
