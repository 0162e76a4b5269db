"""How often files were downloaded: counted in memory, and written from time to time."""

from __future__ import annotations


class Downloads:
    """One tenant's count in one process; a file is named as in `storage.media.Media`."""

    def __init__(self) -> None:
        self._counted: dict[str, tuple[int, int]] = {}

    def count(self, media_id: str, now: int) -> None:
        """Somebody has been given the file."""
        self._counted[media_id] = (self._counted.get(media_id, (0, 0))[0] + 1, now)

    def taken(self) -> dict[str, tuple[int, int]]:
        """Of each file how often and when last, since this was asked before."""
        counted, self._counted = self._counted, {}
        return counted
