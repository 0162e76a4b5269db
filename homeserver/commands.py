"""The commands beside `serve`: short jobs on a server's data, whether it runs or not."""

from __future__ import annotations

import argparse
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from homeserver.assemble import migrate_schema, opened
from homeserver.config import Config
from homeserver.keys import rotate
from homeserver.metrics import Metrics
from homeserver.routes import all_endpoints, table
from homeserver.run import database_beside_server, planned, platform
from homeserver.tenants import plans
from protocol.matrix_error import MatrixError
from services.accounts.create import create_account
from services.media.check import check_blobs
from services.search.index import Step
from services.search.rebuild import rebuild
from services.tenant import SystemClock, SystemRandom


class CommandError(Exception):
    """The command cannot be done; the text says why."""


async def user_add(config: Config, options: argparse.Namespace) -> None:
    """Makes an account; raises CommandError when the name is taken, not a name, or the password is too short."""
    password = _password(options)
    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(database_beside_server(config))
        offered = await stack.enter_async_context(platform(config, where, Metrics()))
        tenant = await stack.enter_async_context(opened(planned(config, options.tenant), offered))
        try:
            user_id = await create_account(tenant, options.name, password, is_admin=options.admin)
        except MatrixError as error:
            raise CommandError(str(error)) from None
    print(f"{user_id} is there{', an administrator' if options.admin else ''}.")


async def key_rotate(config: Config, options: argparse.Namespace) -> None:
    """Makes a new signing key; the one before is kept as an old one."""
    key = rotate(planned(config, options.tenant).key_file, SystemRandom(), SystemClock().now())
    print(f"{key.name} is the key from the next start on.")


async def search_rebuild(config: Config, options: argparse.Namespace) -> None:
    """Makes the index of the search anew, and says how far it is."""

    def tell(step: Step) -> None:
        done = 100 * step.position // max(step.newest, 1)
        print(f"\r{done} % of the events{', history is left' if step.more else ''}   ", end="", flush=True)

    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(database_beside_server(config))
        offered = await stack.enter_async_context(platform(config, where, Metrics()))
        await rebuild(await stack.enter_async_context(opened(planned(config, options.tenant), offered)), tell)
    print("\nEverything can be found again.")


async def media_check(config: Config, options: argparse.Namespace) -> None:
    """Looks whether files and their bytes belong together, mends what can be, and says what it found."""
    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(database_beside_server(config))
        offered = await stack.enter_async_context(platform(config, where, Metrics()))
        found = await check_blobs(
            await stack.enter_async_context(opened(planned(config, options.tenant), offered))
        )
    print(found or "The server is at it: see its log.")


async def migrate(config: Config) -> None:
    """Brings the schemas of all tenants up to date."""
    async with database_beside_server(config) as where:
        for plan in plans(config):
            steps = await migrate_schema(where, plan.schema)
            print(f"{plan.settings.server_name}: {', '.join(steps) or 'up to date'}")


def routes() -> str:
    """The table of endpoints."""
    return table(all_endpoints())


def _password(options: argparse.Namespace) -> str:
    if options.password_file == "-":
        password = sys.stdin.readline().rstrip("\n")
    elif options.password_file is not None:
        password = Path(options.password_file).read_text().rstrip("\n")
    else:
        import getpass

        password = getpass.getpass(f"Password of {options.name}: ")
        if getpass.getpass("Again: ") != password:
            raise CommandError("the passwords are not the same")
    if not password:
        raise CommandError("the password is empty")
    return password


async def push_gateway(config: Config, options: argparse.Namespace) -> None:
    """Serves the push gateway alone; it is loaded only where it is wanted."""
    from homeserver.push_gateway import serve_gateway

    await serve_gateway(config)


async def push_gateway_test(config: Config, options: argparse.Namespace) -> None:
    """Sends a test notification; raises a CommandError when it did not arrive."""
    from homeserver.push_gateway import send_test

    await send_test(config, options)
