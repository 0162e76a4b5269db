"""Questions that many ask at once and that are asked once."""

from __future__ import annotations

import asyncio

import pytest

from services.once import Once


class Oracle:
    """Counts how often it is asked; answers when it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def answer(self) -> int:
        self.asked += 1
        number = self.asked
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return number


def for_ten(_: int) -> int:
    return 10


async def test_those_who_ask_meanwhile_share_the_answer() -> None:
    once, oracle = Once[str, int](), Oracle()
    waiting = [asyncio.create_task(once.ask("key", oracle.answer, 0, for_ten)) for _ in range(5)]
    other = asyncio.create_task(once.ask("other", oracle.answer, 0, for_ten))
    await asyncio.sleep(0)
    waiting[0].cancel()  # who asked first goes away, and the others still get their answer
    oracle.may_answer.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [1] * 4
    assert await other == 2


async def test_an_answer_is_kept_as_long_as_was_said() -> None:
    once, oracle = Once[str, int](), Oracle()
    oracle.may_answer.set()
    assert await once.ask("key", oracle.answer, 0, for_ten) == 1
    assert await once.ask("key", oracle.answer, 9, for_ten) == 1
    assert await once.ask("key", oracle.answer, 10, for_ten) == 2
    once.forget("key")
    assert await once.ask("key", oracle.answer, 11, lambda _: 0) == 3
    assert await once.ask("key", oracle.answer, 11, for_ten) == 4


async def test_only_so_many_are_kept() -> None:
    once, oracle = Once[int, int](most=2), Oracle()
    oracle.may_answer.set()
    for key in (1, 2, 3):
        await once.ask(key, oracle.answer, 0, for_ten)
    assert await once.ask(3, oracle.answer, 0, for_ten) == 3
    assert await once.ask(1, oracle.answer, 0, for_ten) == 4


async def test_failures_reach_all_and_are_not_kept() -> None:
    once, oracle = Once[str, int](), Oracle()
    oracle.error = ValueError("no")
    waiting = [asyncio.create_task(once.ask("key", oracle.answer, 0, for_ten)) for _ in range(2)]
    await asyncio.sleep(0)
    oracle.may_answer.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError, ValueError]
    oracle.error = None
    assert await once.ask("key", oracle.answer, 0, for_ten) == 2
    oracle.error = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        await once.ask("another", oracle.answer, 0, for_ten)
