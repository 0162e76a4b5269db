"""What a request may bring, through real HTTP: bodies, fields, queries, identifiers, and their refusals."""

import asyncio
from typing import Any

import orjson
import pytest

from protocol.json import MAX_NESTING
from tests.web.conftest import Start
from web.call import Call
from web.endpoint import Auth, Body, Endpoint
from web.reply import Json


async def _fields(call: Call[str, None]) -> Json:
    return {
        "name": call.text("name"),
        "limit": call.integer("limit", 10, minimum=1, maximum=100),
        "typing": call.flag("typing", False),
        "topics": call.strings("topics", []),
        "content": call.object("content", None),
        "people": call.fields.objects("people", []),
        "timeout": call.duration("timeout", 5000, 60_000),
    }


async def _query(call: Call[str, None]) -> Json:
    return {
        "dir": call.query_text("dir", None),
        "limit": call.query_integer("limit", 10, 1, 100),
        "full": call.query_flag("full"),
        "at": call.query_all("at"),
        "timeout": call.query_duration("timeout", 0, 30_000),
    }


async def _typing(call: Call[str, Any]) -> Json:
    return {"room": call.room_id(), "user": call.requester_named("userId").user_id}


async def _identifiers(call: Call[str, None]) -> Json:
    return [call.user_id(), call.event_id(), call.room_alias(), call.server_name(), call.txn_id()]


async def _whatever(call: Call[str, None]) -> Json:
    return {"empty": call.json_object_or_empty()}


async def _upload(call: Call[str, None]) -> Json:
    return {"size": sum([len(chunk) async for chunk in call.chunks()])}


ENDPOINTS = [
    Endpoint("POST", "/fields", Auth.NONE, _fields, max_body=100_000),
    Endpoint("GET", "/query", Auth.NONE, _query),
    Endpoint("PUT", "/typing/{roomId}/{userId}", Auth.USER, _typing),
    Endpoint("GET", "/ids/{userId}/{eventId}/{roomAlias}/{serverName}/{txnId}", Auth.NONE, _identifiers),
    Endpoint("POST", "/whatever", Auth.NONE, _whatever),
    Endpoint("POST", "/upload", Auth.NONE, _upload, body=Body.STREAM, max_body=100_000),
]

MINIMAL = {
    "name": "a",
    "limit": 10,
    "typing": False,
    "topics": [],
    "content": None,
    "people": [],
    "timeout": 5000,
}


@pytest.mark.parametrize(
    ("sent", "changed"),
    [
        ({}, {}),
        ({"limit": 1000, "timeout": 10**12}, {"limit": 100, "timeout": 60_000}),
        ({"typing": True, "topics": ["x"], "content": {"a": 1.5}}, None),
        ({"limit": 2**63, "timeout": 2**64 - 1}, {"limit": 100, "timeout": 60_000}),
        ({"people": [{"user_id": "@a:one"}], "limit": None}, {"people": [{"user_id": "@a:one"}]}),
    ],
)
async def test_fields_are_read_by_name_and_type(
    start: Start, sent: dict[str, Any], changed: dict[str, Any] | None
) -> None:
    site = await start(ENDPOINTS)
    async with site.session.post(site.url + "/fields", json={"name": "a", **sent}) as response:
        assert response.status == 200
        assert await response.json() == {**MINIMAL, **(sent if changed is None else changed)}


DEEP = b'{"name":' + b"[" * (MAX_NESTING + 1) + b"]" * (MAX_NESTING + 1) + b"}"


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        (b"{", "M_NOT_JSON"),
        (b'{"name": "\xff"}', "M_NOT_JSON"),
        (b'{"name": "\\ud800"}', "M_NOT_JSON"),
        (b'{"limit": NaN}', "M_NOT_JSON"),
        (b'{"limit": Infinity}', "M_NOT_JSON"),
        (DEEP, "M_NOT_JSON"),
        (b"[]", "M_BAD_JSON"),
        (b"7", "M_BAD_JSON"),
        (b'{"limit": 7}', "M_MISSING_PARAM"),
        (b"", "M_MISSING_PARAM"),
        (b'{"name": null}', "M_MISSING_PARAM"),
        (b'{"name": 7}', "M_BAD_JSON"),
        (b'{"name": "a\\u0000b"}', "M_INVALID_PARAM"),
        (b'{"name": "a", "limit": "7"}', "M_BAD_JSON"),
        (b'{"name": "a", "limit": 7.5}', "M_BAD_JSON"),
        (b'{"name": "a", "limit": true}', "M_BAD_JSON"),
        (b'{"name": "a", "limit": 0}', "M_INVALID_PARAM"),
        (b'{"name": "a", "limit": 18446744073709551616}', "M_BAD_JSON"),
        (b'{"name": "a", "typing": 1}', "M_BAD_JSON"),
        (b'{"name": "a", "topics": ["a", 1]}', "M_BAD_JSON"),
        (b'{"name": "a", "topics": "abc"}', "M_BAD_JSON"),
        (b'{"name": "a", "content": []}', "M_BAD_JSON"),
        (b'{"name": "a", "people": ["x"]}', "M_BAD_JSON"),
        (b'{"name": "a", "timeout": -1}', "M_INVALID_PARAM"),
    ],
)
async def test_a_bad_body_is_refused_with_its_error_code(start: Start, body: bytes, errcode: str) -> None:
    site = await start(ENDPOINTS)
    async with site.session.post(site.url + "/fields", data=body) as response:
        assert (response.status, (await response.json())["errcode"]) == (400, errcode)


