"""How long a server that cannot be reached is left alone."""

from __future__ import annotations

from services.tenant import Random

FIRST_PAUSE = 2_000  # ms
LONGEST_PAUSE = 12 * 60 * 60_000
_JITTER = 0.2
_STEPS = 1000


def next_pause(last: int, random: Random, asked: int = 0) -> int:
    """The pause (ms) after one of `last` (0: there was none): twice as long within limits, and not the same for everybody.

    `asked` is how long the server itself wants to be left alone.
    """
    pause = min(max(2 * last, FIRST_PAUSE), LONGEST_PAUSE)
    spread = 1 - _JITTER + 2 * _JITTER * random.choice(range(_STEPS)) / _STEPS
    return int(max(pause * spread, min(asked, LONGEST_PAUSE)))
