"""Asking several servers at once about their users, none for longer than a client would wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from protocol.ids import ServerName, server_of
from services.ports import RemoteFailed
from services.tenant import Tenant

K = TypeVar("K", bound=str)
V = TypeVar("V")
R = TypeVar("R")

PATIENCE = 10.0  # seconds: «10 seconds is the recommended default»
AT_ONCE = 50

Failures = dict[str, dict[str, str]]
"""Of each server that could not be asked, what is wrong."""


def by_server(wanted: Iterable[tuple[K, V]]) -> dict[ServerName, list[tuple[K, V]]]:
    """What is wanted of each server; the first of each pair is a user ID."""
    servers: dict[ServerName, list[tuple[K, V]]] = {}
    for user_id, what in wanted:
        servers.setdefault(server_of(user_id), []).append((user_id, what))
    return servers


async def ask_each(
    tenant: Tenant, questions: Mapping[ServerName, Callable[[], Awaitable[R]]]
) -> tuple[dict[ServerName, R], Failures]:
    """What the servers answered, and which did not."""
    if not tenant.remotes.reachable:
        off = {"errcode": "M_UNREACHABLE", "error": "Federation is off"}
        return {}, dict.fromkeys(questions, off)
    gate = asyncio.Semaphore(AT_ONCE)
    answers: dict[ServerName, R] = {}
    failures: Failures = {}

    async def ask(server: ServerName, question: Callable[[], Awaitable[R]]) -> None:
        try:
            async with gate, asyncio.timeout(PATIENCE):
                answers[server] = await question()
        except RemoteFailed as error:
            failures[server] = {"errcode": error.errcode or "M_UNREACHABLE", "error": error.message}
        except TimeoutError:
            failures[server] = {"errcode": "M_UNREACHABLE", "error": "The server did not answer in time"}

    async with asyncio.TaskGroup() as group:
        for server, question in questions.items():
            group.create_task(ask(server, question))
    return answers, failures
