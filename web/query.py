"""The query string of a request, decoded strictly."""

from collections.abc import Mapping

from protocol.matrix_error import InvalidParam
from web.router import decode_segment

MAX_PARAMETERS = 1000

Query = Mapping[str, list[str]]


def parse_query(raw: str) -> Query:
    """All values of each name in their order; raises InvalidParam for what is not UTF-8, contains NUL, or is
    endless.
    """
    query: dict[str, list[str]] = {}
    if not raw:
        return query
    pairs = raw.split("&")
    if len(pairs) > MAX_PARAMETERS:
        raise InvalidParam(f"There are more than {MAX_PARAMETERS} query parameters")
    for pair in pairs:
        if pair:
            name, _, value = pair.partition("=")
            query.setdefault(_decode(name), []).append(_decode(value))
    return query


def _decode(raw: str) -> str:
    return decode_segment(raw.replace("+", " "))
