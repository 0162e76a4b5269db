"""matrix-rust-sdk, the core of Element X: four devices, in rust_sdk/; skipped where scripts/rust-sdk has not built it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.fixtures.live import live_server
from tests.peers.rust_sdk.sdk import LIBRARY

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(
        not LIBRARY.exists(),
        reason="matrix-rust-sdk is not built (scripts/rust-sdk takes a quarter of an hour)",
    ),
]
CHECKS = 44
"""So many are asked for; more are made."""


async def test_the_whole_conversation(tmp_path: Path) -> None:
    async with live_server(tmp_path / "server", "--open-registration") as server:
        talk = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.peers.rust_sdk.talk",
            server.url,
            str(tmp_path / "devices"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await talk.communicate()  # it ends itself when it takes too long
        said = output.decode(errors="replace")
        assert talk.returncode == 0, said[-6000:]
        assert said.count("\nok ") + said.startswith("ok ") >= CHECKS
        print(said.rstrip().splitlines()[-1])
