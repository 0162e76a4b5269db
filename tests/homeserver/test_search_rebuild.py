"""`hearth search rebuild`, as a person runs it."""

from __future__ import annotations

from pathlib import Path

from tests.homeserver.test_serve import hearth


async def test_the_index_is_made_anew_without_a_server(tmp_path: Path) -> None:
    ended = await hearth("search", "rebuild", "--data", str(tmp_path / "data"))
    assert ended.status == 0, ended.complained
    assert ended.said.endswith("Everything can be found again.\n")
