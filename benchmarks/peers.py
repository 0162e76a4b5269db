"""Servers to measure: ours and Synapse, each with a PostgreSQL of its own, all pinned to one core."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.http import Connection
from benchmarks.process import Cpu, children, cpu_ms
from storage.embedded.cluster import DATABASE, SUPERUSER
from storage.embedded.postgres import EmbeddedPostgres

SERVER_CORE, GENERATOR_CORE = 0, 1
SECRET = "benchmark"


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass(slots=True)
class Server:
    """A running homeserver: where it listens and which processes are its own."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    postgres_pid: int
    users: int = 0
    first_answer: float = 0.0
    """Seconds from the start on an empty folder to the first answer."""

    def cpu(self) -> Cpu:
        """What the server and its PostgreSQL have used so far."""
        postgres = children(self.postgres_pid)
        server = [pid for pid in children(self.process.pid) if pid not in postgres]
        return Cpu(cpu_ms(server), cpu_ms(postgres))

    def database(self) -> dict[str, str]:
        """What `asyncpg.connect` needs for the server's PostgreSQL."""
        socket = next(self.folder.rglob(".s.PGSQL.5432"))
        return {"host": str(socket.parent), "user": SUPERUSER, "database": DATABASE}

    async def user(self, name: str | None = None) -> Connection:
        """A new account by the shared-secret endpoint, logged in."""
        self.users += 1
        name = name or f"user{self.users}"
        path, connection = "/_synapse/admin/v1/register", Connection(self.port)
        nonce = (await connection.ok("GET", path))["nonce"]
        parts = [nonce, name, "password", "notadmin"]
        mac = hmac.new(SECRET.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": name, "password": "password", "admin": False, "mac": mac}
        connection.token = (await connection.ok("POST", path, body))["access_token"]
        return connection

    async def ready(self) -> None:
        """Returns when it answers; raises when it has ended."""
        began = time.perf_counter()
        for _ in range(3000):
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {(self.folder / 'log').read_text()[-2000:]}")
            try:
                await Connection(self.port).ok("GET", "/_matrix/client/versions")
                self.first_answer = time.perf_counter() - began
                return
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.02)
        raise RuntimeError(f"{self.name} does not answer")


def pin(core: int) -> None:
    """This process, and what it starts, runs on one core only."""
    os.sched_setaffinity(0, {core})


def _start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=lambda: pin(SERVER_CORE))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Tls:
    """With what a server federates: the port that its name ends with, its certificate, and whom it trusts."""

    port: int
    certificate: Path
    key: Path
    authority: Path


_HEARTH = """
server_name: localhost:{name}
data_folder: {folder}/data
listeners: [{{port: {port}}}{listener}]
registration: {{shared_secret: {secret}}}
rate_limits: {{enabled: false}}
federation: {federation}
"""
_HEARTH_LISTENER = ", {{port: {port}, tls_certificate: {certificate}, tls_key: {key}}}"
_HEARTH_FEDERATION = "{{ca_file: {authority}, allowed_private_networks: [127.0.0.0/8]}}"
_CHEAP_PASSWORDS = "passwords: {time_cost: 1, memory: 8KiB}\n"


@asynccontextmanager
async def hearth(cheap_passwords: bool = True, tls: Tls | None = None) -> AsyncIterator[Server]:
    """Our server as a person starts it, without rate limits; accounts are made faster with cheap hashes.

    With `tls` other servers can reach it, and it reaches those on this machine.
    """
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        config = _HEARTH.format(
            name=tls.port if tls else port,
            port=port,
            folder=folder,
            secret=SECRET,
            listener=_HEARTH_LISTENER.format(**asdict(tls)) if tls else "",
            federation=_HEARTH_FEDERATION.format(**asdict(tls)) if tls else "{}",
        )
        (folder / "config.yaml").write_text(config + (_CHEAP_PASSWORDS if cheap_passwords else ""))
        command = [sys.executable, "-m", "homeserver", "serve", "--config", str(folder / "config.yaml")]
        process = _start(command, folder)
        server = Server("hearth", port, process, folder, 0)
        try:
            await server.ready()
            server.postgres_pid = _postmaster(process.pid)
            yield server
        finally:
            _end(process)


