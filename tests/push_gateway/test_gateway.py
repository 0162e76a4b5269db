"""The gateway itself: who may ask, what is refused, how connections are used, and what is told of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeserver.push_gateway import figures
from push_gateway.settings import Rate
from tests.fixtures.certificates import Authority
from tests.hostile.on_bodies import NOT_AN_OBJECT, NOT_JSON
from tests.push_gateway.conftest import Cupertino, Google, MakeGateway
from tests.push_gateway.leaving import leaving
from tests.push_gateway.providers import Apple
from tests.push_gateway.providers import Provider as FakeProvider
from tests.push_gateway.providers import running as running_provider
from tests.push_gateway.test_apns import APP, KEY

VALID: dict[str, Any] = {
    "event_id": "$e", "room_id": "!r", "type": "m.room.message", "sender": "@a:one", "sender_display_name": "A",
    "room_name": "R", "room_alias": "#r:one", "user_is_target": False, "prio": "low", "content": {"body": "x"},
    "counts": {"unread": 1, "missed_calls": 2},
    "devices": [{"app_id": APP, "pushkey": KEY, "pushkey_ts": 1, "data": {"format": "event_id_only"}, "tweaks": {}}],
}  # fmt: skip
WRONG: list[Any] = [None, True, 7, -1, 1.5, "x", "a\0b", [], ["x"], {}, {"x": 1}, [None], [[]], [{}], 10**400]


# -- what is refused


@pytest.mark.parametrize("body", [*NOT_JSON.values(), *NOT_AN_OBJECT.values(), b""])
async def test_what_is_not_a_json_object_is_refused(
    make_gateway: MakeGateway, cupertino: Cupertino, body: bytes
) -> None:
    gateway = await make_gateway(cupertino.app)
    status, said, _ = await gateway.post(body)
    assert status == 400
    assert said["errcode"] in ("M_NOT_JSON", "M_BAD_JSON")


async def test_a_body_that_is_too_large_is_refused(make_gateway: MakeGateway, cupertino: Cupertino) -> None:
    gateway = await make_gateway(cupertino.app)
    status, said, _ = await gateway.post({"notification": VALID, "x": "x" * 300_000})
    assert (status, said["errcode"]) == (413, "M_TOO_LARGE")


@pytest.mark.parametrize("spoilt", ["notification", *VALID, "unread", "missed_calls", *VALID["devices"][0]])
async def test_each_member_in_turn_is_spoilt(
    make_gateway: MakeGateway, cupertino: Cupertino, spoilt: str
) -> None:
    gateway = await make_gateway(cupertino.app, per_pushkey=Rate(1e6, 1_000_000))
    for wrong in WRONG:
        body: dict[str, Any] = (
            {"notification": _spoilt(spoilt, wrong)} if spoilt != "notification" else {spoilt: wrong}
        )
        try:
            status, said, _ = await gateway.post(body)
        except ValueError:  # Python writes no such number
            continue
        assert status in (200, 400), (wrong, said)
        assert status == 200 or said["errcode"] in (
            "M_BAD_JSON",
            "M_INVALID_PARAM",
            "M_MISSING_PARAM",
            "M_NOT_JSON",
        )


def _spoilt(name: str, wrong: Any) -> dict[str, Any]:
    (device,) = VALID["devices"]
    if name in device:
        return VALID | {"devices": [device | {name: wrong}]}
    if name in VALID["counts"]:
        return VALID | {"counts": VALID["counts"] | {name: wrong}}
    return VALID | {name: wrong}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=8), below, max_size=4),
    max_leaves=12,
)  # fmt: skip


async def test_whatever_a_stranger_says_is_answered(
    make_gateway: MakeGateway, cupertino: Cupertino, google: Google
) -> None:
    """Also what the provider is to be told: contents, default payloads and tweaks are anybody's."""
    gateway = await make_gateway(
        cupertino.app, google.app, per_pushkey=Rate(1e6, 1_000_000), per_address=Rate(1e6, 10**6)
    )
    loop = asyncio.get_running_loop()

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(JSON, JSON, JSON, st.sampled_from([APP, google.app.id]), st.text(max_size=40))
    def ask(content: Any, payload: Any, tweaks: Any, app_id: str, name: str) -> None:
        data = {"default_payload": payload}
        device = {
            "app_id": app_id,
            "pushkey": KEY,
            "data": data,
            "tweaks": {"sound": tweaks, "highlight": tweaks},
        }
        said = VALID | {
            "content": {"body": content, name: content},
            "devices": [device],
            "sender_display_name": name,
        }
        said.pop("event_id")
        future = asyncio.run_coroutine_threadsafe(gateway.post({"notification": said}), loop)
        status, answer, _ = future.result(20)
        assert status in (200, 400), answer

    await asyncio.to_thread(ask)


