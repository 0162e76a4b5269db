"""matrix-js-sdk, the core of Element Web, on node: the conversations are in js/ (sliding.mjs is encrypted, over sliding sync)."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.fixtures.live import live_server

_JS = Path(__file__).parent / "js"


@pytest.mark.parametrize("conversation", ["talk.mjs", "sliding.mjs", "oauth.mjs", "unstable.mjs"])
async def test_two_people_talk(tmp_path: Path, conversation: str) -> None:
    node = shutil.which("node")
    if node is None or not (_JS / "node_modules").is_dir():
        assert "CI" not in os.environ, "node or its packages are missing: scripts/test installs the packages"
        pytest.skip("node or its packages are not here: run scripts/test, with node installed")
    async with live_server(tmp_path, "--open-registration") as server:
        talk = await asyncio.create_subprocess_exec(
            node,
            conversation,
            server.url,
            cwd=_JS,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(talk.communicate(), 90)
        except TimeoutError:
            talk.kill()
            output, _ = await talk.communicate()
            pytest.fail(f"the conversation did not end:\n{output.decode()}")
        assert talk.returncode == 0, output.decode()
        assert output.decode().rstrip().endswith("all said and done")