async def test_a_body_may_be_left_away_where_the_endpoint_allows_it(start: Start) -> None:
    site = await start(ENDPOINTS)
    async with site.session.post(site.url + "/whatever") as response:
        assert await response.json() == {"empty": {}}
    async with site.session.post(site.url + "/whatever", data=b"[]") as response:
        assert (await response.json())["errcode"] == "M_BAD_JSON"


async def _pieces(total: int) -> Any:
    for _ in range(total // 10_000):
        yield b" " * 10_000


@pytest.mark.parametrize("path", ["/fields", "/upload"])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused(start: Start, path: str, announced: bool) -> None:
    site = await start(ENDPOINTS)
    data = b" " * 200_000 if announced else _pieces(200_000)
    async with site.session.post(site.url + path, data=data) as response:
        assert (response.status, (await response.json())["errcode"]) == (413, "M_TOO_LARGE")


async def test_a_streamed_body_within_the_limit_is_read_to_its_end(start: Start) -> None:
    site = await start(ENDPOINTS)
    async with site.session.post(site.url + "/upload", data=_pieces(90_000)) as response:
        assert await response.json() == {"size": 90_000}


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(start: Start) -> None:
    site = await start(ENDPOINTS)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(
        b"POST /upload HTTP/1.1\r\nHost: one\r\nContent-Length: 5\r\nExpect: 100-continue\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello")
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b'{"size":5}')


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("?dir=b&limit=7&full=true", {"dir": "b", "limit": 7, "full": True}),
        ("?dir=%C3%A9+x%2B&at=1&at=2&full=false", {"dir": "é x+", "at": ["1", "2"]}),
        ("?limit=99999&timeout=31000&&=", {"limit": 100, "timeout": 30_000}),
    ],
)
async def test_query_parameters_are_read_by_name_and_type(
    start: Start, query: str, expected: dict[str, Any]
) -> None:
    site = await start(ENDPOINTS)
    nothing: dict[str, Any] = {"dir": None, "limit": 10, "full": False, "at": [], "timeout": 0}
    answer = await site.raw(f"GET /query{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2]) == {**nothing, **expected}


@pytest.mark.parametrize(
    "query",
    [
        b"limit=x",
        b"limit=-1",
        b"limit=0",
        b"limit=1e3",
        b"limit=%D9%A3",
        b"limit=" + b"9" * 5000,
        b"full=1",
        b"full=",
        b"dir=%ff",
        b"%ff=1",
        b"dir=%00",
        b"&".join([b"a=1"] * 1500),
    ],
)
async def test_a_bad_query_is_an_invalid_parameter(start: Start, query: bytes) -> None:
    site = await start(ENDPOINTS)
    answer = await site.raw(b"GET /query?" + query + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["errcode"] == "M_INVALID_PARAM"


@pytest.mark.parametrize(
    ("path", "status", "errcode"),
    [
        ("/typing/!r:one/@alice:one", 200, None),
        ("/typing/%21r:one/%40alice%3Aone", 200, None),
        ("/typing/!r:one/@bob:one", 403, "M_FORBIDDEN"),
        ("/typing/!r:one/bob", 400, "M_INVALID_PARAM"),
        ("/typing/r:one/@alice:one", 400, "M_INVALID_PARAM"),
        ("/typing/%ff/@alice:one", 400, "M_INVALID_PARAM"),
    ],
)
async def test_a_path_names_the_requester_and_a_room(
    start: Start, path: str, status: int, errcode: str | None
) -> None:
    site = await start(ENDPOINTS)
    answer = await site.raw(
        f"PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: bearer alice-token\r\n".encode()
        + b"Connection: close\r\n\r\n"
    )
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2]).get("errcode") == errcode


GOOD_IDS = ["@a:one", "$event", "#a:one", "one:8448", "txn"]


@pytest.mark.parametrize(
    ("at", "bad"), [(0, "a"), (0, "@a"), (1, "event"), (2, "#a"), (3, "one:x"), (4, "x" * 300)]
)
async def test_identifiers_in_the_path_are_checked(start: Start, at: int, bad: str) -> None:
    site = await start(ENDPOINTS)
    for ids, status in ((GOOD_IDS, 200), ([*GOOD_IDS[:at], bad, *GOOD_IDS[at + 1 :]], 400)):
        path = "/".join(part.replace("#", "%23") for part in ids)
        answer = await site.raw(f"GET /ids/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())


async def test_proxies_may_send_the_absolute_form(start: Start) -> None:
    site = await start(ENDPOINTS)
    answer = await site.raw(b"GET http://one/query?dir=b HTTP/1.1\r\nHost: one\r\nConnection: close\r\n\r\n")
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["dir"] == "b"