async def test_what_is_made_to_grow_is_cut_before_it_grows(make_gateway: MakeGateway, google: Google) -> None:
    """A hundred devices, long names inside one another, and many leaves at the bottom: quadratic, were they all joined."""
    gateway = await make_gateway(google.app)
    deep: Any = {f"k{n}": n for n in range(3_000)}
    for _ in range(200):
        deep = {"n" * 250: deep}
    devices = [
        {"app_id": google.app.id, "pushkey": f"d{n}", "data": {"default_payload": deep}} for n in range(1)
    ]
    devices += [{"app_id": google.app.id, "pushkey": f"e{n}"} for n in range(99)]
    before = time.process_time()
    body = {"notification": VALID | {"content": deep | {"body": "hello"}, "devices": devices}}
    assert (await gateway.post(body))[:2] == (200, {"rejected": []})
    assert time.process_time() - before < 5
    assert google.provider.asked[-1].json["message"]["data"]["content_body"] == "hello"


async def test_apps_that_nobody_configured_are_rejected(
    make_gateway: MakeGateway, cupertino: Cupertino
) -> None:
    gateway = await make_gateway(cupertino.app)
    assert await gateway.notify("org.example.other", "k", event_id="$e") == ["k"]
    assert cupertino.provider.asked == []


async def test_many_devices_are_told_at_once_and_only_the_gone_are_rejected(
    make_gateway: MakeGateway, cupertino: Cupertino, google: Google
) -> None:
    gateway = await make_gateway(cupertino.app, google.app)
    google.oauth.result = 404, {}, b"{}"
    devices = [{"app_id": APP, "pushkey": KEY}, {"app_id": google.app.id, "pushkey": "gone"}]
    assert (await gateway.post({"notification": {"event_id": "$e", "devices": devices}}))[1] == {
        "rejected": ["gone"]
    }


async def test_a_hundred_devices_are_enough(make_gateway: MakeGateway, cupertino: Cupertino) -> None:
    gateway = await make_gateway(cupertino.app)
    devices = [{"app_id": APP, "pushkey": KEY}] * 101
    assert (await gateway.post({"notification": {"devices": devices}}))[1]["errcode"] == "M_INVALID_PARAM"


# -- who may ask, and how often


async def test_a_secret_is_asked_for(make_gateway: MakeGateway, cupertino: Cupertino) -> None:
    gateway = await make_gateway(cupertino.app, secret="sesame")
    body = {"notification": VALID}
    assert (await gateway.post(body))[0] == 403
    assert (await gateway.post(body, headers={"Authorization": "Bearer wrong"}))[0] == 403
    assert (await gateway.post(body, headers={"Authorization": "Bearer sesame"}))[0] == 200


async def test_only_some_homeservers_may_ask(make_gateway: MakeGateway, cupertino: Cupertino) -> None:
    near = await make_gateway(cupertino.app, homeservers=(ip_network("127.0.0.0/8"),))
    far = await make_gateway(cupertino.app, homeservers=(ip_network("10.0.0.0/8"),))
    assert (await near.post({"notification": VALID}))[0] == 200
    assert (await far.post({"notification": VALID}))[0] == 403


@pytest.mark.parametrize("limited", ["per_address", "per_pushkey"])
async def test_who_asks_too_often_is_told_when_to_come_back(
    make_gateway: MakeGateway, cupertino: Cupertino, limited: str
) -> None:
    gateway = await make_gateway(cupertino.app, **{limited: Rate(0.5, 2)})
    for n in range(2):
        assert await gateway.notify(APP, KEY, event_id=f"${n}") == []
    status, said, headers = await gateway.post({"notification": VALID})
    assert (status, said["errcode"], headers["Retry-After"]) == (429, "M_LIMIT_EXCEEDED", "2")
    gateway.clock.advance(2_000)
    assert await gateway.notify(APP, KEY, event_id="$9") == []


async def test_no_more_at_once_than_the_operator_says(
    make_gateway: MakeGateway, cupertino: Cupertino
) -> None:
    gateway = await make_gateway(cupertino.app, concurrency=3)
    cupertino.provider.delay = asyncio.Event()
    asking = [asyncio.create_task(gateway.notify(APP, KEY, event_id=f"${n}")) for n in range(60)]
    while gateway.gateway.under_way < 60 or len(cupertino.provider.asked) < 3:
        await asyncio.sleep(0.01)
    assert await gateway.notify(APP, KEY, event_id="$more") == 429
    cupertino.provider.delay.set()
    assert await asyncio.gather(*asking) == [[]] * 60
    assert cupertino.provider.most == 3


