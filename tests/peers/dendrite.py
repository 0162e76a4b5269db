"""Dendrite, built from the Go module proxy by scripts/test: one process on the tests' PostgreSQL, with TLS."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import ClientSession, TCPConnector

from tests.fixtures.certificates import Authority
from tests.fixtures.federation import free_port
from tests.peers.peer import Peer, missing, running

_BINARIES = Path(__file__).parent / "go" / "bin"
_DATABASE = "dendrite"
_CONFIG = """
version: 2
global:
  server_name: {name}
  private_key: {folder}/matrix_key.pem
  database: {{connection_string: "{database}", max_open_conns: 20, max_idle_conns: 5, conn_max_lifetime: -1}}
  jetstream: {{storage_path: "{folder}", in_memory: true}}
  presence: {{enable_inbound: false, enable_outbound: false}}
client_api:
  registration_disabled: false
  rate_limiting: {{enabled: false}}
federation_api:
  key_perspectives: []
  deny_networks: []
  allow_networks: ["0.0.0.0/0"]
media_api: {{base_path: "{folder}/media", dynamic_thumbnails: true}}
user_api: {{bcrypt_cost: 4}}
logging: [{{type: std, level: info}}]
"""


@asynccontextmanager
async def dendrite(folder: Path, authority: Authority, postgres: dict[str, Any]) -> AsyncIterator[Peer]:
    """A running Dendrite whose files are in the folder and whose database is one of its own."""
    if not (_BINARIES / "dendrite").exists():
        missing("Dendrite is not built: scripts/test builds it, with go installed")
    issued, port = authority.issue("localhost", "127.0.0.1"), free_port()
    keys = await asyncio.create_subprocess_exec(
        _BINARIES / "generate-keys", "--private-key", folder / "matrix_key.pem"
    )
    assert await keys.wait() == 0
    database = await _new_database(postgres)
    text = _CONFIG.format(name=f"localhost:{port}", folder=folder, database=database)
    (folder / "dendrite.yaml").write_text(text)
    command = [str(_BINARIES / "dendrite"), "--config", str(folder / "dendrite.yaml")]
    command += ["--really-enable-open-registration", "--http-bind-address", f"127.0.0.1:{free_port()}"]
    command += ["--https-bind-address", f"127.0.0.1:{port}"]
    command += ["--tls-cert", str(issued.certificate), "--tls-key", str(issued.key)]
    trust = os.environ | {"SSL_CERT_FILE": str(authority.file)}
    async with ClientSession(connector=TCPConnector(limit=0, ssl=authority.client_context())) as session:
        peer = Peer(f"localhost:{port}", session, folder / "log")
        async with running(command, folder, peer, trust):
            yield peer


async def _new_database(postgres: dict[str, Any]) -> str:
    """The URL of a new database."""
    connection = await asyncpg.connect(**postgres)
    await connection.execute(f"DROP DATABASE IF EXISTS {_DATABASE} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {_DATABASE}")
    await connection.close()
    return f"postgresql:///{_DATABASE}?host={postgres['host']}&user={postgres['user']}&sslmode=disable"
