"""The processes in which strangers' bytes are decoded: started when there is work, ended when there is none, killed when they
take too long.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import orjson

from protocol.json import JsonObject
from services.isolated.frames import HEAD, frame
from services.isolated.port import Broken, Refused
from services.media.settings import Thumbnails

MAX_ANSWER: Final = 64 * 1024 * 1024


class Workshop:
    """At most so many processes, each with so much memory; one that was idle for `idle` seconds ends."""

    def __init__(self, most: int, memory: int, seconds: float, idle: float = 30.0) -> None:
        self._places = asyncio.Semaphore(most)
        self._memory = memory
        self._seconds = seconds
        self._idle = idle
        self._free: list[_Worker] = []
        self._all: set[_Worker] = set()

    @property
    def processes(self) -> list[int]:
        """The IDs of those that run."""
        return [worker.pid for worker in self._all]

    async def run(self, function: str, told: JsonObject, data: bytes) -> tuple[JsonObject, bytes]:
        """What the function of the child returns; raises Refused, or Broken when the process had to be given up."""
        question = frame({"function": function, **told}, data)
        async with self._places:
            worker = self._free.pop() if self._free else await self._start()
            worker.keep()
            whole = False
            try:
                async with asyncio.timeout(self._seconds):
                    answer = await worker.ask(question)
                whole = True
            except TimeoutError:
                raise Broken(f"it took more than {self._seconds:g} seconds") from None
            except (OSError, EOFError, ValueError) as error:
                raise Broken(f"the process ended: {error}") from None
            finally:
                if whole:
                    self._rest(worker)
                else:
                    self._forget(worker)
        said, bytes_said = answer
        if "refused" in said:
            raise Refused(str(said["refused"]))
        return said["said"], bytes_said

    async def close(self) -> None:
        """Ends all processes."""
        workers = list(self._all)
        for worker in workers:
            self._forget(worker)
        for worker in workers:
            await worker.ended()

    async def _start(self) -> _Worker:
        known = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.isolated.child",
            str(self._memory),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=known | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # Ctrl-C is for the server
        )
        worker = _Worker(process)
        self._all.add(worker)
        return worker

    def _rest(self, worker: _Worker) -> None:
        self._free.append(worker)
        worker.rest(self._idle, lambda: self._forget(worker))

    def _forget(self, worker: _Worker) -> None:
        worker.keep()
        worker.end()
        self._all.discard(worker)
        if worker in self._free:
            self._free.remove(worker)


def workshop_of(settings: Thumbnails) -> Workshop:
    """As the settings say."""
    return Workshop(settings.processes, settings.memory, settings.timeout / 1000)


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ending: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, question: bytes) -> tuple[JsonObject, bytes]:
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        questions.write(question)
        await questions.drain()
        told_size, data_size = HEAD.unpack(await answers.readexactly(HEAD.size))
        if told_size + data_size > MAX_ANSWER:
            raise ValueError("the answer is too large")
        said = orjson.loads(await answers.readexactly(told_size))
        return said, await answers.readexactly(data_size)

    def rest(self, seconds: float, end: Callable[[], None]) -> None:
        self._ending = asyncio.get_running_loop().call_later(seconds, end)

    def keep(self) -> None:
        if self._ending is not None:
            self._ending.cancel()

    def end(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> None:
        await self._process.wait()