# -- connections


@pytest.fixture
def apple(cupertino: Cupertino) -> Apple:
    """What verifies our tokens, for providers that behave in other ways."""
    return cupertino.apple


async def test_a_provider_that_ends_its_connections_loses_nothing(
    make_gateway: MakeGateway, cupertino: Cupertino, authority: Authority
) -> None:
    """A GOAWAY after some requests (RFC 9113 §6.8): those before it are answered after it, those behind it go elsewhere."""
    async with leaving(authority, after=12) as server:
        gateway = await make_gateway(replace(cupertino.app, url=server.url))
        await asyncio.gather(*(gateway.notify(APP, KEY, event_id=f"${n}") for n in range(60)))
    assert gateway.gateway.pushes == {(cupertino.app.id, "apns", "delivered"): 60}
    assert server.answered == 60
    assert server.connections >= 5


async def test_few_streams_are_shared(
    make_gateway: MakeGateway, cupertino: Cupertino, apple: Apple, authority: Authority
) -> None:
    provider = FakeProvider(answer=apple)
    async with running_provider(provider, authority, h2_max_concurrent_streams=2):
        gateway = await make_gateway(replace(cupertino.app, url=provider.url))
        answers = await asyncio.gather(*(gateway.notify(APP, KEY, event_id=f"${n}") for n in range(40)))
    assert answers == [[]] * 40
    assert provider.most <= 8
    assert len({one.connection for one in provider.asked}) <= 4


async def test_a_provider_that_does_not_answer_is_given_up_and_asked_anew(
    make_gateway: MakeGateway, cupertino: Cupertino
) -> None:
    gateway = await make_gateway(cupertino.app, timeout=700)
    assert await gateway.notify(APP, KEY, event_id="$0") == []
    cupertino.provider.delay = asyncio.Event()
    assert await gateway.notify(APP, KEY, event_id="$e") == 502
    cupertino.provider.delay.set()
    assert await gateway.notify(APP, KEY, event_id="$e") == []
    assert len({one.connection for one in cupertino.provider.asked}) == 2


async def test_a_provider_that_is_not_there_or_speaks_something_else_is_a_bad_gateway(
    make_gateway: MakeGateway, cupertino: Cupertino, authority: Authority, apple: Apple
) -> None:
    nobody = await make_gateway(replace(cupertino.app, url="https://localhost:9"))
    untrusted = await make_gateway(replace(cupertino.app, ca_file=None))
    old = FakeProvider(answer=apple)
    async with running_provider(old, authority, alpn_protocols=["http/1.1"]):
        older = await make_gateway(replace(cupertino.app, url=old.url))
        for gateway in (nobody, untrusted, older):
            assert await gateway.notify(APP, KEY, event_id="$e") == 502
    assert cupertino.provider.asked == old.asked == []


async def test_a_provider_that_goes_and_comes_back(
    make_gateway: MakeGateway, cupertino: Cupertino, apple: Apple, authority: Authority
) -> None:
    provider = FakeProvider(answer=apple)
    gateway = await make_gateway(replace(cupertino.app, url=provider.url))
    async with running_provider(provider, authority):
        assert await gateway.notify(APP, KEY, event_id="$1") == []
    assert await gateway.notify(APP, KEY, event_id="$2") == 502
    async with running_provider(provider, authority):
        assert await gateway.notify(APP, KEY, event_id="$2") == []


# -- what is told


async def test_figures_and_log_lines_name_apps_but_no_devices(
    make_gateway: MakeGateway, cupertino: Cupertino
) -> None:
    gateway = await make_gateway(cupertino.app)
    await gateway.notify(APP, KEY, event_id="$1")
    cupertino.apple.result = 400, {}, b'{"reason": "BadDeviceToken"}'
    await gateway.notify(APP, KEY, event_id="$2")
    await gateway.notify("org.example.other", "a-secret-key", event_id="$2")
    pushes, under_way = figures(gateway.gateway)
    assert {tuple(one.labels.values()): one.value for one in pushes.samples} == {
        (cupertino.app.id, "apns", "delivered"): 1, (cupertino.app.id, "apns", "rejected"): 1, ("-", "-", "rejected"): 1,
    }  # fmt: skip
    assert under_way.samples[0].value == 0
    lines = "\n".join(map(str, gateway.observed))
    assert "BadDeviceToken" in lines
    assert "no such app" in lines
    assert not [secret for secret in (KEY, "a-secret-key") if secret in lines]