def _postmaster(server: int) -> int:
    for pid in children(server):
        if Path(f"/proc/{pid}/comm").read_text().strip() == "postgres":
            return pid
    raise RuntimeError("no PostgreSQL under the server")


_SYNAPSE = """
server_name: localhost:{name}
report_stats: false
pid_file: {folder}/pid
signing_key_path: {folder}/signing.key
media_store_path: {folder}/media
log_config: {folder}/log.yaml
registration_shared_secret: {secret}
suppress_key_server_warning: true
trusted_key_servers: []
url_preview_enabled: false
presence: {{enabled: true}}
listeners:
  - {{port: {port}, bind_addresses: [127.0.0.1], type: http, tls: false, resources: [{{names: [client, federation]}}]}}
{tls}
database:
  name: psycopg2
  allow_unsafe_locale: true
  args: {{user: {user}, dbname: {database}, host: {host}, cp_min: 5, cp_max: 10}}
rc_message: &free {{per_second: 1000000, burst_count: 1000000}}
rc_registration: *free
rc_login: {{address: *free, account: *free, failed_attempts: *free}}
rc_joins: {{local: *free, remote: *free}}
rc_joins_per_room: *free
rc_invites: {{per_room: *free, per_user: *free, per_issuer: *free}}
rc_admin_redaction: *free
rc_presence: {{per_user: *free}}
rc_room_creation: *free
"""
_SYNAPSE_TLS = """
  - {{port: {port}, bind_addresses: [127.0.0.1], type: http, tls: true, resources: [{{names: [federation]}}]}}
tls_certificate_path: {certificate}
tls_private_key_path: {key}
federation_custom_ca_list: [{authority}]
ip_range_blacklist: []
rc_federation: {{concurrent: 1000, reject_limit: 100000, sleep_limit: 100000}}
bcrypt_rounds: 4
"""
_SYNAPSE_LOG = "version: 1\nroot: {level: WARNING}\ndisable_existing_loggers: false\n"


def synapse_is_here() -> bool:
    """Whether the package matrix-synapse can be imported."""
    return (
        subprocess.run(
            [sys.executable, "-c", "import synapse, psycopg2"], capture_output=True, check=False
        ).returncode
        == 0
    )


@asynccontextmanager
async def synapse(tls: Tls | None = None) -> AsyncIterator[Server]:
    """Synapse in its one-process form, on a PostgreSQL with the same settings as ours, without rate limits.

    With `tls` other servers can reach it, and it reaches those on this machine.
    """
    with tempfile.TemporaryDirectory(prefix="synapse-bench-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        os.sched_setaffinity(0, {SERVER_CORE})
        postgres = EmbeddedPostgres(folder / "pg")
        where = await postgres.start()
        pin(GENERATOR_CORE)
        text = _SYNAPSE.format(
            name=tls.port if tls else port,
            port=port,
            folder=folder,
            secret=SECRET,
            tls=_SYNAPSE_TLS.format(**asdict(tls)).lstrip("\n") if tls else "",
            **where,
        )
        (folder / "homeserver.yaml").write_text(text)
        (folder / "log.yaml").write_text(_SYNAPSE_LOG)
        common = [sys.executable, "-m", "synapse.app.homeserver", "-c", str(folder / "homeserver.yaml")]
        subprocess.run([*common, "--generate-keys"], check=True, capture_output=True)
        process = _start(common, folder)
        assert postgres.pid is not None
        server = Server("synapse", port, process, folder, _postmaster(postgres.pid))
        try:
            await server.ready()
            yield server
        finally:
            _end(process)
            await postgres.stop()
