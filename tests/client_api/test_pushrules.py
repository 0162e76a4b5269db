"""Push rules through the API: shown, made, changed, deleted, and told of in /sync."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fixtures.client import Client

GLOBAL = "pushrules/global"


async def own_ids(client: Client, kind: str) -> list[str]:
    rules = await client.ok("GET", f"{GLOBAL}/")
    return [rule["rule_id"] for rule in rules[kind] if not rule["default"]]


async def test_a_new_user_has_the_default_rules(alice: Client) -> None:
    everything = await alice.ok("GET", "pushrules/")
    rules = everything["global"]
    assert rules == await alice.ok("GET", f"{GLOBAL}/")
    assert list(rules) == ["override", "content", "postcontent", "room", "sender", "underride"]
    assert [rule["rule_id"] for rule in rules["override"]][:1] == [".m.rule.master"]
    assert rules["content"] == rules["room"] == rules["sender"] == []
    mention = await alice.ok("GET", f"{GLOBAL}/override/.m.rule.is_user_mention")
    assert mention in rules["override"]
    assert mention["conditions"][0]["value"] == alice.user_id


async def test_a_rule_is_made_shown_changed_and_deleted(alice: Client) -> None:
    path = f"{GLOBAL}/content/cake"
    assert await alice.put(path, {"pattern": "cake*lie", "actions": ["notify"]}) == (200, {})
    made = {
        "rule_id": "cake",
        "default": False,
        "enabled": True,
        "pattern": "cake*lie",
        "actions": ["notify"],
    }
    assert await alice.get(path) == (200, made)
    assert await alice.put(f"{path}/enabled", {"enabled": False}) == (200, {})
    assert await alice.get(f"{path}/enabled") == (200, {"enabled": False})
    highlight = ["notify", {"set_tweak": "highlight"}]
    assert await alice.put(f"{path}/actions", {"actions": highlight}) == (200, {})
    assert await alice.get(f"{path}/actions") == (200, {"actions": highlight})
    assert await alice.put(path, {"pattern": "pie", "actions": []}) == (200, {})
    assert await alice.get(path) == (200, made | {"pattern": "pie", "actions": [], "enabled": False})
    assert await alice.delete(path) == (200, {})
    status, body = await alice.get(path)
    assert (status, body["errcode"]) == (404, "M_NOT_FOUND")


async def test_default_rules_can_be_changed_but_not_deleted(alice: Client) -> None:
    path = f"{GLOBAL}/underride/.m.rule.message"
    await alice.ok("PUT", f"{path}/enabled", json={"enabled": False})
    await alice.ok(
        "PUT", f"{path}/actions", json={"actions": ["notify", {"set_tweak": "sound", "value": "x"}]}
    )
    rule = await alice.ok("GET", path)
    assert (rule["enabled"], rule["default"], len(rule["actions"])) == (False, True, 2)
    assert (await alice.delete(path))[0] == 404
    assert (await alice.put(path, {"actions": []}))[0] == 400


async def test_rules_are_put_before_and_after_others(alice: Client) -> None:
    for rule_id, where in (
        ("!a:x", {}),
        ("!b:x", {}),
        ("!c:x", {"after": "!b:x"}),
        ("!d:x", {"before": "!a:x"}),
        ("!b:x", {"after": "!a:x"}),
    ):
        await alice.ok("PUT", f"{GLOBAL}/room/{rule_id}", json={"actions": []}, params=where)
    assert await own_ids(alice, "room") == ["!c:x", "!d:x", "!a:x", "!b:x"]
    for where in ({"before": "!none:x"}, {"after": ".m.rule.message"}):
        status, body = await alice.put(f"{GLOBAL}/room/!e:x", {"actions": []}, params=where)
        assert (status, body["errcode"]) == (400, "M_UNKNOWN")
    assert await own_ids(alice, "room") == ["!c:x", "!d:x", "!a:x", "!b:x"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "errcode"),
    [
        ("GET", "device/x", None, 400, "M_INVALID_PARAM"),
        ("GET", "override/x", None, 404, "M_NOT_FOUND"),
        ("GET", "override/x/actions", None, 404, "M_NOT_FOUND"),
        ("GET", "override/x/enabled", None, 404, "M_NOT_FOUND"),
        ("DELETE", "override/x", None, 404, "M_NOT_FOUND"),
        ("PUT", "override/x/actions", {"actions": []}, 404, "M_NOT_FOUND"),
        ("PUT", "override/x/enabled", {"enabled": True}, 404, "M_NOT_FOUND"),
        ("PUT", "override/.m.rule.master/enabled", {}, 400, "M_MISSING_PARAM"),
        ("PUT", "override/.m.rule.master/enabled", {"enabled": 1}, 400, "M_BAD_JSON"),
        ("PUT", "override/.m.rule.master/actions", {"actions": ["sing"]}, 400, "M_INVALID_PARAM"),
        ("PUT", "override/.mine", {"actions": []}, 400, "M_INVALID_PARAM"),
        ("PUT", "override/a%2Fb", {"actions": []}, 400, "M_INVALID_PARAM"),
        ("PUT", "override/a%5Cb", {"actions": []}, 400, "M_INVALID_PARAM"),
        ("PUT", "override/x", {}, 400, "M_INVALID_PARAM"),
        ("PUT", "override/x", [], 400, "M_BAD_JSON"),
        ("PUT", "override/x", {"actions": [], "conditions": [{"kind": 1}]}, 400, "M_INVALID_PARAM"),
        ("PUT", "content/x", {"actions": []}, 400, "M_INVALID_PARAM"),
    ],
)
async def test_what_is_wrong_is_told(
    alice: Client, method: str, path: str, body: Any, status: int, errcode: str
) -> None:
    given = {} if body is None else {"json": body}
    got, said = await alice.request(method, f"{GLOBAL}/{path}", **given)
    assert (got, said["errcode"]) == (status, errcode)


async def test_rules_are_account_data_that_only_the_push_rules_api_sets(alice: Client) -> None:
    def told(reply: dict[str, Any]) -> list[Any]:
        events = reply.get("account_data", {}).get("events", [])
        return [event["content"]["global"] for event in events if event["type"] == "m.push_rules"]

    first = told(await alice.sync())
    assert first == [await alice.ok("GET", f"{GLOBAL}/")]
    assert told(await alice.sync()) == []
    waiting = asyncio.ensure_future(alice.sync_until(told))
    await alice.ok("PUT", f"{GLOBAL}/override/.m.rule.master/enabled", json={"enabled": True})
    assert told(await waiting)[0]["override"][0]["enabled"] is True
    await alice.ok("PUT", f"user/{alice.user_id}/account_data/com.example", json={})
    assert told(await alice.sync()) == []
    path = f"user/{alice.user_id}/account_data/m.push_rules"
    assert (await alice.ok("GET", path))["global"] == await alice.ok("GET", f"{GLOBAL}/")
    assert (await alice.put(path, {"global": {}}))[0] == 405


async def test_rules_set_at_the_same_time_are_all_kept(alice: Client) -> None:
    paths = [f"{GLOBAL}/sender/@u{number}:x" for number in range(8)]
    await asyncio.gather(*(alice.ok("PUT", path, json={"actions": []}) for path in paths))
    assert sorted(await own_ids(alice, "sender")) == [f"@u{number}:x" for number in range(8)]


async def test_rules_are_of_one_user_alone(alice: Client, bob: Client) -> None:
    await alice.ok("PUT", f"{GLOBAL}/sender/@x:y", json={"actions": []})
    assert await own_ids(bob, "sender") == []
