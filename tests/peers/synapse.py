"""Synapse, from PyPI: one process on SQLite, with TLS, trusting the tests' certificate authority."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from aiohttp import ClientSession, TCPConnector

from tests.fixtures.certificates import Authority
from tests.fixtures.federation import free_port
from tests.peers.peer import Peer, missing, running

_CONFIG = """
server_name: {name}
report_stats: false
pid_file: {folder}/pid
signing_key_path: {folder}/signing.key
media_store_path: {folder}/media
log_config: {folder}/log.yaml
enable_registration: true
enable_registration_without_verification: true
bcrypt_rounds: 4
trusted_key_servers: []
federation_custom_ca_list: [{authority}]
ip_range_blacklist: []
federation_ip_range_blacklist: []
allow_public_rooms_over_federation: true
room_list_publication_rules: [{{action: allow}}]
presence: {{enabled: false}}
tls_certificate_path: {certificate}
tls_private_key_path: {key}
listeners:
  - {{port: {port}, bind_addresses: [127.0.0.1], type: http, tls: true, resources: [{{names: [client, federation]}}]}}
database: {{name: sqlite3, args: {{database: "{folder}/synapse.db"}}}}
rc_message: &free {{per_second: 1000000, burst_count: 1000000}}
rc_registration: *free
rc_login: {{address: *free, account: *free, failed_attempts: *free}}
rc_joins: {{local: *free, remote: *free}}
rc_joins_per_room: *free
rc_invites: {{per_room: *free, per_user: *free, per_issuer: *free}}
rc_admin_redaction: *free
rc_key_requests: *free
rc_media_create: *free
rc_room_creation: *free
rc_federation: {{concurrent: 1000, reject_limit: 10000, sleep_limit: 100000}}
"""
_LOG = """
version: 1
formatters: {brief: {format: "%(asctime)s %(levelname)s %(name)s %(message)s"}}
handlers: {console: {class: logging.StreamHandler, formatter: brief}}
root: {level: INFO, handlers: [console]}
disable_existing_loggers: false
"""


@asynccontextmanager
async def synapse(folder: Path, authority: Authority) -> AsyncIterator[Peer]:
    """A running Synapse whose data are in the folder."""
    if find_spec("synapse") is None:
        missing("matrix-synapse is not installed: scripts/test installs it")
    issued, port = authority.issue("localhost", "127.0.0.1"), free_port()
    config = folder / "homeserver.yaml"
    config.write_text(
        _CONFIG.format(
            name=f"localhost:{port}",
            port=port,
            folder=folder,
            authority=authority.file,
            certificate=issued.certificate,
            key=issued.key,
        )
    )
    (folder / "log.yaml").write_text(_LOG)
    command = [sys.executable, "-m", "synapse.app.homeserver", "-c", str(config)]
    keys = await asyncio.create_subprocess_exec(*command, "--generate-keys")
    assert await keys.wait() == 0
    async with ClientSession(connector=TCPConnector(limit=0, ssl=authority.client_context())) as session:
        peer = Peer(f"localhost:{port}", session, folder / "log")
        async with running(command, folder, peer):
            yield peer
