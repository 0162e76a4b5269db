"""Where the tests find the specification's data, which is not ours to commit."""

import os
import warnings
from pathlib import Path

import pytest

_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "spec"


def spec_path(*parts: str) -> Path:
    """A file or folder of the specification data; without it the test is skipped loudly, or fails in CI."""
    path = Path(os.environ.get("MATRIX_SPEC") or _BESIDE_THE_REPOSITORY).joinpath(*parts)
    if not path.exists():
        missing(f"specification data: no {path}; set MATRIX_SPEC to its folder")
    return path


def missing(what: str) -> None:
    """Something that tests need is not here: fail where CI is set, else warn and skip."""
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {what}", pytrace=False)
    warnings.warn(f"SKIPPED for want of {what}", stacklevel=2)
    pytest.skip(what, allow_module_level=True)
