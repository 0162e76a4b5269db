"""`hearth serve` and the commands beside it, as a person runs them: a process, its output, its exit status."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.fixtures.live import LiveServer, free_port, live_server
from tests.homeserver.test_embedded_postgres import is_alive, until_gone

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it said."""

    status: int
    said: str
    complained: str


async def hearth(*arguments: str, says: str = "", environment: dict[str, str] | None = None) -> Ended:
    """Runs a command to its end."""
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "homeserver", *arguments, cwd=ROOT, env=os.environ | (environment or {}),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complained = await asyncio.wait_for(command.communicate(says.encode()), 60)
    return Ended(command.returncode or 0, said.decode(), complained.decode())


def postgres_of(server: LiveServer) -> int:
    """The process ID of the server's PostgreSQL."""
    return int((server.folder / "data/postgresql/cluster/postmaster.pid").read_text().split()[0])


async def log_in(server: LiveServer, user: str) -> int:
    """The status of a login."""
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": PASSWORD,
    }
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/_matrix/client/v3/login", json=body) as response:
            return response.status


async def test_it_starts_on_nothing_and_stops_with_everything_it_started(tmp_path: Path) -> None:
    server = LiveServer(tmp_path)
    for _ in ("first", "second"):  # how long they take is measured by `scripts/bench idle`
        await server.start()
        postgres = postgres_of(server)
        assert is_alive(postgres)
        assert await server.stop() == 0
        assert not is_alive(postgres)
    said = (tmp_path / "log").read_text()
    assert f"Hearth is up: http://127.0.0.1:{server.port}" in said
    assert f"user add NAME --data {tmp_path}/data" in said
    assert "REGISTRATION IS OPEN" not in said
    keys = [*(tmp_path / "data" / "keys").iterdir()]
    assert [key.stat().st_mode & 0o777 for key in keys] == [0o600]


async def test_an_interrupt_stops_it_too(tmp_path: Path) -> None:
    async with live_server(tmp_path) as server:
        assert server.process
        server.process.send_signal(signal.SIGINT)
        assert await server.process.wait() == 0


async def test_what_is_open_is_said_loudly(tmp_path: Path) -> None:
    async with live_server(tmp_path, "--open-registration") as server:
        said = (server.folder / "log").read_text()
        assert f"*** REGISTRATION IS OPEN on {server.name}" in said
        assert "*** RATE LIMITS ARE OFF" in said


async def test_after_a_kill_it_starts_again_and_postgresql_has_not_stayed(tmp_path: Path) -> None:
    async with live_server(tmp_path) as server:
        postgres = postgres_of(server)
        await server.kill()
        await until_gone(postgres)
        await server.start()
        assert postgres_of(server) != postgres


async def test_a_second_server_on_the_folder_is_refused(tmp_path: Path) -> None:
    async with live_server(tmp_path) as server:
        second = await hearth("serve", "--data", str(server.folder / "data"), "--port", str(free_port()))
        assert second.status == 1
        assert "Another server is running on" in second.complained
        assert "Traceback" not in second.complained


async def test_a_port_that_is_taken_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with live_server(tmp_path / "one") as server:
        other = await hearth("serve", "--data", str(tmp_path / "two"), "--port", str(server.port))
        assert other.status == 1
        assert f"cannot listen on 127.0.0.1 port {server.port}" in other.complained
        assert not (tmp_path / "two" / "postgresql" / "cluster" / "postmaster.pid").exists()


async def test_users_are_added_whether_the_server_runs_or_not(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    server = LiveServer(tmp_path)
    await server.start()
    added = await hearth("user", "add", "alice", "--data", data, "--password-file", "-", says=f"{PASSWORD}\n")
    assert (added.status, added.said) == (0, f"@alice:{server.name} is there.\n")
    assert await log_in(server, "alice") == 200
    await server.stop()

    added = await hearth(
        "user", "add", "bob", "--data", data, "--password-file", f"{tmp_path}/password", "--admin"
    )
    assert (added.status, added.said) == (0, f"@bob:{server.name} is there, an administrator.\n")
    again = await hearth("user", "add", "bob", "--data", data, "--password-file", f"{tmp_path}/password")
    assert again.status == 1
    assert again.complained.startswith("hearth: ")

    await server.start()
    assert await log_in(server, "bob") == 200
    await server.stop()


async def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    first = await hearth("migrate", "--data", str(tmp_path / "data"))
    assert (first.status, first.said.splitlines()[0].partition(",")[0]) == (0, "localhost:8008: 0001_initial")
    assert (await hearth("migrate", "--data", str(tmp_path / "data"))).said == "localhost:8008: up to date\n"


async def test_a_data_folder_remembers_whose_it_is(tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    async with live_server(tmp_path) as server:
        name = server.name
    assert (await hearth("migrate", "--data", folder)).said == f"{name}: up to date\n"
    other = LiveServer(tmp_path, "--server-name", "other.example")
    await other.start()
    await other.stop()
    assert f"This data folder is that of {name}. You now start another server, other.example" in (
        (tmp_path / "log").read_text()
    )


async def test_mistakes_in_the_configuration_are_told_and_nothing_is_started(tmp_path: Path) -> None:
    file = tmp_path / "hearth.yaml"
    file.write_text("server_name: 5\ndatabse: {}\n")
    ended = await hearth("serve", "--config", str(file), "--data", str(tmp_path / "data"))
    assert ended.status == 2
    assert f"{file}:1: server_name must be" in ended.complained
    assert f"{file}:2: there is no setting databse: did you mean database?" in ended.complained
    assert not (tmp_path / "data").exists()
    by_environment = await hearth("migrate", environment={"HEARTH_CONFIG": str(file)})
    assert by_environment.complained == ended.complained


@pytest.mark.parametrize("command", [[], ["serve"], ["user"], ["user", "add"], ["migrate"], ["routes"]])
async def test_every_command_explains_itself(command: list[str]) -> None:
    ended = await hearth(*command, "--help")
    assert (ended.status, ended.complained) == (0, "")
    assert ended.said.startswith(f"usage: {' '.join(['hearth', *command])}")


async def test_routes_are_told_with_their_rights() -> None:
    lines = (await hearth("routes")).said.splitlines()
    assert lines[0].split() == ["METHOD", "PATH", "AUTH", "LIMIT", "FUNCTION"]
    (versions,) = [line.split() for line in lines if " /_matrix/client/versions " in line]
    assert versions == [
        "GET",
        "/_matrix/client/versions",
        "optional",
        "-",
        "client_api.versions.get_versions",
    ]
