"""The timer of the floor below, for what is to happen with other servers later."""

from storage.redis.timer import Timer as Timer
