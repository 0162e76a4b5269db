"""The command line: `hearth serve`, `hearth user add`, `hearth key rotate`, `hearth migrate`, `hearth routes`."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from homeserver import commands
from homeserver.appservices import RegistrationError
from homeserver.config import Config
from homeserver.config_load import load
from homeserver.config_source import ConfigError, Item
from homeserver.identity import remembered
from homeserver.keys import KeyFileError
from homeserver.listen import ListenError
from homeserver.logging import start_logging
from homeserver.run import serve
from storage.embedded.errors import EmbeddedPostgresError
from storage.schema.migrate import NewerSchema

DESCRIPTION = """\
Hearth, a Matrix homeserver. Without a configuration `hearth serve` serves localhost:8008, with an embedded
PostgreSQL and everything else in ./data."""

EXPECTED = (
    EmbeddedPostgresError, KeyFileError, ListenError, RegistrationError, NewerSchema, LookupError,
    commands.CommandError, asyncpg.PostgresError, OSError,
)  # fmt: skip
"""What may go wrong without being our mistake: the text is enough for the person who reads it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the process' exit status."""
    options = _parser().parse_args(arguments)
    if options.run is None:
        print(commands.routes())
        return 0
    try:
        config = remembered(load(_file(options), _settings_of(os.environ), _said(options)))
    except ConfigError as error:
        print(f"The configuration has mistakes; nothing was started:\n{error}", file=sys.stderr)
        return 2
    start_logging(config.logging)
    try:
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            runner.run(options.run(config, options))
    except EXPECTED as error:
        print(f"hearth: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("hearth", description=DESCRIPTION)
    below = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    started = below.add_parser(
        "serve", help="run the server", description="Runs the server until Ctrl-C or SIGTERM."
    )
    _common(started, lambda config, options: serve(config, _add_user(options)))
    started.add_argument("--port", type=int, metavar="N", help="the port to listen on (default 8008)")
    started.add_argument("--bind", metavar="ADDRESS", help="the address to listen on (default 127.0.0.1)")
    started.add_argument(
        "--open-registration", action="store_true", help="let everybody make an account: only for trials"
    )

    users = below.add_parser(
        "user", help="accounts", description="Accounts of a server, whether it runs or not."
    )
    adding = users.add_subparsers(title="commands", required=True, metavar="COMMAND").add_parser(
        "add",
        help="make an account",
        description="Makes an account; asks for the password unless told its file.",
    )
    _common(adding, commands.user_add)
    adding.add_argument("name", metavar="NAME", help="the localpart: alice for @alice:example.org")
    adding.add_argument(
        "--tenant", metavar="NAME", help="which server, where the configuration names several"
    )
    adding.add_argument(
        "--password-file", metavar="FILE", help="a file with the password; - for standard input"
    )
    adding.add_argument("--admin", action="store_true", help="make it an administrator's account")

    keys = below.add_parser("key", help="signing keys", description="The keys with which a server signs.")
    rotating = keys.add_subparsers(title="commands", required=True, metavar="COMMAND").add_parser(
        "rotate",
        help="make a new signing key",
        description="Makes a new signing key, which is used from the next start; the one before is published as an"
        " old one from then on. Stop the server first: what it signs afterwards with the old key is not valid.",
    )
    _common(rotating, commands.key_rotate)
    rotating.add_argument(
        "--tenant", metavar="NAME", help="which server, where the configuration names several"
    )

    searches = below.add_parser("search", help="the search", description="What can be found by searching.")
    rebuilding = searches.add_subparsers(title="commands", required=True, metavar="COMMAND").add_parser(
        "rebuild",
        help="make its index anew",
        description="Makes the index of the search anew from the events. The server may run meanwhile; not everything is"
        " found until it is done.",
    )
    _common(rebuilding, commands.search_rebuild)
    rebuilding.add_argument(
        "--tenant", metavar="NAME", help="which server, where the configuration names several"
    )

    _push_gateway(below)
    _media(below)

    migrated = below.add_parser(
        "migrate",
        help="bring the database up to date",
        description="Brings the schemas of all tenants up to date and ends; `serve` does so too.",
    )
    _common(migrated, lambda config, options: commands.migrate(config))

    routes = below.add_parser(
        "routes", help="print the table of endpoints", description="Method, path, auth, limit, function."
    )
    routes.set_defaults(run=None)
    return parser


def _media(below: Any) -> None:
    files = below.add_parser("media", help="uploaded files", description="Files and their bytes.")
    checking = files.add_subparsers(title="commands", required=True, metavar="COMMAND").add_parser(
        "check",
        help="whether files and their bytes belong together",
        description="Looks whether files and their bytes belong together: bytes without a file are deleted when they are a day"
        " old, what can be had again is forgotten when its bytes are gone, lost files are counted. The server may run"
        " meanwhile, and does the same once a day.",
    )
    _common(checking, commands.media_check)
    checking.add_argument(
        "--tenant", metavar="NAME", help="which server, where the configuration names several"
    )


def _push_gateway(below: Any) -> None:
    gateway = below.add_parser(
        "push-gateway",
        help="run the push gateway alone",
        description="Runs the push gateway without a homeserver and a database, on the listeners that serve push_gateway,"
        " until Ctrl-C or SIGTERM; or sends a test notification.",
    )
    _common(gateway, commands.push_gateway)
    testing = gateway.add_subparsers(title="commands", metavar="COMMAND").add_parser(
        "test",
        argument_default=argparse.SUPPRESS,  # options may stand before `test` too
        help="send a test notification",
        description="Sends a test notification to one device, as the configuration says, and tells how it ended.",
    )
    _common(testing, commands.push_gateway_test)
    testing.add_argument("app_id", metavar="APP_ID", help="the app ID of the device's pusher")
    testing.add_argument("pushkey", metavar="PUSHKEY", help="its pushkey")
    testing.add_argument(
        "--push-data",
        dest="push_data",
        default=None,
        metavar="JSON",
        help="the pusher's data (WebPush: endpoint, auth)",
    )


Run = Callable[[Config, argparse.Namespace], Coroutine[Any, Any, None]]


def _common(parser: argparse.ArgumentParser, run: Run) -> None:
    parser.set_defaults(run=run)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a YAML file (also HEARTH_CONFIG); see docs"
    )
    parser.add_argument("--data", metavar="DIR", help="the data folder (default ./data)")
    parser.add_argument(
        "--server-name", metavar="NAME", help="what user IDs end with; for ever (default localhost:PORT)"
    )


