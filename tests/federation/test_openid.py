"""OpenID tokens, shown to whoever asks the homeserver about them."""

from __future__ import annotations

from tests.federation.asking import V1
from tests.fixtures.federation import MakeFederated
from tests.fixtures.time import FakeClock


async def test_a_token_says_who_made_it_until_it_expires(make_federated: MakeFederated) -> None:
    clock = FakeClock()
    one = await make_federated(clock=clock)
    alice, nobody = await one.user("alice"), one.nobody()
    token = (await alice.ok("POST", f"user/{alice.user_id}/openid/request_token", json={}))["access_token"]
    path = f"{V1}/openid/userinfo"
    assert await nobody.ok("GET", path, params={"access_token": token}) == {"sub": alice.user_id}
    clock.advance(3_600_001)
    for params in ({"access_token": token}, {"access_token": "made up"}):
        status, said = await nobody.get(path, params=params)
        assert (status, said["errcode"]) == (401, "M_UNKNOWN_TOKEN")
    status, said = await nobody.get(path)
    assert (status, said["errcode"]) == (400, "M_MISSING_PARAM")


async def test_an_access_token_is_none(make_federated: MakeFederated) -> None:
    one = await make_federated()
    alice = await one.user("alice")
    status, _ = await one.nobody().get(f"{V1}/openid/userinfo", params={"access_token": alice.access_token})
    assert status == 401
