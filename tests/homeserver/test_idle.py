"""What a server has not loaded while nobody needs it: its memory is a figure that is kept (docs/performance.md)."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp

from tests.fixtures.live import free_port
from tests.homeserver.test_serve import ROOT

ABSENT = (
    "PIL", "aiobotocore", "aiosmtplib", "authlib", "botocore", "bs4", "cryptography", "dns", "httpx", "httpcore",
    "icu", "jinja2", "joserfc", "jwt", "ldap3", "lxml", "prometheus_client", "redis", "requests",
    "difflib", "doctest", "html.parser", "http.server", "importlib.metadata", "multiprocessing", "sqlite3", "unittest",
    "xml", "zipfile", "zoneinfo",
    "homeserver.exposition", "homeserver.push_gateway", "services.appservices.deliver",
)  # fmt: skip
"""Libraries and modules of our own that only some servers ever need, or only from time to time."""

_PROGRAM = """
import atexit, sys
from pathlib import Path
from homeserver.__main__ import main
atexit.register(lambda: Path(sys.argv[1]).write_text("\\n".join(sys.modules)))
sys.exit(main(sys.argv[2:]))
"""


async def test_an_idle_server_has_loaded_nothing_that_only_some_need(tmp_path: Path) -> None:
    port, loaded = free_port(), tmp_path / "loaded"
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, str(loaded), "serve", "--data", str(tmp_path / "data"), "--port", str(port),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert program.stdout
        async with asyncio.timeout(120):
            assert b"Hearth is up" in await program.stdout.readline()
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/_matrix/client/versions") as answer:
                    assert answer.status == 200
    finally:
        program.send_signal(signal.SIGTERM)
        async with asyncio.timeout(120):
            await program.communicate()
    modules = loaded.read_text().split("\n")
    assert "services.rooms.send" in modules
    found = [name for name in modules if any(name == one or name.startswith(f"{one}.") for one in ABSENT)]
    assert found == []
