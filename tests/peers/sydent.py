"""Sydent, the identity server, as its own process, behind a TLS proxy of ours: it speaks plain HTTP itself.

It wants a library in another version than the server does, so it lives in an environment of its own: SYDENT_PYTHON is
the Python of one in which this was said: `pip install matrix-sydent prometheus_client sentry_sdk
canonicaljson==1.4.0 simplejson` (it hands bytes to what writes JSON, which later ones refuse).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientError, ClientSession, web

from tests.fixtures.certificates import Authority
from tests.fixtures.federation import free_port

PYTHON = os.environ.get("SYDENT_PYTHON")

_CONFIG = """
[general]
server.name = {name}
ip.whitelist = 127.0.0.0/8,::1
templates.path = {folder}
[db]
db.file = {folder}/sydent.db
[http]
clientapi.http.bind_address = 127.0.0.1
clientapi.http.port = {port}
internalapi.http.port =
replication.https.certfile =
client_http_base = https://{name}
federation.verifycerts = False
[email]
email.from = Sydent <id@localhost>
email.smtphost = localhost
email.smtpport = {mail_port}
email.tlsmode = 0
email.template = {folder}/mail.eml
email.invite_template = {folder}/mail.eml
[crypto]
ed25519.signingkey =
"""
_MAIL = """From: %(from)s
To: %(to)s
Subject: token
Message-ID: %(messageid)s
Content-Type: text/plain; charset=utf-8

token=%(token)s.
"""


@asynccontextmanager
async def sydent(folder: Path, authority: Authority, mail_port: int) -> AsyncIterator[str]:
    """Its name, `localhost:<port>`."""
    assert PYTHON is not None
    port, name = free_port(), f"localhost:{free_port()}"
    values = {"folder": folder, "port": port, "name": name, "mail_port": mail_port}
    (folder / "mail.eml").write_text(_MAIL)
    (folder / "sydent.conf").write_text(_CONFIG.format(**values))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            PYTHON, "-m", "sydent.sydent", cwd=folder, stdout=log, stderr=log,
            env={**os.environ, "SYDENT_CONF": str(folder / "sydent.conf"), "SYDENT_PID_FILE": str(folder / "pid")},
        )  # fmt: skip
    try:
        async with ClientSession(f"http://127.0.0.1:{port}") as session:
            await _answers(session, process, folder)
            async with _proxy(session, authority, int(name.partition(":")[2])):
                yield name
    finally:
        process.terminate()
        await process.wait()


async def _answers(session: ClientSession, process: asyncio.subprocess.Process, folder: Path) -> None:
    async with asyncio.timeout(60):
        while process.returncode is None:
            try:
                async with session.get("/_matrix/identity/v2"):
                    return
            except ClientError:
                await asyncio.sleep(0.1)
    raise RuntimeError((folder / "log").read_text()[-4000:])


@asynccontextmanager
async def _proxy(session: ClientSession, authority: Authority, port: int) -> AsyncIterator[None]:
    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        headers = {
            name: request.headers[name]
            for name in ("Authorization", "Content-Type")
            if name in request.headers
        }
        body = await request.read()
        async with session.request(
            request.method, request.raw_path, headers=headers, data=body or None
        ) as answer:
            kind = answer.content_type
            return web.Response(status=answer.status, body=await answer.read(), content_type=kind)

    runner = web.ServerRunner(web.Server(forward))
    await runner.setup()
    issued = authority.issue("localhost", "127.0.0.1")
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=issued.server_context()).start()
    try:
        yield
    finally:
        await runner.cleanup()
