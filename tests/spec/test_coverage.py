"""The probe that comes with the specification's data finds every endpoint on a server with everything switched on."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import orjson
import pytest

from services.settings import Registration, RegistrationMode
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.spec.facts import lines
from tests.spec_location import spec_path


@pytest.fixture
async def everything(make_homeserver: MakeHomeserver) -> Homeserver:
    """With what a homeserver may leave out."""
    return await make_homeserver(registration=Registration(RegistrationMode.OPEN, guests=True))


async def _probed(homeserver: Homeserver, table: str, tmp_path: Path) -> list[dict[str, str]]:
    """What the probe found of each endpoint of the table."""
    found = tmp_path / "found.json"
    asked = ["--base-url", homeserver.url, "--server-name", homeserver.name, "--json", str(found)]
    program = [str(spec_path("coverage.py")), "--tsv", str(spec_path(table)), *asked]
    probe = await asyncio.create_subprocess_exec(
        sys.executable, *program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await probe.communicate()
    assert probe.returncode == 0, said.decode()
    assert b"NOTE" not in said, said.decode()  # else what is missing could be counted
    rows: list[dict[str, str]] = orjson.loads(found.read_bytes())
    return rows


@pytest.mark.parametrize("table", ["endpoints.tsv", "endpoints-msc.tsv"])
async def test_the_probe_finds_every_endpoint(everything: Homeserver, table: str, tmp_path: Path) -> None:
    found = await _probed(everything, table, tmp_path)
    assert len(found) > 40
    lacking = {
        f"{row['api']} {row['method']} {row['path']}" for row in found if row["verdict"] != "implemented"
    }
    assert lacking <= set(lines("not_yet.txt"))
