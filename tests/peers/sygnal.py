"""Sygnal, the push gateway that most applications use, as its own process; its Web Push goes to whom the test names.

It is not on PyPI, and wants libraries in other versions than the server does: SYGNAL_PYTHON is the Python of an environment in
which its sources (github.com/matrix-org/sygnal, 0.15.1) were installed with what they were locked to: `pip install PATH
pywebpush==2.0.0 twisted==24.7.0` (with later ones its Web Push fails).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PYTHON = os.environ.get("SYGNAL_PYTHON")
APP = "org.example.web"
_ENVIRONMENT = {"RUN_DESPITE_UNSUPPORTED": "Y"}  # the last version under that name does not begin without it


def _config(port: int, key: Path) -> dict[str, Any]:
    log = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": "INFO"},
    }
    app = {
        "type": "webpush",
        "vapid_private_key": str(key),
        "vapid_contact_email": "admin@example.org",
        "allowed_endpoints": ["127.0.0.1:*"],
    }
    off = {"enabled": False}
    return {
        "log": {"setup": log, "access": {"x_forwarded_for": False}},
        "http": {"bind_addresses": ["127.0.0.1"], "port": port},
        "metrics": {"prometheus": off, "opentracing": off, "sentry": off},
        "apps": {APP: app},
    }


@asynccontextmanager
async def sygnal(folder: Path, port: int) -> AsyncIterator[None]:
    """It listens."""
    assert PYTHON is not None
    key, config = folder / "vapid.pem", folder / "sygnal.yaml"
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    key.write_bytes(pem)
    config.write_text(json.dumps(_config(port, key)))  # YAML reads JSON
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            PYTHON, "-m", "sygnal.sygnal", cwd=folder, stdout=log, stderr=log,
            env={**os.environ, **_ENVIRONMENT, "SYGNAL_CONF": str(config)},
        )  # fmt: skip
    try:
        await _answers(f"http://127.0.0.1:{port}", process, folder)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(url: str, process: asyncio.subprocess.Process, folder: Path) -> None:
    async with asyncio.timeout(60), ClientSession(url) as session:
        while process.returncode is None:
            try:
                async with session.get("/health") as answer:
                    if answer.status == 200:
                        return
            except ClientError:
                await asyncio.sleep(0.1)
    raise RuntimeError((folder / "log").read_text()[-4000:])
