"""A data folder remembers the name of the server that lives in it: users' IDs end with it, so it must not change.

A trial that was once started with `--port 9000` is `localhost:9000` also for `hearth user add`, and for a later start
without a port.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from homeserver.config import Config
from homeserver.logging import LOG
from homeserver.tenants import plans
from protocol.errors import InvalidId
from protocol.ids import parse_server_name


def remembered(config: Config) -> Config:
    """With the folder's server name, where the configuration says none."""
    name = None if config.server_name or config.tenants else _read(_file(config))
    return replace(config, server_name=name) if name else config


def remember(config: Config) -> None:
    """Notes the name in a new folder; warns when the folder was another server's."""
    if config.tenants:
        return
    file, name = _file(config), plans(config)[0].settings.server_name
    before = _read(file)
    if before is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name}\n")
    elif before != name:
        LOG.warning(
            "This data folder is that of %s. You now start another server, %s, without its users and rooms.",
            before,
            name,
            extra={"subject": "hearth"},
        )


def _file(config: Config) -> Path:
    return config.data_folder / "server_name"


def _read(file: Path) -> str | None:
    try:
        return parse_server_name(file.read_text().strip())
    except (FileNotFoundError, InvalidId):
        return None
