"""matrix-js-sdk, the core of Element Web, on node, with its encryption: the conversations are in js/, and count their checks."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.fixtures.live import live_server

_JS = Path(__file__).parent / "js"
_CONVERSATIONS = {
    "talk.mjs": ("talk.mjs", "scenes/*.mjs"),
    "sliding.mjs": ("sliding.mjs",),
    "oauth.mjs": ("oauth.mjs",),
    "unstable.mjs": ("unstable.mjs",),
}
"""Each with the files that hold its checks."""
CHECKS = 48
"""So many are asked for; more are made."""
_CHECK = re.compile(r"\b(?:check|same|sees|refused)\(\s*[\"`]|\bhears\(\"")


async def test_the_whole_conversation(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not (_JS / "node_modules").is_dir():
        assert "CI" not in os.environ, "node or its packages are missing: scripts/test installs the packages"
        pytest.skip("node or its packages are not here: run scripts/test, with node installed")
    counts: dict[str, int] = {}
    problems: list[str] = []
    async with live_server(tmp_path, "--open-registration") as server:
        for conversation, files in _CONVERSATIONS.items():
            said = await _conversed(node, conversation, server.url)
            counts[conversation] = passed = len(re.findall(r"^ok \d+ ", said, re.MULTILINE))
            written = _written(files)
            failed = re.findall(r"^not ok: .*", said, re.MULTILINE)
            if failed or passed < written or "all said and done" not in said:
                problems.append(
                    f"{conversation}: {passed} checks passed, {written} are written:\n{failed}\n{said[-4000:]}"
                )
    assert not problems, "\n\n".join(problems)
    assert sum(counts.values()) >= CHECKS
    print(counts)


def _written(files: tuple[str, ...]) -> int:
    """How many checks the script holds; those in loops are made more than once."""
    paths = [path for pattern in files for path in _JS.glob(pattern)]
    return sum(len(_CHECK.findall(path.read_text())) for path in paths)


async def _conversed(node: str, conversation: str, url: str) -> str:
    """All that it printed; ends it when it does not end by itself (each of its waits has an end of its own)."""
    talk = await asyncio.create_subprocess_exec(
        node,
        conversation,
        url,
        cwd=_JS,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = bytearray()
    assert talk.stdout is not None
    try:
        async with asyncio.timeout(300):
            while piece := await talk.stdout.read(65536):
                said += piece
            await talk.wait()
    except TimeoutError:
        talk.kill()
        await talk.wait()
        said += b"\nnot ok: the conversation did not end"
    return said.decode(errors="replace")
