"""The built bindings of matrix-rust-sdk, which stand in built/ beside this file (scripts/rust-sdk puts them there)."""

from __future__ import annotations

import sys
from pathlib import Path

BUILT = Path(__file__).parent / "built"
LIBRARY = BUILT / "matrix_sdk_python" / "_generated" / "libmatrix_sdk_ffi.so"

if LIBRARY.exists():
    sys.path.insert(0, str(BUILT))
    from matrix_sdk_python._generated import (  # type: ignore[import-not-found]
        matrix_sdk_base as base,
    )
    from matrix_sdk_python._generated import (
        matrix_sdk_ffi as ffi,
    )
    from matrix_sdk_python._generated import (
        matrix_sdk_ui as ui,
    )

    __all__ = ["BUILT", "LIBRARY", "base", "ffi", "ui"]
