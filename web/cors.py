"""The headers that let web clients in other origins talk to this server (§Web Browser Clients)."""

from types import MappingProxyType

CORS_HEADERS = MappingProxyType(
    {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
        # `If-Match` and `If-None-Match` (rendezvous) and `Date` are what clients send besides.
        "Access-Control-Allow-Headers": "X-Requested-With, Content-Type, Authorization, Date, If-Match, If-None-Match",
        "Access-Control-Expose-Headers": "Retry-After, ETag",
    }
)
"""On every response, refusals included."""

PREFLIGHT_HEADERS = MappingProxyType({**CORS_HEADERS, "Access-Control-Max-Age": "86400"})
"""On the answer to OPTIONS, which browsers may keep for a day."""
