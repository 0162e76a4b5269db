"""Pushes through the push gateway to an HTTP/2 sink: what one costs, and how many a second one core takes."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.http import Connection
from benchmarks.measure import HEADER, Cost
from benchmarks.peers import SERVER_CORE, free_port, pin
from benchmarks.process import Cpu, cpu_ms
from tests.fixtures.certificates import Authority

PARALLEL = 40
PUSHES = 10_000
TOKEN = "0123456789abcdef" * 4
_CONFIG = """
data_folder: {folder}
listeners: [{{port: {port}, apis: [push_gateway]}}]
push_gateway:
  per_address: {{per_second: 1000000, burst: 1000000}}
  per_pushkey: {{per_second: 1000000, burst: 1000000}}
  apps:
    - {{id: ios, provider: apns, credentials: {folder}/key.pem, key_id: K, team_id: T, url: "https://localhost:{sink}",
       ca_file: {folder}/authority.pem}}
    - {{id: android, provider: fcm, credentials: {folder}/account.json, url: "https://localhost:{sink}",
       ca_file: {folder}/authority.pem}}
"""


async def run(_: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    print(HEADER)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as name:
        folder = Path(name)
        sink_port, port = free_port(), free_port()
        context = _files(folder, sink_port)
        async with _sink(sink_port, context):
            text = _CONFIG.format(folder=folder, port=port, sink=sink_port)
            (folder / "config.yaml").write_text(text)
            async with _gateway(folder, port) as process:
                for app in ("ios", "android"):
                    await _pushes(port, app, 200, process.pid)
                    cost = await _pushes(port, app, int(PUSHES * scale) + PARALLEL, process.pid)
                    print(cost.row(f"push to {app}"))
                    per_core = 1000 / cost.cpu.server
                    print(
                        f"  a core of its own takes {per_core:,.0f} a second; here {cost.rate:,.0f} by the clock"
                    )
                    figures[app] = cost.figures() | {"per_second_of_a_core": round(per_core, 1)}
    return figures


async def _pushes(port: int, app: str, count: int, pid: int) -> Cost:
    numbers = iter(range(count))
    before, began = cpu_ms([pid]), time.perf_counter()

    async def homeserver() -> None:
        connection = Connection(port)
        for number in numbers:
            device = {
                "app_id": app,
                "pushkey": TOKEN,
                "data": {"default_payload": {}},
                "tweaks": {"sound": "default"},
            }
            said = {
                "event_id": f"${time.time_ns()}{number}", "room_id": "!" + "r" * 43, "type": "m.room.message",
                "sender": "@alice:example.org", "sender_display_name": "Alice", "room_name": "A room", "prio": "high",
                "content": {"msgtype": "m.text", "body": "a message of some words"}, "counts": {"unread": 3},
                "devices": [device],
            }  # fmt: skip
            answer = await connection.ok("POST", "/_matrix/push/v1/notify", {"notification": said})
            assert answer == {"rejected": []}

    await asyncio.gather(*(homeserver() for _ in range(PARALLEL)))
    wall = time.perf_counter() - began
    return Cost(count, Cpu((cpu_ms([pid]) - before) / count, 0.0), count / wall)


def _files(folder: Path, sink: int) -> ssl.SSLContext:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    def pem(key: Any) -> bytes:
        data: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return data

    (folder / "key.pem").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    account = {
        "project_id": "p", "client_email": "e", "private_key_id": "k", "token_uri": f"https://localhost:{sink}/token",
        "private_key": pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)).decode(),
    }  # fmt: skip
    (folder / "account.json").write_text(json.dumps(account))
    context = Authority(folder).issue("localhost").server_context()
    context.set_alpn_protocols(["h2"])
    return context


@asynccontextmanager
async def _gateway(folder: Path, port: int) -> AsyncIterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "homeserver", "push-gateway", "--config", str(folder / "config.yaml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=lambda: pin(SERVER_CORE))
    try:
        for _ in range(500):
            if process.poll() is not None:
                raise RuntimeError((folder / "log").read_text()[-2000:])
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait(30)


@asynccontextmanager
async def _sink(port: int, context: ssl.SSLContext) -> AsyncIterator[None]:
    """Answers everything with 200, and what looks like an OAuth token."""
    import h2.config
    import h2.connection
    import h2.events

    body = b'{"access_token": "t", "expires_in": 3599}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # at the end
            await answer(reader, writer)
        writer.close()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.DataReceived) and event.stream_id is not None:
                    connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded) and event.stream_id is not None:
                    connection.send_headers(event.stream_id, [(":status", "200")])
                    connection.send_data(event.stream_id, body, end_stream=True)
            writer.write(connection.data_to_send())

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    try:
        yield
    finally:
        server.close()
