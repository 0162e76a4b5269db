"""The front door through real HTTP: CORS, tenants, tokens, limits, errors, streams, clients that leave."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from yarl import URL

from protocol.errors import InvalidEvent, InvalidId, Rejected
from protocol.matrix_error import Forbidden, InteractiveAuthNeeded, NotFound
from tests.web.conftest import Person, Start
from web.call import Call
from web.endpoint import LOGIN, MESSAGES, Auth, Endpoint, endpoint, routes_of
from web.reply import Json, Reply, redirect


async def _tenant(call: Call[str, Any]) -> Json:
    return {"tenant": call.tenant}


async def _who(call: Call[str, Person | None]) -> Json:
    return {"user_id": call.requester and call.requester.user_id}


async def _server(call: Call[str, Any]) -> Json:
    origin, target, body = call.requester
    return {"origin": origin, "target": target, "body": body.decode()}


ERRORS: dict[str, Exception] = {
    "forbidden": Forbidden("no"),
    "extra": NotFound("nothing", extra={"org.example.more": 1}),
    "rejected": Rejected("sender is not joined"),
    "id": InvalidId("not a room ID"),
    "event": InvalidEvent("no depth"),
    "uia": InteractiveAuthNeeded({"flows": [], "session": "s"}),
    "uia-failed": InteractiveAuthNeeded({"flows": [], "session": "s"}, failed=Forbidden("wrong")),
    "bug": KeyError("a secret"),
    "lost-database": ConnectionResetError("postgresql://secret"),
}


async def _fail(call: Call[str, None]) -> Json:
    raise ERRORS[call.path["error"]]


async def _reply(call: Call[str, None]) -> Reply:
    return {
        "status": Reply(202, {"a": orjson.Fragment(b"[1, 2]")}),
        "bytes": Reply(200, b"\x89PNG", {"Cache-Control": "max-age=5"}, "image/png"),
        "redirect": redirect("https://one/"),
        "scim": Reply(200, {"a": 1}, content_type="application/scim+json"),
    }[call.path["kind"]]


ENDPOINTS = [
    Endpoint("GET", "/tenant", Auth.NONE, _tenant),
    Endpoint("GET", "/who", Auth.USER, _who),
    Endpoint("GET", "/who-guests-too", Auth.USER, _who, guest=True),
    Endpoint("GET", "/who-if-anybody", Auth.OPTIONAL, _who, guest=True),
    Endpoint("GET", "/limited", Auth.USER, _who, limit=MESSAGES),
    Endpoint("GET", "/login", Auth.NONE, _tenant, limit=LOGIN),
    Endpoint("PUT", "/server/{txnId}", Auth.SERVER, _server),
    Endpoint("GET", "/fail/{error}", Auth.NONE, _fail),
    Endpoint("GET", "/reply/{kind}", Auth.NONE, _reply),
]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/tenant", 200),
        ("GET", "/reply/bytes", 200),
        ("GET", "/who", 401),
        ("GET", "/fail/bug", 500),
        ("GET", "/nowhere", 404),
        ("POST", "/tenant", 405),
        ("OPTIONS", "/tenant", 204),
        ("OPTIONS", "/nowhere", 204),
    ],
)
async def test_every_response_lets_web_clients_of_other_origins_read_it(
    start: Start, method: str, path: str, status: int
) -> None:
    site = await start(ENDPOINTS)
    async with site.session.request(method, site.url + path) as response:
        assert response.status == status
        assert response.headers.getall("Access-Control-Allow-Origin") == ["*"]
        methods = response.headers["Access-Control-Allow-Methods"].split(", ")
        assert {"GET", "POST", "PUT", "DELETE", "OPTIONS"} <= set(methods)
        allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
        assert {"X-Requested-With", "Content-Type", "Authorization", "Date"} <= set(allowed)


async def test_the_host_names_the_tenant(start: Start) -> None:
    site = await start(ENDPOINTS, {"one.example": "one", "two.example:8448": "two"}, None)
    for host, tenant in (("One.example", "one"), ("one.example:80", "one"), ("two.example:8448", "two")):
        async with site.session.get(site.url + "/tenant", headers={"Host": host}) as response:
            assert await response.json() == {"tenant": tenant}
    for host in ("two.example", "three.example", ""):
        async with site.session.get(site.url + "/tenant", headers={"Host": host}) as response:
            assert response.status == 404
            assert (await response.json())["errcode"] == "M_NOT_FOUND"


@pytest.mark.parametrize(
    ("path", "authorization", "status", "said"),
    [
        ("/who", "Bearer alice-token", 200, {"user_id": "@alice:one"}),
        ("/who?access_token=alice-token", None, 200, {"user_id": "@alice:one"}),
        ("/who", None, 401, {"errcode": "M_MISSING_TOKEN"}),
        ("/who", "Bearer ", 401, {"errcode": "M_MISSING_TOKEN"}),
        ("/who?access_token=", None, 401, {"errcode": "M_MISSING_TOKEN"}),
        ("/who", "Basic YTpi", 401, {"errcode": "M_MISSING_TOKEN"}),
        ("/who", "Bearer other", 401, {"errcode": "M_UNKNOWN_TOKEN", "soft_logout": True}),
        ("/who", "Bearer é", 401, {"errcode": "M_UNKNOWN_TOKEN"}),
        ("/who", "Bearer guest-token", 403, {"errcode": "M_GUEST_ACCESS_FORBIDDEN"}),
        ("/who-guests-too", "Bearer guest-token", 200, {"user_id": "@7:one"}),
        ("/who-if-anybody", None, 200, {"user_id": None}),
        ("/who-if-anybody", "Bearer alice-token", 200, {"user_id": "@alice:one"}),
        ("/who-if-anybody", "Bearer other", 401, {"errcode": "M_UNKNOWN_TOKEN"}),
    ],
)
async def test_a_token_says_who_asks(
    start: Start, path: str, authorization: str | None, status: int, said: dict[str, Any]
) -> None:
    site = await start(ENDPOINTS)
    headers = {"Authorization": authorization} if authorization else {}
    async with site.session.get(site.url + path, headers=headers) as response:
        assert response.status == status
        assert said.items() <= (await response.json()).items()


async def test_another_servers_signature_is_checked_over_target_and_body(start: Start) -> None:
    site = await start(ENDPOINTS)
    headers = {"Authorization": "X-Matrix two"}
    url = URL(site.url + "/server/a%2Fb?x=%41", encoded=True)
    async with site.session.put(url, data=b'{"pdus":[]}', headers=headers) as response:
        expected = {"origin": "two", "target": "/server/a%2Fb?x=%41", "body": '{"pdus":[]}'}
        assert await response.json() == expected


async def test_limits_count_the_requester_or_the_address_and_say_when_to_come_back(start: Start) -> None:
    site = await start(ENDPOINTS)
    site.refuse_after = 2
    alice = {"Authorization": "Bearer alice-token"}
    async with site.session.get(site.url + "/limited", headers=alice) as response:
        assert response.status == 200
    async with site.session.get(site.url + "/login") as response:
        assert response.status == 200
    assert site.limited == [
        ("one", Person("@alice:one"), "127.0.0.1", MESSAGES),
        ("one", None, "127.0.0.1", LOGIN),
    ]
    async with site.session.get(site.url + "/login") as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "2"
        said = await response.json()
        assert (said["errcode"], said["retry_after_ms"]) == ("M_LIMIT_EXCEEDED", 1500)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        ("forbidden", 403, {"errcode": "M_FORBIDDEN", "error": "no"}),
        ("extra", 404, {"errcode": "M_NOT_FOUND", "error": "nothing", "org.example.more": 1}),
        ("rejected", 403, {"errcode": "M_FORBIDDEN", "error": "sender is not joined"}),
        ("id", 400, {"errcode": "M_INVALID_PARAM", "error": "not a room ID"}),
        ("event", 400, {"errcode": "M_BAD_JSON", "error": "no depth"}),
        ("uia", 401, {"flows": [], "session": "s"}),
        ("uia-failed", 401, {"flows": [], "session": "s", "errcode": "M_FORBIDDEN", "error": "wrong"}),
        ("bug", 500, {"errcode": "M_UNKNOWN", "error": "Internal server error"}),
        ("lost-database", 500, {"errcode": "M_UNKNOWN", "error": "Internal server error"}),
    ],
)
async def test_an_error_becomes_its_reply_and_our_own_are_told_but_not_shown(
    start: Start, error: str, status: int, said: dict[str, Any]
) -> None:
    site = await start(ENDPOINTS)
    async with site.session.get(f"{site.url}/fail/{error}?access_token=x") as response:
        assert (response.status, await response.json()) == (status, said)
    (served,) = site.told
    assert served.failure is (ERRORS[error] if status == 500 else None)
    assert (served.status, served.errcode) == (status, said.get("errcode"))
    assert (served.tenant, served.path, served.remote) == ("one", f"/fail/{error}", "127.0.0.1")


async def test_replies_carry_their_status_headers_and_types(start: Start) -> None:
    site = await start(ENDPOINTS)

    async def get(kind: str) -> tuple[int, str, bytes, Any]:
        async with site.session.get(f"{site.url}/reply/{kind}", allow_redirects=False) as response:
            headers = response.headers
            return response.status, headers["Content-Type"], await response.read(), headers

    assert (await get("status"))[:3] == (202, "application/json", b'{"a":[1, 2]}')
    status, content_type, body, headers = await get("bytes")
    assert (status, content_type, body) == (200, "image/png", b"\x89PNG")
    assert headers["Cache-Control"] == "max-age=5"
    status, _, _, headers = await get("redirect")
    assert (status, headers["Location"]) == (302, "https://one/")
    assert (await get("scim"))[:3] == (200, "application/scim+json", b'{"a":1}')
    async with site.session.head(f"{site.url}/reply/bytes") as response:
        assert (response.status, await response.read()) == (200, b"")


class Tap:
    """A stream that ends well, or breaks, and knows whether it was closed."""

    def __init__(self, breaks: bool) -> None:
        self.breaks = breaks
        self.closed = False

    async def run(self) -> AsyncIterator[bytes]:
        try:
            yield b"a" * 5
            if self.breaks:
                raise OSError("disk gone")
            yield b"b" * 5
        finally:
            self.closed = True


@pytest.mark.parametrize("length", [10, None])
async def test_a_stream_is_sent_whole_or_noticeably_torn(start: Start, length: int | None) -> None:
    taps = {"good": Tap(breaks=False), "bad": Tap(breaks=True)}

    async def serve(call: Call[str, None]) -> Reply:
        return Reply(200, taps[call.path["tap"]].run(), length=length)

    site = await start([Endpoint("GET", "/{tap}", Auth.NONE, serve)])
    async with site.session.get(site.url + "/good") as response:
        assert await response.read() == b"aaaaabbbbb"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    with pytest.raises(aiohttp.ClientPayloadError):
        async with site.session.get(site.url + "/bad") as response:
            await response.read()
    assert taps["good"].closed
    assert taps["bad"].closed
    assert [type(served.failure) for served in site.told] == [type(None), OSError]


async def test_a_call_learns_that_its_client_left_and_is_not_cancelled(start: Start) -> None:
    waiting, ended = asyncio.Event(), asyncio.Event()

    async def serve(call: Call[str, None]) -> Json:
        waiting.set()
        await call.disconnected.wait()
        await asyncio.sleep(0)  # a write that goes on: it would be cancelled here
        ended.set()
        return {}

    site = await start([Endpoint("GET", "/sync", Auth.NONE, serve)])
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET /sync HTTP/1.1\r\nHost: one\r\n\r\n")
    await asyncio.wait_for(waiting.wait(), 5)
    writer.close()
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_server_that_stops_ends_the_waiting_of_its_calls(start: Start) -> None:
    waiting = asyncio.Event()

    async def serve(call: Call[str, None]) -> Json:
        waiting.set()
        await call.disconnected.wait()
        return {"next_batch": "s1"}

    site = await start([Endpoint("GET", "/sync", Auth.NONE, serve)])
    answer = asyncio.create_task(site.raw(b"GET /sync HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    await asyncio.wait_for(waiting.wait(), 5)
    site.server.tell_all_gone()
    assert (await answer).endswith(b'{"next_batch":"s1"}')


@pytest.mark.parametrize(
    "garbage", [b"GET /tenant HTTP/1.1\r\nBad Header\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n"]
)
async def test_what_is_not_http_is_refused_in_json(start: Start, garbage: bytes) -> None:
    site = await start(ENDPOINTS)
    answer = await site.raw(garbage)
    assert answer.split()[1] == b"400"
    assert b"Access-Control-Allow-Origin: *" in answer
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["errcode"] == "M_UNKNOWN"


@endpoint("put", "/v3/thing/{id}", auth=Auth.USER, limit=MESSAGES, also=["/r0/thing/{id}"])
@endpoint("GET", "/v3/thing", auth=Auth.NONE)
async def put_thing(call: Call[str, Any]) -> Json:
    return {}


def test_declarations_are_collected_from_the_module_that_makes_them() -> None:
    import tests.web.test_site as module

    declared = routes_of(module)
    assert [(e.method, e.paths, e.auth, e.limit, e.name) for e in declared] == [
        ("PUT", ("/v3/thing/{id}", "/r0/thing/{id}"), Auth.USER, MESSAGES, "put_thing"),
        ("GET", ("/v3/thing",), Auth.NONE, None, "put_thing"),
    ]