def _file(options: argparse.Namespace) -> Path | None:
    told = options.config or os.environ.get("HEARTH_CONFIG")
    return Path(told) if told else None


def _settings_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what names the file itself."""
    return {name: value for name, value in environment.items() if name != "HEARTH_CONFIG"}


def _said(options: argparse.Namespace) -> dict[str, Item]:
    """The options that are settings, by the setting's name."""
    said: dict[str, Item] = {}
    if options.data is not None:
        said["data_folder"] = Item("--data", options.data)
    if options.server_name is not None:
        said["server_name"] = Item("--server-name", options.server_name)
    if getattr(options, "open_registration", False):
        said["registration.mode"] = Item("--open-registration", "open")
    port, address = getattr(options, "port", None), getattr(options, "bind", None)
    if port is not None:
        said["listeners.0.port"] = Item("--port", port)
    if address is not None:
        said["listeners.0.address"] = Item("--bind", address)
    return said


def _add_user(options: argparse.Namespace) -> str:
    """The command that makes a user on the server that is started with these options."""
    program = os.path.relpath(sys.argv[0])
    if program.endswith("__main__.py"):
        program = "python -m homeserver"
    elif shutil.which("hearth") == os.path.abspath(sys.argv[0]):
        program = "hearth"
    told = {"--config": options.config, "--data": options.data}
    return " ".join([program, "user add NAME", *(f"{name} {value}" for name, value in told.items() if value)])


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's, where there is one: twice as fast."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


if __name__ == "__main__":
    sys.exit(main())
