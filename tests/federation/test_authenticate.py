"""Who asks is who signed: the X-Matrix header, end to end over TLS."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from federation.authenticate import STRANGERS_AT_ONCE, Claim, read_header
from federation.client.request import Question, authorization, body_of, signed_object
from protocol.matrix_error import Unauthorized
from protocol.signing import SigningKey
from services.settings import DAY, HOUR, RateLimits
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.lying_server import LyingServer
from tests.fixtures.time import FakeClock

KEYS = "/_matrix/key/v2/server"
PUBLIC_ROOMS = "/_matrix/federation/v1/publicRooms"


@pytest.fixture
async def one(make_federated: MakeFederated) -> Homeserver:
    """The homeserver that is asked."""
    return await make_federated()


@pytest.fixture
async def other(make_lying: MakeLying) -> LyingServer:
    """The server that asks."""
    return await make_lying()


async def asked(other: LyingServer, one: Homeserver, header: str | None) -> tuple[int, Any]:
    """The answer to a GET with this header; None: with the right one."""
    return await other.request(one, "GET", PUBLIC_ROOMS, header=header)


def header_for(other: LyingServer, destination: str, path: str = PUBLIC_ROOMS) -> str:
    """A signature over a GET of this path."""
    return authorization(other.key, other.name, destination, Question("GET", path))


async def test_a_signed_request_is_answered(one: Homeserver, other: LyingServer) -> None:
    assert (await asked(other, one, None))[0] == 200
    body = {"limit": 3, "filter": {"generic_search_term": "ä\u2028"}}
    assert (await other.request(one, "POST", PUBLIC_ROOMS, body))[0] == 200


async def test_the_body_is_signed_too(one: Homeserver, other: LyingServer) -> None:
    header = authorization(
        other.key, other.name, one.name, Question("POST", PUBLIC_ROOMS, body_of({"limit": 3}))
    )
    assert (await other.request(one, "POST", PUBLIC_ROOMS, {"limit": 3}, header=header))[0] == 200
    status, said = await other.request(one, "POST", PUBLIC_ROOMS, {"limit": 4}, header=header)
    assert (status, said["errcode"]) == (401, "M_UNAUTHORIZED")


async def test_the_path_is_signed_as_it_is_sent(one: Homeserver, other: LyingServer) -> None:
    user = "%40%61lice%3a" + one.name  # encoded as no library would
    await one.user("alice")
    path = f"/_matrix/federation/v1/query/profile?user_id={user}&field=displayname"
    status, said = await other.request(one, "GET", path)
    assert status != 401, said
    decoded = path.replace("%40%61", "@a")
    status, _ = await other.request(one, "GET", path, header=header_for(other, one.name, decoded))
    assert status == 401


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer abc",
        "X-Matrix",
        "X-Matrix origin=a.example",
        'X-Matrix origin="a.example",key="ed25519:1"',
        'X-Matrix origin="not a name",key="ed25519:1",sig="AA"',
        'X-Matrix origin="a.example",key="ed25519:1",sig="AA" trailing',
        'X-Matrix origin="a.example",origin="b.example",key="ed25519:1",sig="AA"',
        "X-Matrix " + "a" * 100_00,
    ],
)
async def test_without_a_proper_header_nothing_is_answered(
    one: Homeserver, other: LyingServer, header: str
) -> None:
    status, said = await asked(other, one, header)
    assert (status, said["errcode"]) == (401, "M_UNAUTHORIZED")


async def test_a_request_for_another_server_is_refused(one: Homeserver, other: LyingServer) -> None:
    status, said = await asked(other, one, header_for(other, "elsewhere.example"))
    assert (status, said["errcode"]) == (401, "M_UNAUTHORIZED")


async def test_servers_from_before_destinations_are_understood(one: Homeserver, other: LyingServer) -> None:
    message = orjson.loads(signed_object("GET", PUBLIC_ROOMS, other.name, one.name, None))
    del message["destination"]
    signature = other.key.sign(orjson.dumps(message, option=orjson.OPT_SORT_KEYS))
    header = f"X-Matrix origin={other.name},key={other.key.name},sig={signature}"
    assert (await asked(other, one, header))[0] == 200
    # Nor may the destination be added to a signature without one.
    assert (await asked(other, one, f"{header},destination={one.name}"))[0] == 401


async def test_nobody_is_taken_for_this_server_itself(one: Homeserver, other: LyingServer) -> None:
    ours = one.tenant.signing_key
    header = authorization(ours, one.name, one.name, Question("GET", PUBLIC_ROOMS))
    assert (await asked(other, one, header))[0] == 401


async def test_a_key_that_is_not_published_is_refused(one: Homeserver, other: LyingServer) -> None:
    stolen = SigningKey.from_seed("ed25519:other", b"x" * 32)
    header = authorization(stolen, other.name, one.name, Question("GET", PUBLIC_ROOMS))
    assert (await asked(other, one, header))[0] == 401
    impostor = SigningKey.from_seed(other.key.name, b"x" * 32)
    header = authorization(impostor, other.name, one.name, Question("GET", PUBLIC_ROOMS))
    assert (await asked(other, one, header))[0] == 401


async def test_old_keys_and_expired_ones_do_not_sign_requests(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    clock = FakeClock()
    one, other = await make_federated(clock=clock), await make_lying(clock=clock)
    assert (await asked(other, one, None))[0] == 200
    clock.advance(DAY + HOUR)
    assert (await asked(other, one, None))[0] == 200  # the key was published anew
    assert other.times_asked(KEYS) == 2

    old, other.key = other.key, SigningKey.from_seed("ed25519:new", b"N" * 32)
    retired = {old.name: {"key": old.verify_key.to_base64(), "expired_ts": clock.now() + DAY}}
    other.on("GET", KEYS, lambda _: other.key_object(old_verify_keys=retired))
    clock.advance(HOUR)
    assert (await asked(other, one, None))[0] == 200
    header = authorization(old, other.name, one.name, Question("GET", PUBLIC_ROOMS))
    assert (await asked(other, one, header))[0] == 401

    other.on("GET", KEYS, lambda _: (500, {}))
    clock.advance(2 * DAY)
    assert (await asked(other, one, None))[0] == 401  # nobody says that the key is still good


async def test_keys_are_fetched_once_for_many_requests(one: Homeserver, other: LyingServer) -> None:
    answers = await asyncio.gather(*(asked(other, one, None) for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    assert other.times_asked(KEYS) == 1


async def test_strangers_do_not_make_us_ask_without_a_limit(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    clock = FakeClock()
    other = await make_lying(clock=clock)
    limited = await make_federated(clock=clock, rate_limits=RateLimits(enabled=True))
    assert (await asked(other, limited, None))[0] == 200

    def stranger(port: int) -> str:
        return header_for(other, limited.name).replace(other.name, f"127.0.0.1:{port}")  # nobody is there

    answers = [(await asked(other, limited, stranger(port)))[0] for port in range(1, STRANGERS_AT_ONCE + 10)]
    assert set(answers[: STRANGERS_AT_ONCE - 1]) == {401}
    assert answers[-1] == 429
    assert (await asked(other, limited, None))[0] == 200  # whose key is known is not held back


async def test_several_headers_must_agree(one: Homeserver, other: LyingServer) -> None:
    right = header_for(other, one.name)
    wrong = right.replace(f'key="{other.key.name}"', 'key="ed25519:unknown"')

    async def with_headers(*headers: str) -> int:
        async with other.session.get(
            one.url + PUBLIC_ROOMS, headers=[("Authorization", header) for header in headers]
        ) as response:
            return response.status

    assert await with_headers(right, wrong) == 200  # a signature by a key that is not known is passed over
    assert await with_headers(right, header_for(other, one.name).replace(other.name, "b.example")) == 401


async def test_federation_switched_off_says_so(make_homeserver: MakeHomeserver, other: LyingServer) -> None:
    off = await make_homeserver()
    status, said = await asked(other, off, header_for(other, off.name))
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
    status, said = await other.request(off, "GET", KEYS, header="")
    assert status == 200
    assert said["server_name"] == off.name


@pytest.mark.parametrize(
    "header",
    [
        'X-Matrix origin="a.example:8448",destination="b",key="ed25519:1",sig="A+/="',
        "x-matrix   ORIGIN=a.example:8448 , destination=b,key=ed25519:1,sig=A+/",
        'X-Matrix sig="A\\+/",unknown="x,y=\\"z",key="ed25519:1",destination=b,origin=a.example:8448,',
    ],
)
def test_headers_are_read_as_the_grammar_says(header: str) -> None:
    claim = read_header(header.replace("A+/=", "A+/"))
    assert claim == Claim("a.example:8448", "b", "ed25519:1", "A+/")


def test_a_header_of_another_scheme_says_nothing() -> None:
    assert read_header("Bearer x") is None
    with pytest.raises(Unauthorized):
        read_header('X-Matrix origin="a.example')
