"""The process itself: reads one question after the other from standard input, and ends with it.

It imports little, has no environment, no connection and no secret; its memory and the size of files it may write are limited
before the first byte of a stranger is read.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from services.isolated.frames import HEAD, frame
from services.isolated.port import Refused

Function = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]


def _thumbnail(told: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    from services.isolated.pictures import thumbnail

    return thumbnail(told, data)


def _measure(told: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    from services.isolated.pictures import measure

    return measure(told, data)


def _page(told: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    from services.isolated.pages import read_page

    return read_page(told, data)


# Libraries are loaded by what needs them.
FUNCTIONS: dict[str, Function] = {"thumbnail": _thumbnail, "measure": _measure, "page": _page}


def main() -> None:
    """Serves until the input ends; the argument is how many bytes of memory there may be."""
    _limit_resources(int(sys.argv[1]))
    serve(sys.stdin.buffer, os.fdopen(os.dup(1), "wb"))


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answers until there are no questions any more."""
    while len(head := questions.read(HEAD.size)) == HEAD.size:
        told_size, data_size = HEAD.unpack(head)
        told = json.loads(questions.read(told_size))
        data = questions.read(data_size)
        try:
            said, bytes_said = FUNCTIONS[told.pop("function")](told, data)
            answer = frame({"said": said}, bytes_said)
        except Refused as refused:
            answer = frame({"refused": str(refused)[:200]}, b"")
        except MemoryError:
            answer = frame({"refused": "it takes too much memory"}, b"")
        answers.write(answer)
        answers.flush()


def _limit_resources(memory: int) -> None:
    try:
        import resource
    except ImportError:  # not everywhere; what runs too long is still ended
        return
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        try:
            resource.setrlimit(what, (most, most))
        except (OSError, ValueError):  # a stricter limit is in force already
            continue


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, struct.error, KeyboardInterrupt):
        sys.exit(0)
