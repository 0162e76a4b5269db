"""`hearth media check`, as a person runs it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.homeserver.test_serve import hearth


async def test_bytes_that_no_file_has_are_deleted(tmp_path: Path) -> None:
    left = tmp_path / "data" / "media" / "localhost_8008" / "00" / "00" / ("00" * 32)
    left.parent.mkdir(parents=True)
    left.write_bytes(b"left")
    os.utime(left, (0, 0))
    ended = await hearth(
        "media", "check", "--data", str(tmp_path / "data"), "--server-name", "localhost:8008"
    )
    assert ended.status == 0, ended.complained
    assert "1 blobs, 1 orphans deleted" in ended.said
    assert not left.exists()
