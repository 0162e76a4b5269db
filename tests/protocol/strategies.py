"""What hypothesis makes JSON of."""

from typing import Any

from hypothesis import strategies as st

text = st.text(max_size=20)
# Also what no UTF-8 can hold, and what sorts otherwise in UTF-16 than by code point.
strange_text = st.text(
    st.characters() | st.sampled_from('\ud800\uff61\U0001f600\x00\x7f\u2028/\\"'), max_size=8
)


def json_of(scalars: st.SearchStrategy[Any], keys: st.SearchStrategy[str] = text) -> st.SearchStrategy[Any]:
    """Values of these scalars, lists and objects."""
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    )


strict_scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text
strict_json = json_of(strict_scalars)
old_json = json_of(strict_scalars | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
any_json = json_of(strict_scalars | st.integers() | st.floats() | strange_text, strange_text)
