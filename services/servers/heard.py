"""Which servers have been heard from: whoever could not reach one may try again."""

from __future__ import annotations

from collections.abc import Callable

from protocol.ids import ServerName


class Heard:
    """Passes on, within the process, that another server has sent us a request which is really its own."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[ServerName], None]] = []

    def subscribe(self, callback: Callable[[ServerName], None]) -> Callable[[], None]:
        """From now on it is called for each request; what is returned ends that."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def note(self, server: ServerName) -> None:
        """The server has made a request, and its signature is right."""
        for callback in self._callbacks:
            callback(server)
